"""How names that annotation tools write find their entities; what fits nothing waits and is listed."""

from __future__ import annotations

import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.query import fetch
from tests.making import small_lake
from tests.opinions.making import counts, csv_source, land, said


def taken(lake, tmp_path, *keys, **changes):
    text = "subject,label\n" + "".join(f'"{key}",cat\n' for key in keys)
    receipt = import_opinions(lake, csv_source(tmp_path / "keys.csv", text, **changes))
    return receipt, [path for path, _ in said(lake)]


@pytest.mark.parametrize(("key", "path", "rule"), [
    ("data/upload/3/ab12cd-my photo.jpg", "my photo.jpg", "matched_by_upload"),
    ("/data/upload/3/0123abcd-1.jpg", "cat/1.jpg", "matched_by_upload"),
    ("0123abcd-1.jpg", "cat/1.jpg", "matched_by_upload"),
    ("/data/local-files/?d=drop/cat%2F9.jpg", "cat/9.jpg", "matched_by_url"),
    ("https://host.example/a/b%20c.jpg?sig=1#x", "a/b c.jpg", "matched_by_url"),
    ("s3://bucket/drop/cat/9.jpg", "cat/9.jpg", "matched_by_tail"),
    ("..\\img\\9.jpg", "img/9.jpg", None),
    ("../../img/9.jpg", "drop/img/9.jpg", None),
    ("C:\\photos\\9.jpg", "9.jpg", "matched_by_tail"),
])  # fmt: skip
def test_f32_names_that_tools_write_find_their_entity(photos, tmp_path, key, path, rule):
    land(photos, [path])
    receipt, found = taken(photos, tmp_path, key)
    assert (found, [note.rule for note in receipt.notes]) == ([path], [rule] if rule else [])


def test_f32_a_file_that_is_called_so_comes_before_what_is_guessed(photos, tmp_path):
    land(photos, ["0123abcd-1.jpg"])
    assert taken(photos, tmp_path, "0123abcd-1.jpg")[1] == ["0123abcd-1.jpg"]


def test_f32_two_uploads_that_mean_one_thing_are_not_guessed(photos, tmp_path):
    receipt, found = taken(photos, tmp_path, "0123abcd-1.jpg", "ffffffff-1.jpg")
    assert (receipt.counts, found) == (counts(read=2, unmatched=2), [])


def test_f32_what_fits_nothing_is_listed_and_none_is_dropped(photos, tmp_path):
    odd = ("data/upload/1/abcdef-nothing.jpg", "https://host/", "http://[", "d=1")
    receipt, _ = taken(photos, tmp_path, "1.jpg", *odd)
    assert receipt.counts == counts(read=5, new=1, unmatched=4)
    rows = fetch(photos, "select subject_key, location from silver.parked_opinions order by location")
    assert [(row["subject_key"], row["location"]) for row in rows] == [
        ("data/upload/1/abcdef-nothing.jpg", "keys.csv:3"), ("https://host/", "keys.csv:4"),
        ("http://[", "keys.csv:5"), ("d=1", "keys.csv:6"),
    ]  # fmt: skip


@pytest.mark.parametrize("match", ["path", "name", "sha256", "uri"])
def test_f32_nothing_is_guessed_under_a_rule_that_is_stated(photos, tmp_path, match):
    assert taken(photos, tmp_path, "ab12cd-1.jpg", match=match)[0].counts == counts(read=1, unmatched=1)


def test_f32_the_id_of_a_sidecar_names_its_file(tmp_path):
    (tmp_path / "drop").mkdir()
    for shade, name in enumerate(("a.png", "b.png")):
        Image.new("L", (4, 3), shade).save(tmp_path / "drop" / name)
    (tmp_path / "drop" / "index.csv").write_text("path,id\na.png,7\nb.png,8\n")
    with small_lake(tmp_path / "lake", "opinions.max_rejected_share=1.0") as lake:
        lh.land(lake, lh.Source(name="photos", folder=str(tmp_path / "drop"), sidecar="index.csv"))
        lh.entities(lake)
        receipt, _ = taken(lake, tmp_path, "8", "9", match="id")
        assert receipt.counts == counts(read=2, new=1, unmatched=1)
        assert said(lake) == [("b.png", "cat")]
