"""A label that was merged into another goes out as that one, from when we knew of the merge on."""

from __future__ import annotations

import json

import pytest

import lakehouse as lh
from lakehouse.errors import ConfigError
from lakehouse.labels.changes import merge_label
from lakehouse.opinions.exporting.merging import merged
from lakehouse.opinions.formats.writer import Ontology
from lakehouse.opinions.formats.yolo.write import class_numbers
from lakehouse.opinions.reading.answer import Answer
from tests.opinions.making import jsonl_source

CAT, KITTEN = (f'{{"kind": "box", "label": "{name}", "x": 1, "y": 2, "w": 3, "h": 4}}' for name in ("cat", "kitten"))


@pytest.fixture
def merged_lake(photos, tmp_path, clock):
    line = f'{{"subject": "cat/1.jpg", "frame_w": 20, "frame_h": 20, "regions": [{CAT}, {KITTEN}]}}\n'
    lh.opinions(photos, jsonl_source(tmp_path / "said.jsonl", line, question="bx", actor="human:ada"))
    then = clock.now
    clock.forward(days=1)
    merge_label(photos, "bx", "kitten", "cat")
    return photos, then


def export(lake, path, format, **more):
    return lh.export_opinions(lake, format=format, path=path, question="bx", actor="human:ada", **more)


def test_every_format_but_json_lines_writes_the_label_that_stands_for_another(merged_lake, tmp_path):
    lake, _ = merged_lake
    receipt = export(lake, tmp_path / "coco.json", "coco")
    found = json.loads((tmp_path / "coco.json").read_text())
    assert [each["name"] for each in found["categories"]] == ["cat"]
    assert [each["category_id"] for each in found["annotations"]] == [found["categories"][0]["id"]] * 2
    assert {note.rule: note.count for note in receipt.notes}["labels_merged"] == 1
    export(lake, tmp_path / "yolo", "yolo", options={"task": "detect"})
    assert [line[0] for line in (tmp_path / "yolo/labels/cat/1.txt").read_text().splitlines()] == ["0", "0"]
    export(lake, tmp_path / "voc", "voc")
    export(lake, tmp_path / "labelme", "labelme")
    for file in ("voc/cat/1.xml", "labelme/cat/1.json"):
        assert "kitten" not in (tmp_path / file).read_text()
    export(lake, tmp_path / "out.jsonl", "jsonl")
    line = json.loads((tmp_path / "out.jsonl").read_text())
    assert [each["label"] for each in line["regions"]] == ["cat", "kitten"]


def test_before_the_merge_was_known_both_labels_go_out(merged_lake, tmp_path):
    lake, then = merged_lake
    export(lake, tmp_path / "then.json", "coco", known_at=then)
    found = json.loads((tmp_path / "then.json").read_text())
    assert [each["name"] for each in found["categories"]] == ["cat", "kitten"]
    assert len({each["category_id"] for each in found["annotations"]}) == 2
    export(lake, tmp_path / "yolo", "yolo", options={"task": "detect"}, known_at=then)
    assert [line[0] for line in (tmp_path / "yolo/labels/cat/1.txt").read_text().splitlines()] == ["0", "1"]


@pytest.mark.parametrize(("kind", "value", "found"), [
    ("label", "kitten", "cat"), ("labels", ("dog", "kitten", "cat"), ("cat", "dog")),
    ("ranking", ("kitten", "dog", "cat"), ("cat", "dog")), ("text", "kitten", "kitten"),
])  # fmt: skip
def test_labels_of_every_kind_of_answer_are_merged(kind, value, found):
    answer = Answer(actor_id="human:ada", question_id="q", question_version=1, subject_key="s", value_kind=kind,
                    value=value, event_time_source="unknown", probs={"kitten": 0.5, "cat": 0.25, "dog": 0.25},
                    )  # fmt: skip
    made, replaced = merged(answer, {("q", 1, "kitten"): "cat"})
    assert (made.value, made.probs, replaced) == (found, {"cat": 0.75, "dog": 0.25}, "kitten")
    assert merged(answer, {("q", 2, "kitten"): "cat"}) == (answer, "")


def test_a_label_of_no_label_set_is_told_by_its_name():
    with pytest.raises(ConfigError, match="label 'kitten' is in no label set of its question .which has cat."):
        class_numbers(Ontology(labels=("cat",)))["kitten"]
