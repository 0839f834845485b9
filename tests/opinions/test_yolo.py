"""YOLO, in and out: shares become pixels of the picture, the task is stated, the class list is believed with care."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import lakehouse as lh
from lakehouse.errors import ConfigError, IngestError, RejectedInputError
from lakehouse.opinions.exporting.answers import answer_of
from lakehouse.opinions.formats.yolo.plain_yaml import read_yaml
from lakehouse.opinions.geometry.polygon import corners_of
from lakehouse.query import fetch
from tests.opinions.making import answers, counts, jsonl_source, land, land_pictures, rules

LIST = "nc: 2\nnames: ['RBC', \"WBC\"]\n"
CELL = "1 0.585938 0.575000 0.362500 0.416667\n"
"""BCCD's first box, 259, 176, 232 x 200 px of 640 x 480, with the six digits that tools write."""


def labels(folder: Path, classes: str = LIST, **files: str) -> Path:
    (folder / "labels").mkdir(parents=True)
    (folder / "data.yaml").write_text(classes)
    for name, text in files.items():
        (folder / "labels" / f"{name}.txt").write_text(text)
    return folder


def source(path: Path, task: str = "detect", **changes: Any) -> lh.OpinionSource:
    options = {"task": task, **changes.pop("options", {})}
    about = {"question": "cells", "actor": "human:ada", "source": "pictures", "match": "stem"}
    return lh.OpinionSource(**{"format": "yolo", "path": str(path), "options": options, **about, **changes})


def said(lake: lh.Lake) -> dict[str, Any]:
    rows = fetch(lake, "select o.*, s.path from current_opinions o join silver.entity_sources s "
                       "on s.entity_id = o.subject_id order by s.path")  # fmt: skip
    return {row["path"]: answer_of(row) for row in rows}


def exported(lake: lh.Lake, path: Path, task: str = "detect", **options: Any) -> lh.Receipt:
    return lh.export_opinions(lake, format="yolo", path=path, question="cells", options={"task": task, **options})


def box_of(region: Any) -> list[float]:
    return [region.x, region.y, region.w, region.h]


def test_f4_shares_are_pixels_of_the_picture_and_six_digits_lose_less_than_a_thousandth(lake, tmp_path):
    land_pictures(lake, ["a.jpg"])
    assert lh.opinions(lake, source(labels(tmp_path / "in", a=CELL))).counts == counts(read=1, new=1)
    answer = said(lake)["a.jpg"]
    assert (answer.frame.width, answer.frame.height, answer.value[0].label) == (640, 480, "WBC")
    assert box_of(answer.value[0]) == pytest.approx([259, 176, 232, 200], abs=0.001)
    assert [(row["label_id"], row["ordinal"], dict(row["export_ids"])) for row in fetch(
        lake, "select label_id, ordinal, export_ids from silver.label_sets order by ordinal"
    )] == [("RBC", 0, {"yolo": "0"}), ("WBC", 1, {"yolo": "1"})]  # fmt: skip


@pytest.mark.parametrize(("task", "line", "digits", "exact"), [
    ("detect", '"kind": "box", "x": 259, "y": 176, "w": 232, "h": 200', 10, True),
    ("detect", '"kind": "box", "x": 259, "y": 176, "w": 232, "h": 200', 6, False),
    ("detect", '"kind": "box", "x": -5, "y": 470, "w": 20.5, "h": 20', 10, True),
])  # fmt: skip
def test_f4_a_box_comes_back_and_with_enough_digits_it_is_the_same_answer(lake, tmp_path, task, line, digits, exact):
    land_pictures(lake, ["a.jpg"])
    text = f'{{"subject": "a.jpg", "frame_w": 640, "frame_h": 480, "regions": [{{{line}, "label": "RBC"}}]}}\n'
    lh.opinions(lake, jsonl_source(tmp_path / "a.jsonl", text, question="cells", actor="human:ada", source="pictures"))
    before = said(lake)["a.jpg"].value[0]
    exported(lake, tmp_path / "out", task, digits=digits)
    lh.opinions(lake, source(tmp_path / "out", actor="human:bob", name="b"))
    rows = fetch(lake, "select * from current_opinions where actor_id = 'human:bob'")
    assert box_of(answer_of(rows[0]).value[0]) == pytest.approx(box_of(before), abs=0 if exact else 0.001)


@pytest.mark.parametrize(("classes", "message"), [
    ("nc: 3\nnames: [RBC, WBC]\n", "nc says 3 classes, `names` has 2"),
    ("names: [RBC, RBC]\n", "two classes have one name"),
    ("train: ../train\n", "has no `names`"),
    ("names: &a [RBC]\n", "has a form that is not read"),
])  # fmt: skip
def test_f4_a_class_list_that_contradicts_itself_is_refused(lake, tmp_path, classes, message):
    land_pictures(lake, ["a.jpg"])
    with pytest.raises(IngestError, match=message):
        lh.opinions(lake, source(labels(tmp_path / "in", classes, a=CELL)))


