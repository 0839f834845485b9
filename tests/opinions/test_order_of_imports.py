"""Files that come again after others: of undated answers the one imported last holds, whatever the files are called."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakehouse.lake import Lake
from lakehouse.opinions.step import import_all, record_opinions
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.query import fetch
from lakehouse.steps.receipts import Receipt
from tests.making import entity_id
from tests.opinions.making import counts, csv_source, jsonl_source, said, versions

CAT, DOG = "subject,label\n1.jpg,cat\n3.jpg,dog\n", "subject,label\n1.jpg,dog\n"


def noted(receipt: Receipt) -> dict[str, int]:
    return {note.rule: note.count for note in receipt.notes}


def drop_notes(lake: Lake) -> None:
    for note in (lake.runs / "fresh").iterdir():
        note.unlink()


@pytest.mark.parametrize(
    "names", [("labels.csv", "fix.csv", "labels.csv"), ("a.csv", "a.csv", "a.csv"), ("a.csv", "b.csv", "c.csv")]
)
def test_what_was_imported_last_holds_whatever_the_files_are_called(photos, tmp_path, names):
    for name, text, label in zip(names, (CAT, DOG, CAT), ("cat", "dog", "cat"), strict=True):
        receipt = import_opinions(photos, csv_source(tmp_path / name, text))
        assert said(photos)[0] == ("cat/1.jpg", label)
    assert receipt.counts == counts(read=2, new=1, same=1)
    assert noted(receipt) == {"said_again": 1}
    before = versions(photos)
    assert not import_opinions(photos, csv_source(tmp_path / names[-1])).changed
    drop_notes(photos)
    again = import_opinions(photos, csv_source(tmp_path / names[-1]))
    assert (again.counts, again.notes) == (counts(read=2, same=2), ())
    assert versions(photos) == before


def test_an_older_file_with_a_stated_time_changes_nothing_and_says_so(photos, tmp_path):
    for name, text, day in (("labels.csv", CAT, 1), ("fix.csv", DOG, 2), ("labels.csv", CAT, 1)):
        source = csv_source(tmp_path / name, text, valid_time=datetime(2025, 1, day, tzinfo=UTC))
        receipt = import_opinions(photos, source)
    assert receipt.counts == counts(read=2, same=2)
    assert noted(receipt) == {"not_current": 1}
    assert receipt.notes[0].example.startswith("labels.csv:2: about 1.jpg is known, and is not what its actor says")
    assert said(photos)[0] == ("cat/1.jpg", "dog")


def test_a_history_that_comes_again_is_nothing_to_note(photos, tmp_path):
    text = "subject,label,at\n1.jpg,cat,2025-01-01\n1.jpg,dog,2025-01-02\n"
    for name in ("a.csv", "b.csv"):
        source = csv_source(tmp_path / name, text, options={"columns": {"time": "at"}})
        receipt = import_opinions(photos, source)
    assert (receipt.counts, receipt.notes) == (counts(read=2, same=2), ())


def test_an_answer_that_its_actor_took_back_does_not_come_back_and_that_is_noted(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", CAT))
    target = fetch(photos, "select opinion_id from silver.opinions where label = 'cat'")[0]["opinion_id"]
    line = f'{{"subject": "1.jpg", "op": "retract", "target_opinion_id": "{target}"}}\n'
    import_opinions(photos, jsonl_source(tmp_path / "r.jsonl", line))
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv"))
    assert (receipt.counts, noted(receipt)) == (counts(read=2, same=2), {"not_current": 1})
    assert said(photos) == [("dog/3.jpg", "dog")]


def test_files_of_a_pipeline_that_correct_each_other_add_nothing_when_it_runs_again(photos, tmp_path):
    sources = [csv_source(tmp_path / "labels.csv", CAT), csv_source(tmp_path / "fix.csv", DOG)]
    list(import_all(photos, sources))
    before = versions(photos)
    assert [receipt.changed for receipt in import_all(photos, sources)] == [False, False]
    assert versions(photos) == before
    assert said(photos)[0] == ("cat/1.jpg", "dog")


def test_a_pipeline_ends_with_its_correction_when_the_corrected_file_grew(photos, tmp_path):
    sources = [csv_source(tmp_path / "labels.csv", CAT), csv_source(tmp_path / "fix.csv", DOG)]
    list(import_all(photos, sources))
    (tmp_path / "labels.csv").write_text(CAT + "4.jpg,dog\n")
    list(import_all(photos, sources))
    assert said(photos) == [("cat/1.jpg", "dog"), ("dog/3.jpg", "dog"), ("dog/4.jpg", "dog")]


def test_answers_of_others_are_no_reason_to_read_a_file_again(photos, tmp_path):
    import_opinions(photos, csv_source(tmp_path / "a.csv", CAT))
    import_opinions(photos, csv_source(tmp_path / "b.csv", DOG, actor="human:bo"))
    import_opinions(photos, csv_source(tmp_path / "c.csv", DOG, question="other"))
    assert import_opinions(photos, csv_source(tmp_path / "a.csv")).details["unchanged"]


def test_a_prediction_that_comes_again_after_another_one_holds_again(photos):
    for label in ("cat", "dog", "cat"):
        rows = [{"entity_id": entity_id("cat/1.jpg"), "label": label}]
        receipt = record_opinions(photos, rows, source="cnn", question="animal", actor="model:cnn@1")
        assert said(photos) == [("cat/1.jpg", label)]
    assert noted(receipt) == {"said_again": 1}


def test_answers_that_wait_are_parked_once_however_often_their_file_comes(photos, tmp_path):
    text = "subject,label\n8.jpg,cat\n8.jpg,dog\n9.jpg,cat\n"
    import_opinions(photos, csv_source(tmp_path / "a.csv", text))
    before = versions(photos)
    for name in ("a.csv", "b.csv"):
        drop_notes(photos)
        assert import_opinions(photos, csv_source(tmp_path / name, text)).counts == counts(read=3, unmatched=3)
    assert versions(photos) == before
