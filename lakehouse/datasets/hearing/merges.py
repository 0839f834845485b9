"""Merged labels in what a dataset hears: the label that stands for one takes its place in every answer.

Opinions keep what was said. A merge that was known by the recipe's `as_of.known_at` changes the answers, and with them
the version id; one that comes later changes neither.
"""

from __future__ import annotations

import functools

import pyarrow as pa

from lakehouse.datasets.hearing.coarser import coarser_labels
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.versions.reads import reads_merges
from lakehouse.engines import Relation
from lakehouse.labels.merged import merged_batches
from lakehouse.lake import Lake
from lakehouse.query import Pins, fetch
from lakehouse.views.ontology import merged_labels_sql
from schemas.tables import OPINIONS

ROWS_PER_TASK = 5_000

Merge = tuple[str, int, str, str]
"""Question, its version, label, the label that stands for it."""


def merges_heard(lake: Lake, recipe: Recipe, pins: Pins) -> list[Merge]:
    """Return the merges that a recipe reads, sorted: those of its question, or all if its selection reads them."""
    through_views = reads_merges(recipe)
    if not (recipe.question or through_views):
        return []
    known_at = recipe.as_of.known_at
    # What a selection reads through views is as the lake is now: `as_of` is about the answers.
    text = merged_labels_sql(known_at=known_at is not None and not through_views)
    rows = fetch(lake, text, params={"known_at": known_at}, pins=pins)
    return sorted(
        (row["question_id"], row["question_version"], row["label_id"], row["stands_for"])
        for row in rows if through_views or row["question_id"] == recipe.question
    )  # fmt: skip


def with_merges(lake: Lake, recipe: Recipe, heard: Relation, pins: Pins) -> Relation:
    """Return the heard opinions with the labels that stand for theirs, coarser where the recipe says so."""
    known_at = recipe.as_of.known_at
    text = merged_labels_sql(known_at=known_at is not None)
    params = {"known_at": known_at}
    found = {
        (row["question_version"], row["label_id"]): row["stands_for"]
        for row in fetch(lake, text, params=params, pins=pins) if row["question_id"] == recipe.question
    }  # fmt: skip
    coarser = coarser_labels(lake, recipe, pins)
    # What a merge gives is made coarser too.
    found = coarser | {key: coarser.get((key[0], label), label) for key, label in found.items()}
    if not found:
        return heard
    schema = pa.schema([OPINIONS.arrow_schema.field(name) for name in heard.columns])
    make = functools.partial(merged_batches, merges=found, schema=schema)
    return lake.engine.stage(
        lake.engine.map_batches(heard, make, schema, rows_per_task=ROWS_PER_TASK, label="merged labels")
    )
