"""Regions of every shape give crops: of turned boxes, outlines, masks and points what they lie in."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.opinions.geometry.regions import mask_fields
from lakehouse.opinions.geometry.rle import encode
from loaders import Resize, make_reader
from tests.datasets.cells import names_of, recipe
from tests.datasets.pictures import SIDE, bring_pictures, say

MASK = np.zeros((SIDE, SIDE), dtype=np.uint8)
MASK[4:9, 6:8] = 1

SAID = {
    "box": ({"kind": "box", "x": 2.5, "y": 3.0, "w": 4.0, "h": 5.5}, [2, 3, 5, 6]),
    "turned": ({"kind": "box", "x": 6.0, "y": 8.0, "w": 8.0, "h": 4.0, "angle": 90.0}, [8, 6, 4, 8]),
    "polygon": ({"kind": "polygon", "points": [{"x": 3, "y": 4}, {"x": 9, "y": 6}, {"x": 5, "y": 11}]}, [3, 4, 6, 7]),
    "mask": (mask_fields(encode(MASK), SIDE, SIDE), [6, 4, 2, 5]),
    "keypoints": (
        {"kind": "keypoints", "points": [{"x": 1, "y": 2, "v": 2}, {"x": 0, "y": 0, "v": 0}, {"x": 7, "y": 5, "v": 1}]},
        [1, 2, 6, 3],
    ),
}  # fmt: skip


def crops(lake, **samples):
    """Label -> crop as left, top, width, height; and reasons of what is left out."""
    built = lh.build(lake, recipe(name="shapes", question="things", samples={"of": "regions"} | samples))
    about = {"id": built.details["dataset_id"]}
    members = lh.fetch(lake, "select label, parameters_json from gold.dataset_members where dataset_id = $id",
                       params=about)  # fmt: skip
    left = lh.fetch(lake, "select reason from gold.dataset_exclusions where dataset_id = $id", params=about)
    sides = ("left", "top", "width", "height")
    return (
        {row["label"]: [json.loads(row["parameters_json"])[side] for side in sides] for row in members},
        sorted(row["reason"] for row in left),
    )


def test_a_region_of_any_shape_is_cut_by_what_it_lies_in(lake, tmp_path):
    bring_pictures(lake, tmp_path / "drop", "ab")
    lh.dimensions(lake)
    regions = [{"label": label} | region for label, (region, _) in SAID.items()]
    point = {"kind": "point", "label": "point", "points": [{"x": 3, "y": 3}]}
    say(lake, "things", "human:ann", {"a": {"regions": [*regions, point]}})
    found, left = crops(lake)
    assert found == {label: crop for label, (_, crop) in SAID.items()}
    assert left == ["no_answer", "region_without_extent"]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_crop_of_a_picture_that_exif_turns_is_upright_where_its_picture_is(lake, tmp_path, orientation):
    folder = tmp_path / "drop"
    folder.mkdir()
    noise = np.random.default_rng(5).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(noise).save(folder / "a.png", exif=exif)
    lh.land(lake, lh.Source(name="pictures", folder=str(folder)))
    lh.entities(lake)
    lh.dimensions(lake)
    # As stored: 20 px wide, 12 high.
    stored = {"kind": "box", "label": "thing", "x": 3.0, "y": 2.0, "w": 8.0, "h": 5.0}
    say(lake, "things", "human:ann", {"a": {"regions": [stored]}})
    built = lh.build(lake, recipe(question="things", samples={"of": "regions"}))
    folder = lake.root / lh.materialise(lake, built.details["dataset_id"]).details["folder"] / "train"
    with make_reader(folder, batch_size=1) as reader:
        (batch,) = reader
    assert np.array_equal(batch["image"][0], noise[2:7, 3:11])
    turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    upright = np.rot90(noise[2:7, 3:11], turns)
    with make_reader(folder, batch_size=1, decoders={"image": Resize(upright.shape[:2], exif=True)}) as reader:
        (batch,) = reader
    assert np.array_equal(batch["image"][0], upright)
    assert names_of(lake) == {batch["parent_id"][0]: "a"}
