"""Columns that lie in a picture: what the manifest says of them."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.datasets.policies.box_samples import box_samples
from loaders import make_reader, write_dataset
from loaders.errors import FormatError
from loaders.format.fields import Field, Geometry, check_fields, field_from_json, schema_id

IMAGE = Field("image", pa.binary(), codec="image", shape=(None, None, 3))
BOXES = Field(
    "boxes", pa.binary(), codec="npy", shape=(None, 4), dtype="float32", geometry=Geometry("xyxy"), objects="boxes"
)
LABELS = Field("box_labels", pa.list_(pa.int64()), shape=(None,), classes=("a", "b"), objects="boxes")
KEYPOINTS = Field(
    "keypoints", pa.binary(), codec="npy", shape=(None, 3, 3), dtype="float32", objects="people",
    geometry=Geometry("keypoints", flip_pairs=((0, 2),)),
)  # fmt: skip
POLYGONS = Field(
    "polygons", pa.binary(), codec="npy", shape=(None, 2), dtype="float32", objects="polygons",
    geometry=Geometry("polygons", of="image", sizes="polygon_sizes", parts="polygon_parts"),
)  # fmt: skip
SIZES = Field("polygon_sizes", pa.list_(pa.int64()), shape=(None,))
PARTS = Field("polygon_parts", pa.list_(pa.int64()), shape=(None,), objects="polygons")
MASKS = Field("masks", pa.binary(), codec="coco_rle", geometry=Geometry("masks"), objects="masks")
ALL = (IMAGE, BOXES, LABELS, KEYPOINTS, POLYGONS, SIZES, PARTS, MASKS)


def npy(values):
    out = io.BytesIO()
    np.save(out, np.asarray(values, dtype=np.float32))
    return out.getvalue()


@pytest.mark.parametrize("field", ALL, ids=lambda field: field.name)
def test_geometry_and_objects_come_back_from_json(field):
    assert field_from_json(json.loads(json.dumps(field.to_json()))) == field


def test_the_entry_in_the_manifest_is_that_of_format_md():
    assert BOXES.to_json()["geometry"] == {"kind": "xyxy", "of": "image"}
    assert BOXES.to_json()["objects"] == "boxes"
    assert KEYPOINTS.to_json()["geometry"] == {"kind": "keypoints", "of": "image", "flip_pairs": [[0, 2]]}
    assert POLYGONS.to_json()["geometry"] == {
        "kind": "polygons", "of": "image", "sizes": "polygon_sizes", "parts": "polygon_parts",
    }  # fmt: skip
    assert schema_id([BOXES, LABELS]) == "9bdbeb77bec25b160927e476355c7139eef2853b1cc194c38a8b359a211412b3"


def test_columns_without_geometry_keep_their_schema_id_and_an_old_folder_reads_as_it_is_stored(tmp_path):
    old = replace(BOXES, geometry=None, objects=None)
    assert not {"geometry", "objects"} & old.to_json().keys()
    name = Field("entity_id", pa.string())
    write_dataset([{"entity_id": "a", "boxes": npy([[1, 2, 3, 4]])}], [name, old], tmp_path / "set", seed=1)
    with make_reader(tmp_path / "set" / "train", batch_size=1) as reader:
        assert reader.fields[1].geometry is None
        np.testing.assert_array_equal(next(reader)["boxes"][0], [[1, 2, 3, 4]])


def test_boxes_of_a_lake_state_their_picture_and_their_objects():
    members = pa.table({"answer_json": ['[{"label": "a", "x": 1, "y": 2, "w": 3, "h": 4, "score": 0.5}]', "[]"]})
    fields = {field.name: field for field, _ in box_samples(members, ("a", "b"))}
    assert (fields["boxes"].geometry, fields["boxes"].objects) == (Geometry("xyxy", of="image"), "boxes")
    assert {field.objects for field in fields.values()} == {"boxes"}
    assert replace(fields["boxes"], doc="") == BOXES


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Geometry("circle"), "unknown kind of geometry 'circle'"),
    (lambda: Geometry("xyxy", of=""), "names the field of the picture"),
    (lambda: Geometry("polygons"), "polygons have `sizes` and `parts`"),
    (lambda: Geometry("xyxy", sizes="a", parts="b"), "polygons have `sizes` and `parts`"),
    (lambda: Geometry("xyxy", flip_pairs=((0, 1),)), "flip_pairs are of keypoints"),
    (lambda: Geometry("keypoints", flip_pairs=((0, 1), (1, 2))), "each in one pair alone"),
    (lambda: replace(BOXES, nullable=True), "not nullable"),
    (lambda: replace(BOXES, shape=(None, 3)), "xyxy are codec npy of floats"),
    (lambda: replace(BOXES, dtype="int64"), "xyxy are codec npy of floats"),
    (lambda: replace(MASKS, codec="raw"), "codec coco_rle"),
    (lambda: replace(KEYPOINTS, geometry=Geometry("keypoints", flip_pairs=((0, 3),))), "place 3 of 3 keypoints"),
    (lambda: Field("label", pa.int64(), objects="boxes"), "takes a list or an array"),
    (lambda: check_fields([replace(BOXES, geometry=Geometry("xyxy", of="box_labels")), LABELS]), "no column of pict"),
    (lambda: check_fields([POLYGONS, PARTS]), "cut by 'polygon_sizes'"),
    (lambda: field_from_json({**BOXES.to_json(), "geometry": {"kind": "xyxy", "of": "image", "turn": 1}}), "has kind"),
    (lambda: field_from_json({**BOXES.to_json(), "geometry": "xyxy"}), "must be a JSON object"),
    (lambda: field_from_json({**BOXES.to_json(), "objects": 1}), "objects must be a name"),
])  # fmt: skip
def test_what_would_move_wrongly_is_refused(make, message):
    with pytest.raises(FormatError, match=message):
        make()


def test_a_dataset_without_the_picture_has_nothing_that_moves():
    assert check_fields([BOXES, LABELS]) == (BOXES, LABELS)
