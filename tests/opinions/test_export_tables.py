"""Writing JSON lines, CSV and ImageFolder, and reading them back: nothing new comes in."""

from __future__ import annotations

import hashlib
import json

import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.errors import ConfigError
from lakehouse.query import fetch
from tests.making import small_lake
from tests.opinions.making import counts, csv_source, jsonl_source, land

EVERYTHING = [
    {"subject": "cat/1.jpg", "actor": "human:ann", "label": "cat", "event_time": "2024-05-01T10:00:00.000001Z",
     "confidence": 0.5, "reason": "whiskers", "ext": {"seconds": "3"}},
    {"subject": "cat/1.jpg", "actor": "human:bob", "label": "dog", "votes": 3},
    {"subject": "cat/2.jpg", "actor": "human:bob", "op": "abstain", "reason": "blurred"},
    {"subject": "cat/2.jpg", "actor": "model:cnn@3", "probs": {"cat": 0.75, "dog": 0.25}},
    {"subject": "cat/1.jpg", "question": "cells", "frame_w": 640, "frame_h": 480, "regions": [
        {"kind": "box", "label": "a", "x": 0.1, "y": 2, "w": 3, "h": 4, "angle": 30, "attrs": {"occluded": "1"}},
        {"kind": "keypoints", "points": [{"x": 1, "y": 2, "v": 2}, {"x": 0, "y": 0, "v": 0}], "part_sizes": [2]}]},
    {"subject": "cat/2.jpg", "question": "cells", "regions": []},
    {"subject": "cat/1.jpg", "question": "sharp", "bool": True},
    {"subject": "cat/1.jpg", "question": "score", "number": 0.1},
    {"subject": "cat/1.jpg", "question": "title", "text": "two\nlines, \"quoted\" 🐱"},
    {"subject": "cat/1.jpg", "question": "tags", "labels": ["b", "a"]},
    {"subject": "cat/1.jpg", "question": "order", "ranking": ["x", "y"]},
    {"subject": "cat/1.jpg", "question": "words", "spans": [{"kind": "span", "char_start": 1, "char_end": 2}]},
    {"subject": "cat/1.jpg", "question": "vector", "value_kind": "embedding", "value_ref": "s3://b/v.npy#1f"},
]


def lines(*records) -> str:
    return "".join(json.dumps(each) + "\n" for each in records)


def state(lake) -> list[tuple]:
    rows = fetch(lake, "select opinion_id, value_hash, actor_id, question_id, subject_id, source_key, raw_json, ext "
                 "from silver.opinions order by opinion_id")  # fmt: skip
    return [tuple(str(value) for value in row.values()) for row in rows]


def test_json_lines_hold_everything_and_reading_them_back_adds_nothing(photos, tmp_path):
    said = jsonl_source(tmp_path / "said.jsonl", lines(*EVERYTHING), options={"keep_raw": True})
    assert lh.opinions(photos, said).counts == counts(read=13, new=13)
    receipt = lh.export_opinions(photos, format="jsonl", path=tmp_path / "out.jsonl")
    assert (receipt.counts, receipt.notes) == ({"answers": 13, "exported": 13}, ())
    again = jsonl_source(tmp_path / "again.jsonl", (tmp_path / "out.jsonl").read_text(), actor="human:nobody")
    assert lh.opinions(photos, again).counts == counts(read=13, same=13)


def test_json_lines_are_the_same_opinions_in_another_lake(photos, tmp_path):
    lh.opinions(photos, jsonl_source(tmp_path / "said.jsonl", lines(*EVERYTHING)))
    # A correction: what it replaces was found out here, and is no part of what was said.
    other = {"subject": "cat/1.jpg", "question": "tags", "labels": ["c"]}
    assert lh.opinions(photos, jsonl_source(tmp_path / "new.jsonl", lines(other))).counts["new"] == 1
    lh.export_opinions(photos, format="jsonl", path=tmp_path / "out.jsonl")
    again = jsonl_source(tmp_path / "again.jsonl", (tmp_path / "out.jsonl").read_text(), actor="human:nobody")
    assert lh.opinions(photos, again).counts == counts(read=13, same=13)
    with small_lake(tmp_path / "other", "opinions.max_rejected_share=1.0") as second:
        land(second, ["cat/1.jpg", "cat/2.jpg"])
        assert lh.opinions(second, again).counts == counts(read=13, new=13)
        held = {row[0]: row for row in state(photos)}
        assert all(held[row[0]] == row for row in state(second))