def test_f4_a_wrong_class_list_is_refused(lake, tmp_path):
    land_pictures(lake, ["a.jpg"])
    folder = labels(tmp_path / "in", "names: [RBC]\n", a=CELL)
    assert rules("yolo", folder, task="detect") == [("labels/a.txt", "unknown_class")]
    with pytest.raises(IngestError, match="line 1 has class 1, and the list has 1 classes"):
        lh.opinions(lake, source(folder))
    (folder / "classes.txt").write_text("WBC\nRBC\n")
    with pytest.raises(IngestError, match=r"classes.txt and .*data.yaml tell the class numbers otherwise"):
        lh.opinions(lake, source(folder))
    # Of a list that the lake holds otherwise the difference is told: numbers of the label set never change.
    lh.opinions(lake, source(folder, options={"classes": ["WBC", "RBC"]}))
    other = labels(tmp_path / "other", "names: [RBC, WBC]\n", a=CELL)
    notes = {note.rule: note.example for note in lh.opinions(lake, source(other, actor="human:bob")).notes}
    assert notes["export_id_differs"] == "yolo gives RBC the id 0, the lake holds 1, which stays"


def test_f5_the_task_is_stated_and_never_guessed(tmp_path):
    corners = "0 0.1 0.1 0.3 0.1 0.3 0.2 0.1 0.2\n"
    folder = labels(tmp_path / "in", a=corners)
    with pytest.raises(ConfigError, match="task"):
        answers("yolo", folder)
    assert [each.kind for each in answers("yolo", folder, task="segment")[0].value] == ["polygon"]
    assert [each.kind for each in answers("yolo", folder, task="obb")[0].value] == ["obb"]
    assert rules("yolo", folder, task="detect") == [("labels/a.txt", "wrong_count")]
    scored = labels(tmp_path / "scored", a="0 0.5 0.5 0.2 0.2 0.75\n")
    assert answers("yolo", scored, task="detect")[0].value[0].score == 0.75
    assert rules("yolo", scored, task="obb") == [("labels/a.txt", "wrong_count")]
    with pytest.raises(ConfigError, match="task must be one of detect, segment, obb, pose, found 'boxes'"):
        answers("yolo", folder, task="boxes")


def test_f6_an_empty_file_says_nothing_here_and_no_file_says_nothing(lake, tmp_path):
    land_pictures(lake, ["a.jpg", "b.jpg", "c.jpg"])
    lh.opinions(lake, source(labels(tmp_path / "in", a=CELL, b="\n")))
    assert {path: len(each.value) for path, each in said(lake).items()} == {"a.jpg": 1, "b.jpg": 0}
    exported(lake, tmp_path / "out")
    assert {each.name: each.read_text() for each in (tmp_path / "out/labels").iterdir()}["b.txt"] == ""
    assert not (tmp_path / "out/labels/c.txt").exists()
    written = read_yaml((tmp_path / "out/data.yaml").read_text(), {"names", "nc"})
    assert written == {"nc": 2, "names": {0: "RBC", 1: "WBC"}}


@pytest.mark.parametrize(("task", "region", "line"), [
    ("segment", '"kind": "polygon", "closed": true, "points": [{"x": 64, "y": 48}, {"x": 192, "y": 48}, '
     '{"x": 192, "y": 96}]', "0 0.1 0.1 0.3 0.1 0.3 0.2"),
    ("obb", '"kind": "box", "x": 64, "y": 48, "w": 128, "h": 48, "angle": 90',
     "0 0.2375 0.016666666666667 0.2375 0.283333333333333 0.1625 0.283333333333333 0.1625 0.016666666666667"),
    ("pose", '"kind": "keypoints", "x": 64, "y": 48, "w": 128, "h": 48, "points": [{"x": 64, "y": 48, "v": 2}, '
     '{"x": 0, "y": 0, "v": 0}, {"x": 192, "y": 96, "v": 1}]', "0 0.2 0.15 0.2 0.1 0.1 0.1 2 0 0 0 0.3 0.2 1"),
])  # fmt: skip
def test_every_task_is_written_and_read_back_as_it_was(lake, tmp_path, task, region, line):
    land_pictures(lake, ["train/a.jpg"])
    text = f'{{"subject": "train/a.jpg", "regions": [{{{region}, "label": "RBC"}}]}}\n'
    keypoints = {"keypoints": ("nose", "left", "right")} if task == "pose" else {}
    lh.opinions(lake, jsonl_source(tmp_path / "a.jsonl", text, question="cells", actor="human:ada", source="pictures",
                                   **keypoints))  # fmt: skip
    exported(lake, tmp_path / "out", task)
    assert (tmp_path / "out/labels/train/a.txt").read_text() == line + "\n"
    assert lh.opinions(lake, source(tmp_path / "out", task, actor="human:bob")).counts == counts(read=1, new=1)
    both = fetch(lake, "select * from current_opinions order by actor_id")
    before, after = (answer_of(row).value[0] for row in both)
    for name in ("kind", "label", "x", "y", "w", "h", "angle", "points"):
        stated = getattr(before, name)
        if stated is not None:
            assert getattr(after, name) == (stated if name != "points" else tuple(stated)), name


