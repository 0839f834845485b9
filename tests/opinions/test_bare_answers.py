"""What follows from the geometry, or from the picture, is no content: an answer recorded bare comes back as it is."""

from __future__ import annotations

import numpy as np
import pytest

import lakehouse as lh
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.regions import runs_of_region
from lakehouse.opinions.ids import value_hash
from lakehouse.opinions.reading.answer import Answer, Frame, Region
from tests.making import entity_id, small_lake
from tests.opinions.conftest import SETTINGS
from tests.opinions.making import counts, land_pictures

NOISE = float(np.float32(12.3456789))
"""As a model's tensors have it: 12.345678329467773."""

MASK = np.zeros((480, 640), bool)
MASK[3:9, 4:11] = True
POINTS = ({"x": 10.0, "y": 12.5}, {"x": 60.25, "y": 14.0}, {"x": 31.0, "y": 77.0})

BARE = {
    "box": {"kind": "box", "x": 1.5, "y": 2.25, "w": 6.1, "h": 7.7},
    "noise": {"kind": "box", "x": NOISE, "y": NOISE / 3, "w": NOISE * 7, "h": 0.1 + 0.2},
    "turned": {"kind": "box", "x": 100.0, "y": 80.0, "w": 60.0, "h": 20.0, "angle": 30.0},
    "polygon": {"kind": "polygon", "points": [dict(each) for each in POINTS]},
    "mask": {"kind": "mask", "mask_encoding": "coco_rle", "mask_counts": rle.compress(rle.encode(MASK)),
             "mask_h": 480, "mask_w": 640},
    "point": {"kind": "point", "points": [{"x": 5.0, "y": 6.5}]},
}  # fmt: skip

SETS = {
    "all": tuple(BARE), "plain": ("box", "noise"), "turned": ("turned",), "polygon": ("polygon",),
    "coco": ("box", "noise", "polygon", "mask"),
}  # fmt: skip

HOLD = [
    ("coco", {}, "coco"), ("voc", {}, "plain"), ("yolo", {"task": "detect"}, "plain"), ("cvat", {}, "all"),
    ("yolo", {"task": "obb"}, "turned"), ("yolo", {"task": "segment"}, "polygon"), ("labelme", {}, "all"),
    ("labelstudio", {}, "all"), ("jsonl", {}, "all"),
]  # fmt: skip
FILES = {"coco": "out.json", "labelstudio": "out.json", "jsonl": "out.jsonl"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    with small_lake(tmp_path_factory.mktemp("bare") / "lake", *SETTINGS) as lake:
        land_pictures(lake, ["a.jpg"])
        rows = [
            {"entity_id": entity_id("a.jpg"), "question": name,
             "regions": [{"label": kind, **BARE[kind]} for kind in kinds]}
            for name, kinds in SETS.items()
        ]  # fmt: skip
        lh.record_opinions(lake, rows, source="s", actor="human:ann")
        yield lake


@pytest.mark.parametrize(("form", "options", "kinds"), HOLD)
def test_regions_that_were_recorded_bare_come_back_as_the_same_answer(measured, tmp_path, form, options, kinds):
    out = tmp_path / FILES.get(form, "out")
    lh.export_opinions(measured, format=form, path=out, question=kinds, actor="human:ann", options=options)
    source = lh.OpinionSource(format=form, path=str(out), question=kinds, actor="human:ann", options=options)
    assert lh.opinions(measured, source).counts == counts(read=1, same=1)


def of(frame=(640, 480), **region):
    value = (Region(label="cell", **region),)
    return value_hash(Answer("human:ann", "q", "a.jpg", value, "regions", frame=Frame(*frame)))


SQUARE = tuple({"x": x, "y": y} for x, y in ((1.0, 1.0), (5.0, 1.0), (5.0, 4.0), (1.0, 4.0)))


@pytest.mark.parametrize(("bare", "same", "other"), [
    ({"kind": "box", "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0}, {"area": 12.0, "iscrowd": False, "angle": 0.0},
     {"area": 11.0}),
    ({"kind": "polygon", "points": SQUARE}, {"area": 12.0, "x": 1.0, "y": 1.0, "w": 4.0, "h": 3.0, "closed": True},
     {"area": 12.5}),
    ({"kind": "polygon", "points": SQUARE}, {"part_sizes": (4,)}, {"x": 1.0, "y": 1.0, "w": 4.0, "h": 3.01}),
    ({"kind": "polygon", "points": SQUARE[:3]}, {"area": 6.0}, {"area": 7.0}),
    ({"kind": "keypoints", "points": tuple({**each, "v": 2} for each in SQUARE)}, {"area": 12.0, "x": 1.0}, {"x": 0.0}),
    ({"kind": "point", "x": 1.0, "y": 2.0}, {"points": ({"x": 1.0, "y": 2.0},), "w": 0.0, "h": 0.0}, {"w": 2.0}),
    (BARE["mask"], {"area": 42.0, "x": 4.0, "y": 3.0, "w": 7.0, "h": 6.0}, {"area": 41.0}),
    ({"kind": "box", "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0}, {"w": 3.0 + 4e-7}, {"w": 3.000002}),
])  # fmt: skip
def test_what_follows_from_the_geometry_counts_only_where_it_is_stated_otherwise(bare, same, other):
    assert of(**bare) == of(**{**bare, **same}) != of(**{**bare, **other})


def test_the_pixels_of_a_polygon_are_an_area_of_it_too_and_a_frame_of_another_size_counts():
    corners = tuple({"x": x, "y": y} for x, y in ((1.0, 1.0), (6.0, 1.0), (6.0, 4.0)))
    triangle = {"kind": "polygon", "points": corners}
    pixels = float(rle.area(runs_of_region(Region(**triangle), 480, 640)))
    assert pixels != 7.5
    assert of(**triangle) == of(area=7.5, **triangle) == of(area=pixels, **triangle)
    assert of(frame=(None, None), area=pixels, **triangle) != of(frame=(None, None), **triangle)
    assert of(frame=(320, 240), **triangle) != of(**triangle)
