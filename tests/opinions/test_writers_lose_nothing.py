"""What a writer drops it tells: nothing goes missing because a number is 0, is not stated, or stands in a circle."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lakehouse.errors import ConfigError
from lakehouse.opinions.formats.names import one_name_each
from lakehouse.opinions.formats.writer import Ontology
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.reading.answer import Region
from tests.opinions.writing import regions, said, write


def box(label="cell", **more):
    return Region(**{"kind": "box", "label": label, "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0, **more})


def mask(filled, **more):
    pixels = np.zeros((30, 40), bool)
    pixels[3:9, 4:11] = filled
    counts = rle.compress(rle.encode(pixels))
    return Region(kind="mask", label="cell", mask_encoding="coco_rle", mask_counts=counts, mask_h=30, mask_w=40, **more)


@pytest.mark.parametrize("name", ["labelme", "cvat"])
def test_a_mask_is_written_whether_or_not_its_area_is_stated(tmp_path, name):
    found = said(mask(True), size=(40, 30))
    assert write(name, tmp_path / "out", found) == []
    (read,) = regions(name, tmp_path / "out")
    assert (read.area, read.x, read.y, read.w, read.h) == (42, 4, 3, 7, 6)
    assert read.mask_counts == mask(True).mask_counts
    assert write(name, tmp_path / "none", said(mask(False, area=0.0), size=(40, 30))) == ["empty_mask"]


@pytest.mark.parametrize(("parents", "shapes", "lost"), [
    ({"1": None, "2": "1", "3": None}, ["object", "part", "object"], []),
    ({"1": None, "2": "1", "3": "2"}, ["object", "part", "object"], ["parent_region_id"]),
    ({"1": "2", "2": "1", "3": None}, ["object", "object", "object"], ["parent_region_id"] * 2),
    ({"1": "1", "2": None, "3": "gone"}, ["object", "object", "object"], ["parent_region_id"]),
])  # fmt: skip
def test_parts_of_parts_and_circles_of_boxes_are_objects_of_their_own(tmp_path, parents, shapes, lost):
    boxes = [box(f"p{number}", region_id=number, parent_region_id=parent) for number, parent in parents.items()]
    assert write("voc", tmp_path / "out", said(*boxes)) == lost
    text = (tmp_path / "out/cat/1.xml").read_text()
    tags = [tag for line in text.splitlines() for tag in ("object", "part") if line.strip() == f"<{tag}>"]
    assert (sorted(tags), text.count("<bndbox>")) == (sorted(shapes), 3)
    assert {each.label for each in regions("voc", tmp_path / "out")} == {"p1", "p2", "p3"}


@pytest.mark.parametrize("name", ["voc", "labelme", "coco"])
def test_a_box_without_label_is_told_and_leaves_the_others_readable(tmp_path, name):
    path = tmp_path / ("out.json" if name == "coco" else "out")
    ontology = Ontology(labels=("cell",), numbers={"cell": 0})
    assert write(name, path, said(box(None), box()), ontology=ontology) == ["label"]
    assert [each.label for each in regions(name, path)] == ["cell"]


def test_pictures_whose_names_meet_get_names_that_are_free(tmp_path):
    names = ["x/b.png", "x_b.png", "y/b.png", "y_B.png"]
    found = [labelled(name) for name in names]
    assert write("imagefolder", tmp_path / "out", *found) == ["folder", "folder"]
    read = {each.name: each.read_bytes().decode() for each in (tmp_path / "out/cat").iterdir()}
    assert read == {"x_b-2.png": "x/b.png", "x_b.png": "x_b.png", "y_b-2.png": "y/b.png", "y_B.png": "y_B.png"}


def labelled(name):
    plain = said(name=name, size=None, value_kind="label", value="cat")
    return dataclasses.replace(plain, subject=dataclasses.replace(plain.subject, content=name.encode))


def test_a_list_of_classes_without_any_is_not_written(tmp_path):
    with pytest.raises(ConfigError, match="yolo: the question has no labels"):
        write("yolo", tmp_path / "out", said(), task="detect")
    assert not (tmp_path / "out").exists()


def test_a_score_or_a_frame_of_0_is_a_loss_as_any_other(tmp_path):
    assert write("voc", tmp_path / "out", said(box(score=0.0, frame_start=0))) == ["score", "frame_start"]


def test_names_that_a_disk_takes_for_one_or_cannot_hold_get_others(tmp_path):
    long = "x/" + "ä" * 200 + ".png"
    names = ["a/é.png", "b/e\u0301.png", long.replace("x/", "y/" + "z" * 100 + "/"), long, "k/1.png", "l/1.png"]
    found = [labelled(name) for name in names]
    write("imagefolder", tmp_path / "out", *found)
    read = {each.name: each.read_bytes().decode() for each in (tmp_path / "out/cat").iterdir()}
    assert sorted(read.values()) == sorted(names)
    assert {"a_é.png", "b_e\u0301.png", "k_1.png", "l_1.png"} < set(read)
    assert max(len(name.encode()) for name in read) <= 255


def test_files_beside_pictures_of_long_names_and_names_spelt_otherwise_are_all_there():
    long = "ä" * 124 + ".jpeg"
    found = one_name_each([f"x/{long}", f"x/{long[:-5]}.png", "é.png", "e\u0301.png"], ".TextGrid")
    assert len(set(found.values())) == 4
    assert max(len(name.rpartition("/")[2].encode()) for name in found.values()) <= 255
    assert found["é.png"] != found["e\u0301.png"].replace("e\u0301", "é")