def test_a_turned_box_has_right_angles_in_pixels_and_a_trapezoid_is_kept_as_polygon(lake, tmp_path):
    land_pictures(lake, ["a.jpg"])
    corners = corners_of(100, 100, 200, 50, 30) / (640, 480)
    line = " ".join(f"{each:.9f}" for each in corners.ravel())
    notes = lh.opinions(lake, source(labels(tmp_path / "in", a=f"0 {line}\n1 .1 .1 .3 .1 .2 .2 .1 .2\n"), "obb")).notes
    box, polygon = said(lake)["a.jpg"].value
    assert [box.x, box.y, box.w, box.h, box.angle] == pytest.approx([100, 100, 200, 50, 30], abs=0.0001)
    assert (polygon.kind, polygon.label) == ("polygon", "WBC")
    assert [note.rule for note in notes] == ["no_rectangle"]


def test_a_picture_that_viewers_turn_is_labelled_as_it_is_shown(lake, tmp_path):
    land_pictures(lake, ["a.jpg"], width=480, height=640, orientation=6)
    lh.opinions(lake, source(labels(tmp_path / "in", a=CELL)))
    answer = said(lake)["a.jpg"]
    # Shown as 640 x 480: the box 259, 176, 232 x 200 there is 176, 149 with 200 x 232 px of the stored one.
    assert box_of(answer.value[0]) == pytest.approx([176, 149, 200, 232], abs=0.001)
    exported(lake, tmp_path / "out", digits=6)
    assert (tmp_path / "out/labels/a.txt").read_text() == "1 0.585938 0.575 0.3625 0.416667\n"


def test_what_has_no_size_cannot_be_scaled_and_waits_or_is_rejected(lake, tmp_path):
    land(lake, ["a.jpg"], source="pictures")
    with pytest.raises(IngestError, match="size_unknown: is in shares of its picture, whose size cannot be read"):
        lh.opinions(lake, source(labels(tmp_path / "in", a=CELL)))
    late = source(labels(tmp_path / "late", b=CELL, c=CELL))
    assert lh.opinions(lake, late).counts == counts(read=2, unmatched=2)
    land_pictures(lake, ["b.jpg"])
    land(lake, ["c.jpg"], source="pictures")
    assert lh.resolve_parked(lake).counts == {"waiting": 2, "new": 1, "same": 0, "rejected": 1, "still_parked": 0}
    assert box_of(said(lake)["b.jpg"].value[0]) == pytest.approx([259, 176, 232, 200], abs=0.001)


@pytest.mark.parametrize(("text", "names"), [
    ("names: [a, 'b c', \"d\"]", ["a", "b c", "d"]),
    ("names: [a,\n  b,  # the second\n]\nnc: 2", ["a", "b"]),
    ("names:\n- a\n- 'it''s'\n", ["a", "it's"]),
    ("names:\n  0: a  # first\n  7: b#2\ntrain: x", {0: "a", 7: "b#2"}),
    ("names: {0: a, 1: 'b: c'}", {0: "a", 1: "b: c"}),
    ("# a comment\npath: ../x\nnames:\n\n  - 007\n", [7]),
])  # fmt: skip
def test_the_forms_of_data_yaml(text, names):
    assert read_yaml(text, {"names"})["names"] == names


@pytest.mark.parametrize("text", ["names: [a, [b]]", "names: [a", "names: !x a", "names:\n  a\n", "names: |\n  a"])
def test_other_forms_of_yaml_are_refused(text):
    with pytest.raises(RejectedInputError, match="bad_yaml"):
        read_yaml(text, {"names"})


def test_files_that_are_no_labels_are_rejected_by_rule(tmp_path):
    lines = {"a": "0 0.1 0.1 x 0.1\n", "b": "zero 0 0 0 0\n", "c": "0 0.1 0.1 -0.2 0.1\n", "d": "0 nan 0 0 0\n"}
    folder = labels(tmp_path / "in", **lines)
    assert [rule for _, rule in rules("yolo", folder, task="detect")] == [
        "not_a_number", "not_an_integer", "inverted_box", "not_a_number",
    ]


@pytest.mark.skipif(importlib.util.find_spec("supervision") is None, reason="needs the extra `oracles`")
@pytest.mark.filterwarnings("ignore")
def test_supervision_reads_the_same_boxes(lake, tmp_path):
    from PIL import Image

    supervision = pytest.importorskip("supervision")
    land_pictures(lake, ["a.jpg"])
    lh.opinions(lake, source(labels(tmp_path / "in", a=CELL)))
    exported(lake, tmp_path / "out")
    (tmp_path / "out/images").mkdir()
    Image.new("RGB", (640, 480)).save(tmp_path / "out/images/a.jpg")
    found = supervision.DetectionDataset.from_yolo(
        str(tmp_path / "out/images"), str(tmp_path / "out/labels"), str(tmp_path / "out/data.yaml")
    )
    ((_, _, detections),) = found
    assert (found.classes, detections.class_id.tolist()) == (["RBC", "WBC"], [1])
    assert detections.xyxy[0].tolist() == pytest.approx([259, 176, 491, 376], abs=0.001)
