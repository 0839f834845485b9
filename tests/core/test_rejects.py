"""Rejections: one row each, with an id made of what was rejected and why."""

from __future__ import annotations

from lakehouse.errors import RejectedInputError
from lakehouse.steps.rejects import RAW_CHARACTERS, rejected_row
from lakehouse.tables.insert import insert_rows
from schemas.tables import REJECTED

ERROR = RejectedInputError("truncated", "half of it is missing")


def test_the_same_rejection_is_one_row(lake):
    rows = [rejected_row("entities", "a", ERROR), rejected_row("entities", "a", ERROR)]
    assert insert_rows(lake, REJECTED, rows, step="test").rows_new == 1
    assert insert_rows(lake, REJECTED, rows, step="test").rows_new == 0


def test_another_step_subject_rule_or_reason_is_another_row():
    ids = {
        rejected_row(step, subject, error)["rejected_id"]
        for step in ("entities", "dimensions")
        for subject in ("a", "b")
        for error in (ERROR, RejectedInputError("empty", ERROR.reason), RejectedInputError("truncated", "other"))
    }
    assert len(ids) == 12


def test_where_it_was_found_does_not_make_another_row():
    assert rejected_row("a", "b", ERROR, location="x:1")["rejected_id"] == rejected_row("a", "b", ERROR)["rejected_id"]


def test_raw_text_is_cut_and_its_absence_kept():
    assert rejected_row("a", "b", ERROR)["raw"] is None
    assert rejected_row("a", "b", ERROR, raw="")["raw"] == ""
    assert rejected_row("a", "b", ERROR, raw="ä" * 20_000)["raw"] == "ä" * RAW_CHARACTERS
