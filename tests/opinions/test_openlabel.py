"""OpenLABEL: boxes are stated by their centre, both ends of an interval of frames are included."""

from __future__ import annotations

import json
import math

import pytest

from lakehouse.opinions.reading.guess_format import guess_format
from tests.opinions.making import answers, rules


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a file."""

    def make(**root):
        path = tmp_path / "a.json"
        path.write_text(json.dumps({"openlabel": {"metadata": {"schema_version": "1.0.0"}, **root}}))
        return path

    return make


def thing(**more):
    return {"name": "car1", "type": "car", "object_data": {"bbox": [{"name": "shape", "val": [375, 276, 232, 200]}]},
            **more}  # fmt: skip


def test_f22_a_box_is_stated_by_its_centre(file):
    path = file(objects={"1": thing()}, streams={"camera": {"type": "camera", "uri": "img/1.jpg"}})
    assert guess_format(path) == "openlabel"
    (answer,) = answers("openlabel", path)
    (box,) = answer.value
    assert (box.label, box.x, box.y, box.w, box.h) == ("car", 259, 176, 232, 200)
    assert (box.region_id, box.track_id) == ("1", None)
    assert answer.subject_key == "img/1.jpg"


def test_f22_both_ends_of_an_interval_are_included(file):
    path = file(objects={"1": thing(frame_intervals=[{"frame_start": 0, "frame_end": 4}])})
    (box,) = answers("openlabel", path)[0].value
    assert (box.track_id, box.frame_start, box.frame_end) == ("1", 0, 4)


def test_boxes_of_frames_and_turned_ones(file):
    data = {"object_data": {"rbbox": [{"val": [10, 20, 4, 2, math.pi / 2]}]}}
    path = file(objects={"1": {"name": "car1", "type": "car"}}, frames={"10": {"objects": {"1": data}},
                                                                        "2": {"objects": {"1": data}}})  # fmt: skip
    found = answers("openlabel", path)[0].value
    assert [(r.frame_start, r.frame_end, r.x, r.y, r.angle) for r in found] == [(2, 2, 8, 19, 90), (10, 10, 8, 19, 90)]


@pytest.mark.parametrize(("broken", "rule"), [
    (thing(object_data={"cuboid": []}), "unknown_shape"), (thing(object_data={"bbox": [{"val": [1, 2]}]}), "no_box"),
    (thing(object_data={"bbox": [{"val": [1, 2, -1, 1]}]}), "inverted_box"), (thing(type=None), "wrong_type"),
    (5, "wrong_type"),
])  # fmt: skip
def test_what_cannot_be_read_is_rejected(file, broken, rule):
    assert [found for _, found in rules("openlabel", file(objects={"1": broken}))] == [rule]
