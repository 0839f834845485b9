"""Telling people what was taken and is remarkable all the same: counted by rule, each rule with one example."""

from __future__ import annotations

import logging

from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.steps import StepRecord

logger = logging.getLogger(__name__)

NOTES = """
with told as (
    select part, line, location, unnest(notes) as note from mine
), ruled as (
    select part, line, location, note, split_part(note, ': ', 1) as rule from told
), ranked as (
    select rule, location, note, row_number() over (partition by rule order by part, line, note) as place,
        count(*) over (partition by rule) as num_notes
    from ruled
)
select rule, location, note, num_notes from ranked where place = 1 order by rule
"""
"""Rule, number of its notes, and the first one."""


def tell_notes(lake: Lake, rows: Relation, record: StepRecord) -> None:
    """Count the notes of rows (columns part, line, location, notes) in the receipt."""
    for row in fetch(lake, NOTES, inputs={"mine": rows}):
        text = row["note"].removeprefix(f"{row['rule']}: ")
        record.note(row["rule"], f"{row['location']}: {text}", count=int(row["num_notes"]))
