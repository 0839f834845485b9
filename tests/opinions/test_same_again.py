"""What was exported and is read back into the lake it came from, or is taken back again, is no other event."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import lakehouse as lh
from jobs import opinions as job
from jobs.common import main_of
from lakehouse.lake import Lake
from lakehouse.opinions.imports import find_imports
from lakehouse.opinions.retract import retract_import, retract_opinions
from lakehouse.query import fetch
from tests.opinions.making import counts, csv_source, jsonl_source

BOX = {"kind": "box", "label": "y", "x": 1.0, "y": 2.0, "w": 6.0, "h": 7.5}
TWO_PARTS = {
    "kind": "polygon", "label": "x", "closed": True, "part_sizes": [3, 3], "x": 1.0, "y": 1.0, "w": 24.0, "h": 26.0,
    "points": [{"x": 1.0, "y": 1.0}, {"x": 9.0, "y": 1.0}, {"x": 9.0, "y": 9.0},
               {"x": 20.0, "y": 20.0}, {"x": 25.0, "y": 20.0}, {"x": 25.0, "y": 27.0}],
}  # fmt: skip


def held(lake: Lake) -> list[tuple[object, ...]]:
    rows = fetch(lake, "select actor_id, op, slot, label, votes from current_opinions order by all")
    return [tuple(row.values()) for row in rows]


def test_our_csv_is_known_by_its_header_and_read_back_nobody_is_counted_twice(photos, tmp_path):
    told = [
        {"subject": "cat/1.jpg", "actor": "human:ada", "label": "cat"},
        {"subject": "cat/1.jpg", "actor": "human:bob", "label": "dog", "slot": "2"},
        {"subject": "cat/2.jpg", "actor": "human:bob", "op": "abstain", "reason": "dark"},
    ]
    lh.opinions(photos, jsonl_source(tmp_path / "said.jsonl", "".join(json.dumps(each) + "\n" for each in told)))
    before = held(photos)
    lh.export_opinions(photos, format="csv", path=tmp_path / "out.csv", question="animal")
    assert (tmp_path / "out.csv").read_text().splitlines()[:2] == [
        "subject,label,actor,question,slot,op,time,confidence,reason", "cat/1.jpg,cat,human:ada,animal,,assert,,,",
    ]
    photos_root = str(photos.root)
    for stated in (["--question", "animal"], []):
        assert main_of(job, ["--lake", photos_root, "--path", str(tmp_path / "out.csv"), *stated]) == 0
    assert held(photos) == before


@pytest.mark.parametrize("slots", [("", "again"), ("dog", "cat")])
def test_votes_of_our_csv_stay_in_the_slots_that_are_written(photos, tmp_path, slots):
    told = [
        {"subject": "cat/1.jpg", "actor": "pool:crowd", "label": label, "votes": votes, "slot": slot}
        for label, votes, slot in (("dog", 1, slots[0]), ("cat", 48, slots[1]))
    ]
    lh.opinions(photos, jsonl_source(tmp_path / "said.jsonl", "".join(json.dumps(each) + "\n" for each in told)))
    before = held(photos)
    lh.export_opinions(photos, format="csv", path=tmp_path / "out.csv", question="animal")
    assert main_of(job, ["--lake", str(photos.root), "--path", str(tmp_path / "out.csv")]) == 0
    assert held(photos) == before


def test_a_lone_carriage_return_in_a_text_is_quoted(photos, tmp_path):
    told = json.dumps({"subject": "cat/1.jpg", "question": "title", "text": "one\rtwo"}) + "\n"
    lh.opinions(photos, jsonl_source(tmp_path / "said.jsonl", told))
    lh.export_opinions(photos, format="csv", path=tmp_path / "out.csv", question="title")
    again = csv_source(tmp_path / "out.csv", question="title", options={"value_kind": "text"})
    assert lh.opinions(photos, again).counts == counts(read=1, same=1)


def picture(lake: Lake, folder: Path) -> str:
    folder.mkdir()
    Image.new("RGB", (40, 30), (1, 2, 3)).save(folder / "a.png")
    lh.land(lake, lh.Source(name="pictures", folder=str(folder)))
    lh.entities(lake)
    lh.dimensions(lake)
    return str(fetch(lake, "select entity_id from silver.entity_sources where path = 'a.png'")[0]["entity_id"])


@pytest.mark.parametrize("region", [BOX, TWO_PARTS], ids=["box", "polygon"])
def test_regions_come_back_from_json_lines_as_the_same_answer(lake, tmp_path, region):
    found = picture(lake, tmp_path / "pictures")
    lh.record_opinions(lake, [{"entity_id": found, "regions": [region]}], source="s", question="q", actor="human:ann")
    lh.export_opinions(lake, format="jsonl", path=tmp_path / "out.jsonl", question="q", actor="human:ann")
    source = lh.OpinionSource(format="jsonl", path=str(tmp_path / "out.jsonl"), question="q", actor="human:ann")
    assert lh.opinions(lake, source).counts == counts(read=1, same=1)


def test_a_polygon_of_coco_comes_back_as_json_lines(lake, tmp_path):
    picture(lake, tmp_path / "pictures")
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "categories": [{"id": 1, "name": "x"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 32, "bbox": [1, 1, 8, 8],
                         "segmentation": [[1, 1, 9, 1, 9, 9]]}],
    }  # fmt: skip
    (tmp_path / "c.json").write_text(json.dumps(coco))
    said = {"question": "q", "actor": "human:ann", "max_rejected_share": 1.0}
    lh.opinions(lake, lh.OpinionSource(format="coco", path=str(tmp_path / "c.json"), **said))
    lh.export_opinions(lake, format="jsonl", path=tmp_path / "o.jsonl", question="q")
    again = lh.opinions(lake, lh.OpinionSource(format="jsonl", path=str(tmp_path / "o.jsonl"), **said))
    assert again.counts == counts(read=1, same=1)


def test_what_is_taken_back_is_not_taken_back_again_for_another_reason(photos, tmp_path):
    lh.opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\ncat/1.jpg,cat\ncat/2.jpg,dog\n"))
    first, second = (row["opinion_id"] for row in fetch(photos, "select opinion_id from silver.opinions order by 1"))
    assert retract_opinions(photos, [first], reason="slip").counts == counts(read=1, new=1)
    assert retract_opinions(photos, [first], reason="another").counts == counts(read=1, same=1)
    retract_import(photos, find_imports(photos, "a.csv")[0])
    assert retract_opinions(photos, [first, second], reason="a third").counts == counts(read=2, same=2)
    assert fetch(photos, "select count(*) as n from silver.opinions where op = 'retract'") == [{"n": 2}]
