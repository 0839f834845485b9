"""build: recipe + pinned tables -> gold.datasets, gold.dataset_members, gold.dataset_exclusions."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from lakehouse.datasets.answers import kind_asked
from lakehouse.datasets.counts import check_batches, check_members, lost_members
from lakehouse.datasets.empty import why_empty
from lakehouse.datasets.following import (
    Read,
    check_selection,
    check_strata,
    considered_by,
    pinned,
    read_inputs,
    split_counts,
)
from lakehouse.datasets.moves import check_moves
from lakehouse.datasets.plan import check_strata_columns, choose
from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.recipe import Recipe
from lakehouse.datasets.remarks import remark
from lakehouse.datasets.version import contracts
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.query import Pins, count_rows, fetch
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.digest import relation_digest
from lakehouse.tables.finish import finish_batch
from lakehouse.tables.insert import insert, insert_rows
from lakehouse.tables.read import pin_heads
from schemas.canonical import canonical_json, text_json
from schemas.tables import BY_NAME, DATASET_EXCLUSIONS, DATASET_MEMBERS, DATASETS, OPINIONS, Table

ROWS_PER_TASK = 20_000
WRITTEN = (DATASET_MEMBERS, DATASET_EXCLUSIONS, DATASETS)


def build(lake: Lake, recipe: Recipe) -> Receipt:
    """Follow a recipe over the tables as they are now and record the dataset version.

    The version id is a hash of recipe, content and contracts: an unchanged lake gives the version that is
    already there, and nothing is written. The dataset row is written last: without it there is no dataset.

    Args:
        lake: The lake.
        recipe: From `load_recipe`.

    Returns:
        Receipt with counts considered = members + excluded, members by split, and details dataset_id,
        members_digest and, where any are, excluded_because (by reason).

    Raises:
        RecipeError: If the selection gives no `entity_id`, or columns that cannot be fields, nothing is selected,
            nobody ever asked the question, a label has no number in its label set, no entity has the group key of the
            split, something is in two official splits, official splits are the classes, nobody becomes a member, a
            stratum is short, or members of the version before would change their split.
        QueryRefusedError: If the selection is not one read-only query.
        TableError: If a file of a table that is read or written is missing or damaged.
    """
    check_selection(recipe)
    check_strata_columns(recipe)
    batches, pins = pinned(lake, recipe)
    # Also where nothing has changed: what is reported stands there.
    pin_heads(lake, [table.name for table in WRITTEN])
    kind = kind_asked(lake, recipe, pins)
    inputs = {"recipe": recipe.canonical(), "pins": pins, "contracts": contracts(recipe, kind)}
    with step(lake, "build", inputs=inputs, reads=pins) as record:
        if not record.unchanged:
            if OPINIONS.name in pins:
                check_batches(lake, {**pins, **batches})
            _build(lake, recipe, kind, pins, record)
    return record.finished()


def _build(lake: Lake, recipe: Recipe, kind: AnswerKind | None, pins: Pins, record: StepRecord) -> None:
    read = read_inputs(lake, recipe, kind, pins)
    record.details = {"dataset": recipe.name, "dataset_id": read.dataset_id}
    known = _known(lake, read.dataset_id)
    lost = None if known is None else lost_members(lake, read.dataset_id)
    if known is None or lost:
        considered, fields = considered_by(lake, read, record)
        _write(lake, read, fields, considered, record)
        known = _known(lake, read.dataset_id)
    if lost:
        # The same id gives the same members: those that were lost are there again.
        check_members(lake, read.dataset_id)
        record.note("lost_members_mended", lost)
    if known is None:
        raise RuntimeError(f"dataset {read.dataset_id} was written and cannot be read back; please report this")
    record.counts = {
        "considered": known["members"] + known["excluded"],
        "members": known["members"],
        "excluded": known["excluded"],
        **{split: count for split, count in json.loads(known["splits_json"]).items() if count},
    }
    if known["excluded"]:
        record.details["excluded_because"] = _reasons(lake, read.dataset_id)
    record.details["members_digest"] = str(known["members_digest"])


def _write(
    lake: Lake, read: Read, fields: Mapping[str, str], considered: Relation, record: StepRecord
) -> None:
    recipe = read.recipe
    members, exclusions = choose(lake, recipe, read.kind, considered, read.dataset_id)
    members = _hashed(lake, members, DATASET_MEMBERS)
    exclusions = _hashed(lake, exclusions, DATASET_EXCLUSIONS)
    check_strata(lake, recipe, members, considered)
    if count_rows(lake, members) == 0:
        raise RecipeError(f"recipe {recipe.name}: no entity becomes a member: {why_empty(lake, recipe, exclusions)}")
    remark(lake, recipe, members, record)
    check_moves(lake, recipe, members, read.groups, read.inputs.pins, record)
    digest = relation_digest(lake.engine, members)
    kept = insert(lake, DATASET_MEMBERS, members, step="build")
    left = insert(lake, DATASET_EXCLUSIONS, exclusions, step="build")
    total = count_rows(lake, considered)
    balance("build", "entities considered", {"members": kept.rows_offered, "excluded": left.rows_offered}, total)
    row = {
        "dataset_id": read.dataset_id,
        "name": recipe.name,
        "recipe_json": canonical_json(recipe.canonical()),
        "digests_json": canonical_json(read.inputs.digests),
        "contracts_json": canonical_json(read.inputs.contracts),
        "classes_json": text_json(read.classes) if recipe.question else None,
        "fields_json": text_json([list(each) for each in fields.items()]) if fields else None,
        "members": digest.rows,
        "excluded": left.rows_offered,
        "splits_json": canonical_json(split_counts(lake, recipe, members)),
        "members_digest": str(digest),
        "pins_json": canonical_json(read.inputs.pins),
    }
    record.writes += [kept, left, insert_rows(lake, DATASETS, [row], step="build")]


def _hashed(lake: Lake, rows: Relation, table: Table) -> Relation:
    return lake.engine.map_batches(
        rows,
        functools.partial(hash_batches, table_name=table.name, now=lake.clock()),
        table.arrow_schema,
        rows_per_task=ROWS_PER_TASK,
        label=f"build {table.name}",
    )


def hash_batches(
    batches: Iterator[pa.RecordBatch], *, table_name: str, now: datetime
) -> Iterator[pa.RecordBatch]:
    """Complete rows that SQL made: clock columns and `row_hash`, which is only ever made in Python."""
    for batch in batches:
        yield finish_batch(batch, BY_NAME[table_name], now)


def _known(lake: Lake, dataset_id: str) -> dict[str, Any] | None:
    text = "select members, excluded, splits_json, members_digest from gold.datasets where dataset_id = $id"
    rows = fetch(lake, text, params={"id": dataset_id})
    return rows[0] if rows else None


def _reasons(lake: Lake, dataset_id: str) -> str:
    text = """
        select reason, count(*) as n from gold.dataset_exclusions where dataset_id = $id
        group by reason order by n desc, reason
    """
    return " + ".join(f"{row['n']:,} {row['reason']}" for row in fetch(lake, text, params={"id": dataset_id}))
