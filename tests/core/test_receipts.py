"""Receipts: what a step says it did, and reads again."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from lakehouse.steps.receipts import Receipt, from_json, keep, last
from lakehouse.tables.inserted import Inserted
from loaders.stores.local import LocalFiles

WRITE = Inserted("silver.entities", 4, 5, 10, 7, "7-00-00")
RECEIPT = Receipt(
    step="entities",
    engine="embedded",
    started_at=datetime(2026, 1, 1, 12, 30, tzinfo=UTC),
    seconds=1.25,
    counts={"seen": 12000, "rejected": 0},
    writes=(WRITE, Inserted("silver.rejected", 2, 2, 0, 0, "0-00-00")),
    bytes_written=0,
    details={"verdict": "pass"},
)


def test_a_receipt_reads_back_equal():
    assert from_json(RECEIPT.to_json()) == RECEIPT
    assert "\n" not in RECEIPT.to_json()


def test_a_receipt_in_words():
    assert str(RECEIPT) == (
        "entities [embedded]: 12,000 seen, 0 rejected; silver.entities v5 (+7); verdict pass; 1.2 s"
    )


def test_a_receipt_of_a_step_that_did_nothing_says_so():
    idle = dataclasses.replace(RECEIPT, writes=(), details={})
    assert str(idle) == "entities [embedded]: 12,000 seen, 0 rejected; nothing new; 1.2 s"
    assert not idle.changed
    assert idle.rows_new == 0


def test_rows_and_bytes_count_as_a_change():
    assert RECEIPT.changed
    assert RECEIPT.rows_new == 7
    assert dataclasses.replace(RECEIPT, writes=(), bytes_written=1).changed


def test_the_newest_receipts_come_first(tmp_path):
    for minute in (2, 1, 3):
        keep(LocalFiles(tmp_path), dataclasses.replace(RECEIPT, started_at=datetime(2026, 1, 1, 0, minute, tzinfo=UTC)))
    assert [each.started_at.minute for each in last(LocalFiles(tmp_path), limit=2)] == [3, 2]
    assert len(list(tmp_path.rglob("*.json"))) == len(list(tmp_path.rglob("*"))) - 1 == 3


def test_two_receipts_of_one_instant_are_both_kept(tmp_path):
    keep(LocalFiles(tmp_path), RECEIPT)
    keep(LocalFiles(tmp_path), RECEIPT)
    assert last(LocalFiles(tmp_path)) == [RECEIPT, RECEIPT]


def test_a_lake_without_runs_has_no_receipts(tmp_path):
    assert last(LocalFiles(tmp_path / "none")) == []


@pytest.mark.parametrize("text", ["", "{", '{"step": "land"}', "[]", '{"started_at": 3}'])
def test_a_receipt_that_cannot_be_read_hides_no_other(tmp_path, text):
    keep(LocalFiles(tmp_path), RECEIPT)
    (tmp_path / "_runs" / "99990101T000000.000000Z-land-00000000.json").write_text(text)
    assert last(LocalFiles(tmp_path), limit=1) == [RECEIPT]


def test_a_folder_among_the_receipts_hides_none(tmp_path):
    keep(LocalFiles(tmp_path), RECEIPT)
    (tmp_path / "_runs" / "99990101T000000.000000Z-land-00000000.json").mkdir()
    assert last(LocalFiles(tmp_path), limit=1) == [RECEIPT]