def test_csv_holds_people_times_and_declining(photos, tmp_path):
    lh.opinions(photos, jsonl_source(tmp_path / "said.jsonl", lines(*EVERYTHING[:3])))
    receipt = lh.export_opinions(photos, format="csv", path=tmp_path / "out.csv", question="animal")
    assert receipt.counts == {"answers": 3, "exported": 3}
    text = (tmp_path / "out.csv").read_text()
    assert text.splitlines() == [
        "subject,label,actor,question,slot,op,votes,time,confidence,reason",
        "cat/1.jpg,cat,human:ann,animal,,assert,1,2024-05-01T10:00:00.000001+00:00,0.5,whiskers",
        "cat/1.jpg,dog,human:bob,animal,,assert,3,,,",
        "cat/2.jpg,,human:bob,animal,,abstain,1,,,blurred",
    ]
    roles = {name: name for name in text.splitlines()[0].split(",")}
    del roles["slot"], roles["votes"]
    again = lh.opinions(photos, csv_source(tmp_path / "out.csv", options={"columns": roles}))
    assert (again.counts["rejected"], again.counts["unmatched"]) == (0, 0)


@pytest.mark.parametrize(("record", "kind", "cell"), [
    ({"labels": ["b", "a"]}, "labels", "a|b"), ({"number": 0.1}, "number", "0.1"), ({"bool": False}, "bool", "false"),
    ({"text": "NA"}, "text", "NA"), ({"label": "007"}, "label", "007"),
])  # fmt: skip
def test_f25_text_stays_text_on_its_way_out_and_back(photos, tmp_path, record, kind, cell):
    lh.opinions(photos, jsonl_source(tmp_path / "a.jsonl", lines({"subject": "cat/1.jpg", **record})))
    lh.export_opinions(photos, format="csv", path=tmp_path / "out.csv", question="animal")
    assert (tmp_path / "out.csv").read_text().splitlines()[1].split(",")[1] == cell
    again = csv_source(tmp_path / "out.csv", options={"value_kind": kind})
    assert lh.opinions(photos, again).counts == counts(read=1, same=1)


def test_csv_refuses_labels_with_its_separator(photos, tmp_path):
    lh.opinions(photos, jsonl_source(tmp_path / "a.jsonl", lines({"subject": "cat/1.jpg", "labels": ["a|b"]})))
    with pytest.raises(ConfigError, match="has the separator"):
        lh.export_opinions(photos, format="csv", path=tmp_path / "out.csv", question="animal")
    assert not (tmp_path / "out.csv").exists()


def test_csv_tells_what_it_loses(photos, tmp_path):
    lh.opinions(photos, jsonl_source(tmp_path / "a.jsonl", lines(EVERYTHING[3])))
    receipt = lh.export_opinions(photos, format="csv", path=tmp_path / "out.csv", question="animal")
    assert [note.rule for note in receipt.notes] == ["lost_probs"]


def test_formats_of_one_question_want_it_named(photos, tmp_path):
    with pytest.raises(ConfigError, match="holds answers to one question; name it: --question"):
        lh.export_opinions(photos, format="csv", path=tmp_path / "out.csv")


@pytest.fixture
def pictures(tmp_path):
    """A lake that holds the bytes of two pictures of one name."""
    with small_lake(tmp_path / "pictures") as lake:
        for name, shade in (("a/1.png", 1), ("b/1.png", 2)):
            (tmp_path / "drop" / name).parent.mkdir(parents=True)
            Image.new("L", (4, 3), shade).save(tmp_path / "drop" / name)
        lh.land(lake, lh.Source(name="drop", folder=str(tmp_path / "drop")))
        lh.entities(lake)
        yield lake


def test_f26_an_imagefolder_is_read_back_as_it_was_written(pictures, tmp_path):
    said = lines({"subject": "a/1.png", "label": "Cardigan"}, {"subject": "b/1.png", "label": "Cardigan"})
    lh.opinions(pictures, jsonl_source(tmp_path / "said.jsonl", said, source="drop"))
    lh.export_opinions(pictures, format="imagefolder", path=tmp_path / "out", question="animal")
    found = sorted(each.relative_to(tmp_path / "out").as_posix() for each in (tmp_path / "out").rglob("*.png"))
    assert found == ["Cardigan/a_1.png", "Cardigan/b_1.png"]
    wrote = {hashlib.sha256((tmp_path / "out" / each).read_bytes()).hexdigest() for each in found}
    assert wrote == {row["subject_id"] for row in fetch(pictures, "select subject_id from silver.opinions")}


def test_f26_labels_that_differ_in_case_alone_are_refused_as_folders(pictures, tmp_path):
    said = lines({"subject": "a/1.png", "label": "Cardigan"}, {"subject": "b/1.png", "label": "cardigan"})
    lh.opinions(pictures, jsonl_source(tmp_path / "said.jsonl", said, source="drop"))
    with pytest.raises(ConfigError, match="labels 'Cardigan', 'cardigan' are one folder on many disks"):
        lh.export_opinions(pictures, format="imagefolder", path=tmp_path / "out", question="animal")
