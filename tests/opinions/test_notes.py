"""What was taken and is remarkable all the same: counted by rule, said to a person, found again by a query."""

from __future__ import annotations

import logging

import pyarrow as pa

from lakehouse.opinions.reading.answer import Answer, Note, Reject
from lakehouse.opinions.reading.answer_rows import ITEMS, ReadPlan, item_batches
from lakehouse.opinions.reading.check import noted
from lakehouse.opinions.remarks import tell_notes
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.query import fetch
from lakehouse.steps.receipts import Noted, from_json
from lakehouse.steps.step import StepRecord
from tests.opinions.making import SAID, counts, csv_source, jsonl_source, said

FUTURE = (
    '{"subject": "cat/1.jpg", "label": "cat", "event_time": "2031-01-01T00:00:00Z"}\n'
    '{"subject": "cat/2.jpg", "label": "cat", "event_time": "2031-01-01T00:00:00Z"}\n'
)


def test_a_note_is_counted_by_rule_with_its_first_example(photos):
    said = {"actor_id": SAID["actor"], "question_id": SAID["question"]}
    items = [
        Answer(subject_key="cat/1.jpg", value="cat", where="a:1", notes={"odd": "is odd"}, **said),
        Answer(subject_key="cat/2.jpg", value="cat", where="a:2", notes={"odd": "is: odder", "big": "is big"}, **said),
        Note("a", "odd", "all are odd"),
        Reject("a:4", "bad", "is bad"),
    ]
    batches = item_batches(items, ReadPlan(rules={}, now=photos.clock()))
    rows = photos.engine.stage(photos.engine.from_arrow(pa.Table.from_batches(batches, schema=ITEMS)))
    record = StepRecord()
    tell_notes(photos, rows, record)
    assert list(record.notes.values()) == [Noted("big", 1, "a:2: is big"), Noted("odd", 3, "a:1: is odd")]


def test_a_note_is_said_on_the_terminal_in_the_receipt_and_beside_the_opinion(photos, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        receipt = import_opinions(photos, jsonl_source(tmp_path / "a.jsonl", FUTURE))
    assert [(note.rule, note.count) for note in receipt.notes] == [("future", 2)]
    assert "note future (2): a.jsonl:1: was said at 2031-01-01" in caplog.text
    assert "; to note: 2 future; " in str(receipt)
    assert from_json(receipt.to_json()) == receipt
    assert [row["ext"] for row in fetch(photos, "select ext from silver.opinions")] == [[("flags", "future")]] * 2


def test_an_import_without_anything_remarkable_says_nothing(photos, tmp_path, caplog):
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", "subject,label\ncat/1.jpg,cat\n"))
    assert (receipt.notes, caplog.text) == ((), "")


def test_flags_that_an_answer_came_with_stay():
    answer = Answer(actor_id="human:ann", question_id="animal", subject_key="1.jpg", ext={"flags": "future"})
    assert noted(answer, {"odd": "is odd"}).ext == {"flags": "future odd"}
    assert noted(answer, {}) is answer


def test_of_two_rows_that_contradict_each_other_the_later_one_holds_and_that_is_noted(photos, tmp_path):
    text = "subject,label\ncat/1.jpg,cat\ncat/2.jpg,cat\ncat/1.jpg,dog\n"
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", text))
    assert [(note.rule, note.count) for note in receipt.notes] == [("contradicts_earlier", 1)]
    assert "a.csv:4: about cat/1.jpg an earlier answer" in receipt.notes[0].example
    assert said(photos) == [("cat/1.jpg", "dog"), ("cat/2.jpg", "cat")]


def test_equal_rows_that_each_count_contradict_nothing(photos, tmp_path):
    text = "subject,label\ncat/1.jpg,cat\ncat/1.jpg,cat\n"
    receipt = import_opinions(photos, csv_source(tmp_path / "a.csv", text, repeat="event"))
    assert (receipt.counts, receipt.notes) == (counts(read=2, new=2), ())
