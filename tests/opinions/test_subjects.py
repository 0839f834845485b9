"""How a name in an annotation file finds its entity."""

from __future__ import annotations

import unicodedata

import pytest

from lakehouse.opinions.step import import_opinions
from lakehouse.opinions.subjects import key_forms
from lakehouse.query import fetch
from tests.making import entity_id
from tests.opinions.making import counts, csv_source, land, said


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("cat/1.jpg", "auto"),
        ("1.jpg", "auto"),
        ("./cat/1.jpg", "auto"),
        ("cat\\1.jpg", "auto"),
        ("/data/drop/cat/1.jpg", "auto"),
        ("file:///drops/photos/cat/1.jpg", "auto"),
        (entity_id("cat/1.jpg"), "auto"),
        (entity_id("cat/1.jpg").upper(), "sha256"),
        ("elsewhere/1.jpg", "name"),
        ("1", "stem"),
    ],
)
def test_a_subject_is_found_by_path_name_uri_or_hash(photos, tmp_path, key, match):
    import_opinions(photos, csv_source(tmp_path / "a.csv", f"subject,label\n{key},cat\n", match=match))
    assert said(photos) == [("cat/1.jpg", "cat")]


def test_a_path_in_another_folder_is_not_taken_for_it(photos, tmp_path):
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\nelsewhere/1.jpg,cat\n"))
    assert receipt.counts == counts(read=1, unmatched=1)


def test_a_name_that_several_entities_have_is_parked_as_ambiguous(photos, tmp_path):
    land(photos, {"a/x.jpg": "first", "b/x.jpg": "second"})
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\nx.jpg,cat\nb/x.jpg,dog\n"))
    assert receipt.counts == counts(read=2, new=1, unmatched=1)
    assert fetch(photos, "select subject_key, reason, location from silver.parked_opinions") == [
        {"subject_key": "x.jpg", "reason": "ambiguous: 2 entities fit", "location": "a.csv:2"}
    ]


def test_the_same_bytes_at_two_paths_are_one_subject_and_not_ambiguous(photos, tmp_path):
    land(photos, {"a/x.jpg": "same", "b/x.jpg": "same"})
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\nx.jpg,cat\n"))
    assert receipt.counts == counts(read=1, new=1)


def test_of_one_path_the_newest_bytes_are_meant(photos, tmp_path, clock):
    clock.forward(days=1)
    land(photos, {"cat/1.jpg": "new bytes"})
    import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\ncat/1.jpg,cat\n"))
    assert fetch(photos, "select subject_id from silver.opinions") == [{"subject_id": entity_id("new bytes")}]


def test_a_name_is_looked_for_in_its_source_only(photos, tmp_path):
    land(photos, {"1.jpg": "another one"}, source="others")
    import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\n1.jpg,cat\n", source="others"))
    assert fetch(photos, "select subject_id from silver.opinions") == [{"subject_id": entity_id("another one")}]


def test_decomposed_and_composed_names_find_each_other(photos, tmp_path):
    composed = "caf\u00e9.jpg"
    land(photos, {unicodedata.normalize("NFD", composed): "nfd", "tsch\u00fcss.jpg": "nfc"})
    other = unicodedata.normalize("NFD", "tsch\u00fcss.jpg")
    text = f"subject,label\n{composed},cat\n{other},dog\n"
    assert import_opinions(photos, csv_source(tmp_path / "a.csv", text)).counts == counts(read=2, new=2)


def test_a_percent_sign_in_a_name_is_found_as_the_lake_writes_it(photos, tmp_path):
    land(photos, {"100%25 cat.jpg": "percent"})
    text = "subject,label\n100% cat.jpg,cat\n"
    assert import_opinions(photos, csv_source(tmp_path / "a.csv", text)).counts == counts(read=1, new=1)


def test_spellings_of_a_key_are_few_and_without_repeats():
    assert key_forms("a/1.jpg", "path") == ["a/1.jpg"]
    assert key_forms("ABCD", "sha256") == ["abcd"]
    assert key_forms("./a\\b%.jpg", "path") == ["a/b%25.jpg", "a/b%.jpg"]
