"""LabelMe: shapes of one picture a file, both ways."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.regions import mask_fields, mask_of_region
from lakehouse.opinions.reading.answer import Region
from tests.opinions.making import answers, rules
from tests.opinions.writing import read, regions, said, write


def shape(kind: str, *points, label="cell", **more) -> dict[str, object]:
    return {"label": label, "points": [list(each) for each in points], "group_id": None, "shape_type": kind,
            "flags": {}, **more}  # fmt: skip


def png(mask) -> str:
    data = io.BytesIO()
    Image.fromarray(np.array(mask, bool)).save(data, format="PNG")
    return base64.b64encode(data.getvalue()).decode()


@pytest.fixture
def file(tmp_path: Path):
    """Return a function that writes a file of shapes."""

    def make(*shapes, **more) -> Path:
        record = {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": "..\\img\\1.jpg",
                  "imageData": None, "imageHeight": 480, "imageWidth": 640, **more}  # fmt: skip
        path = tmp_path / "a.json"
        path.write_text(json.dumps(record))
        return path

    return make


def shapes_of(path: Path) -> list[Region]:
    return list(answers("labelme", path)[0].value)


def test_f23_corners_of_a_rectangle_come_in_any_order(file):
    boxes = shapes_of(file(shape("rectangle", (491, 376), (259, 176)), shape("rectangle", (259, 376), (491, 176))))
    assert [(r.kind, r.x, r.y, r.w, r.h) for r in boxes] == [("box", 259, 176, 232, 200)] * 2


def test_f23_a_circle_is_its_centre_and_a_point_of_its_edge(file):
    (circle,) = shapes_of(file(shape("circle", (10, 20), (13, 24))))
    assert (circle.kind, circle.x, circle.y, circle.w, circle.h) == ("ellipse", 5, 15, 10, 10)


def test_f23_a_path_with_backslashes_is_kept_as_it_is_written(file):
    answer = answers("labelme", file())[0]
    assert (answer.subject_key, answer.value, answer.frame.width) == ("..\\img\\1.jpg", (), 640)
    assert answers("labelme", file(), subject="file")[0].subject_key == "a"


def test_f10_polygons_of_one_group_are_parts_of_one_object(file):
    one, other = [(0, 0), (4, 0), (4, 4)], [(6, 6), (8, 6), (8, 8)]
    found = shapes_of(file(
        shape("polygon", *one, group_id=3), shape("polygon", *other, group_id=3), shape("polygon", *one, group_id=4),
        shape("polygon", *one),
    ))  # fmt: skip
    assert [(len(r.points), r.part_sizes) for r in found] == [(6, (3, 3)), (3, None), (3, None)]


def test_flags_of_a_picture_answer_a_question_of_their_own(file):
    path = file(shape("point", (1, 2)), flags={"blurred": True, "night": False})
    assert [(a.question_id, a.value) for a in answers("labelme", path)][1] == ("animal.flags", ("blurred",))


def test_a_mask_lies_where_its_box_does(file):
    (found,) = shapes_of(file(shape("mask", (2, 1), (4, 2), mask=png([[0, 1, 1], [0, 0, 1]])), imageWidth=6,
                              imageHeight=4))  # fmt: skip
    assert np.argwhere(mask_of_region(found, 4, 6)).tolist() == [[1, 3], [1, 4], [2, 4]]


@pytest.mark.parametrize(("broken", "rule"), [
    (shape("rectangle", (1, 1)), "bad_shape"), (shape("star", (1, 1)), "unknown_shape"),
    (shape("polygon", (1,)), "bad_polygon"), (shape("point", ("a", 1)), "wrong_type"),
    (shape("mask", (0, 0), (1, 1), mask="!"), "bad_mask"), (shape("mask", (639, 0), (641, 0), mask=png([[1, 1]])),
                                                            "bad_mask"),
    (shape("point", (1, 1), label=""), "empty_label"), (5, "wrong_type"),
])  # fmt: skip
def test_what_cannot_be_read_is_rejected_with_a_rule(file, broken, rule):
    assert [found for _, found in rules("labelme", file(broken))] == [rule]


def test_what_labelme_holds_comes_back_as_it_was(tmp_path):
    mask = np.zeros((480, 640), bool)
    mask[3:5, 7:10] = [[0, 1, 1], [1, 0, 1]]
    square = tuple({"x": x, "y": y} for x, y in ((0.5, 0.0), (4.0, 0.0), (4.0, 4.0)))
    held = [
        Region(kind="box", label="a", x=259.0, y=176.0, w=232.0, h=200.0, attrs={"description": "big"}),
        Region(kind="ellipse", label="a", x=5.0, y=15.0, w=10.0, h=10.0),
        Region(kind="polygon", label="b", points=(*square, *square), part_sizes=(3, 3), closed=True, x=0.5, y=0.0,
               w=3.5, h=4.0),
        Region(kind="point", label="c", points=({"x": 1.0, "y": 2.0},), x=1.0, y=2.0, w=0.0, h=0.0, score=0.5),
        Region(label="m", **mask_fields(rle.encode(mask), 480, 640)),
    ]  # fmt: skip
    assert write("labelme", tmp_path / "out", said(*held)) == []
    found = regions("labelme", tmp_path / "out")
    assert [each.attrs for each in found] == [{"description": "big"}, None, {"group_id": "1"}, None, None]
    assert [dataclasses.replace(each, attrs=None) for each in found] == [
        dataclasses.replace(each, attrs=None) for each in held
    ]
    assert read("labelme", tmp_path / "out")[0].subject_key == "1.jpg"


def test_a_turned_box_comes_back_and_what_is_lost_is_told(tmp_path):
    box = Region(kind="box", label="a", x=10, y=20, w=30, h=10, angle=30)
    lost = write("labelme", tmp_path / "out", said(box, Region(kind="interval", t_start=1, t_end=2, label="a")))
    assert lost == ["interval", "t_start", "t_end"]
    (found,) = regions("labelme", tmp_path / "out")
    assert (found.x, found.y, found.w, found.h, found.angle) == pytest.approx((10, 20, 30, 10, 30))
