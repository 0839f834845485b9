"""build: recipe + pinned tables -> gold.datasets, gold.dataset_members, gold.dataset_exclusions."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from lakehouse.datasets.answers import heard_opinions, kind_asked, tally
from lakehouse.datasets.classes import classes_of
from lakehouse.datasets.counts import check_batches, check_members, lost_members
from lakehouse.datasets.empty import why_empty
from lakehouse.datasets.groups import LeakGroups, leak_groups
from lakehouse.datasets.moves import check_moves
from lakehouse.datasets.official import assigned, official_splits, without_column
from lakehouse.datasets.own_fields import own_fields, with_values
from lakehouse.datasets.plan import check_strata_columns, choose, consider
from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.recipe import Recipe
from lakehouse.datasets.remarks import remark
from lakehouse.datasets.version import Inputs, contracts, inputs_of, pin
from lakehouse.engines import Relation
from lakehouse.errors import QueryFailedError, QueryRefusedError, RecipeError
from lakehouse.lake import Lake
from lakehouse.query import Pins, count_rows, fetch
from lakehouse.sql.contained import user_query
from lakehouse.sql.gate import check_query
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.digest import relation_digest
from lakehouse.tables.finish import finish_batch
from lakehouse.tables.insert import insert, insert_rows
from lakehouse.tables.read import pin_heads
from lakehouse.views.registry import view_texts
from schemas.canonical import canonical_json, text_json
from schemas.tables import BATCHES, BY_NAME, DATASET_EXCLUSIONS, DATASET_MEMBERS, DATASETS, OPINIONS, Table

ROWS_PER_TASK = 20_000
WRITTEN = (DATASET_MEMBERS, DATASET_EXCLUSIONS, DATASETS)

STRANGE = """
select count(*) as n, min(p.entity_id) as example from picked p
where not exists (select 1 from silver.entities e where e.entity_id = p.entity_id)
"""


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
    _check_selection(recipe)
    check_strata_columns(recipe)
    # The batches before the opinions: an import writes them in the other order.
    batches = pin_heads(lake, [BATCHES.name])
    pins = pin(lake, recipe)
    # Also where nothing has changed: what is reported stands there.
    pin_heads(lake, [table.name for table in WRITTEN])
    kind = kind_asked(lake, recipe, pins)
    inputs = {"recipe": recipe.canonical(), "pins": pins, "contracts": contracts(recipe, kind)}
    with step(lake, "build", inputs=inputs) as record:
        if not record.unchanged:
            if OPINIONS.name in pins:
                check_batches(lake, {**pins, **batches})
            _build(lake, recipe, kind, pins, record)
    return record.finished()


def _build(lake: Lake, recipe: Recipe, kind: AnswerKind | None, pins: Pins, record: StepRecord) -> None:
    heard = None if kind is None else heard_opinions(lake, recipe, kind, pins)
    groups = leak_groups(lake, recipe, pins)
    official = official_splits(lake, recipe, pins)
    classes = () if kind is None or heard is None else classes_of(lake, recipe, kind, pins, heard[1])
    inputs = inputs_of(lake, recipe, pins, kind=kind, heard=heard, classes=classes, groups=groups, official=official)
    dataset_id = inputs.version_id(recipe)
    record.details = {"dataset": recipe.name, "dataset_id": dataset_id}
    known = _known(lake, dataset_id)
    lost = None if known is None else lost_members(lake, dataset_id)
    if known is None or lost:
        votes = None if kind is None or heard is None else tally(lake, recipe, kind, heard[1])
        selection = _selection(lake, recipe, pins)
        picked, fields = _picked(lake, recipe, without_column(recipe, selection), kind, pins)
        considered = consider(
            lake,
            recipe,
            picked,
            kind=kind,
            tally=votes,
            groups=None if groups is None else groups.rows,
            official=None if official is None else assigned(lake, recipe, official, selection, groups, pins, record),
            pins=pins,
        )
        _write(lake, recipe, kind, inputs, classes, fields, groups, dataset_id, considered, record)
        known = _known(lake, dataset_id)
    if lost:
        # The same id gives the same members: those that were lost are there again.
        check_members(lake, dataset_id)
        record.note("lost_members_mended", lost)
    if known is None:
        raise RuntimeError(f"dataset {dataset_id} was written and cannot be read back; please report this")
    record.counts = {
        "considered": known["members"] + known["excluded"],
        "members": known["members"],
        "excluded": known["excluded"],
        **{split: count for split, count in json.loads(known["splits_json"]).items() if count},
    }
    if known["excluded"]:
        record.details["excluded_because"] = _reasons(lake, dataset_id)
    record.details["members_digest"] = str(known["members_digest"])


def _write(
    lake: Lake,
    recipe: Recipe,
    kind: AnswerKind | None,
    inputs: Inputs,
    classes: tuple[str, ...],
    fields: Mapping[str, str],
    groups: LeakGroups | None,
    dataset_id: str,
    considered: Relation,
    record: StepRecord,
) -> None:
    members, exclusions = choose(lake, recipe, kind, considered, dataset_id)
    members = _hashed(lake, members, DATASET_MEMBERS)
    exclusions = _hashed(lake, exclusions, DATASET_EXCLUSIONS)
    _check_strata(lake, recipe, members, considered)
    if count_rows(lake, members) == 0:
        raise RecipeError(f"recipe {recipe.name}: no entity becomes a member: {why_empty(lake, recipe, exclusions)}")
    remark(lake, recipe, members, record)
    check_moves(lake, recipe, members, groups, inputs.pins, record)
    digest = relation_digest(lake.engine, members)
    kept = insert(lake, DATASET_MEMBERS, members, step="build")
    left = insert(lake, DATASET_EXCLUSIONS, exclusions, step="build")
    total = count_rows(lake, considered)
    balance("build", "entities considered", {"members": kept.rows_offered, "excluded": left.rows_offered}, total)
    row = {
        "dataset_id": dataset_id,
        "name": recipe.name,
        "recipe_json": canonical_json(recipe.canonical()),
        "digests_json": canonical_json(inputs.digests),
        "contracts_json": canonical_json(inputs.contracts),
        "classes_json": text_json(classes) if recipe.question else None,
        "fields_json": text_json([list(each) for each in fields.items()]) if fields else None,
        "members": digest.rows,
        "excluded": left.rows_offered,
        "splits_json": canonical_json(_split_counts(lake, recipe, members)),
        "members_digest": str(digest),
        "pins_json": canonical_json(inputs.pins),
    }
    record.writes += [kept, left, insert_rows(lake, DATASETS, [row], step="build")]


def _check_selection(recipe: Recipe) -> None:
    try:
        check_query(recipe.select.sql, known={*BY_NAME, *view_texts()})
    except QueryRefusedError as error:
        raise QueryRefusedError(f"recipe {recipe.name}: select.sql: {error}") from error


def _selection(lake: Lake, recipe: Recipe, pins: Pins) -> pa.Table:
    # People's SQL runs in DuckDB whichever engine does the rest: Spark SQL can start programs and read secrets.
    try:
        found = user_query(
            lake.home, recipe.select.sql, params=recipe.select.params, pins=pins, limits=lake.config.sql
        )
    except QueryFailedError as error:
        raise RecipeError(f"recipe {recipe.name}: select.sql: {error}") from error
    if found.column_names.count("entity_id") > 1:
        raise RecipeError(f"recipe {recipe.name}: select.sql returns entity_id more than once; name one column of them")
    if "entity_id" not in found.column_names:
        raise RecipeError(
            f"recipe {recipe.name}: select.sql returns {', '.join(found.column_names)}; it must return entity_id"
        )
    return found


def _picked(
    lake: Lake, recipe: Recipe, selection: pa.Table, kind: AnswerKind | None, pins: Pins
) -> tuple[Relation, dict[str, str]]:
    where = f"recipe {recipe.name}: select.sql"
    fields = own_fields(where, selection, kind)
    ids = with_values(where, selection, fields)
    if ids.num_rows == 0:
        raise RecipeError(f"recipe {recipe.name}: select.sql selects no entity; run it with `petrel sql` to see why")
    picked = lake.engine.from_arrow(ids)
    strange = fetch(lake, STRANGE, inputs={"picked": picked}, pins=pins)[0]
    if strange["n"]:
        raise RecipeError(
            f"recipe {recipe.name}: {strange['n']} of {ids.num_rows} ids that select.sql returns, for example "
            f"{strange['example']!r}, are no entities of this lake; join with entities"
        )
    return picked, fields


def _check_strata(lake: Lake, recipe: Recipe, members: Relation, considered: Relation) -> None:
    if not recipe.strata.min:
        return
    text = """
        select c.stratum, count(m.entity_id) as n from (select distinct stratum from considered
        where stratum is not null) c left join members m on m.stratum = c.stratum group by c.stratum
    """
    counts = dict.fromkeys(recipe.strata.cells, 0)
    counts |= {
        row["stratum"]: row["n"] for row in fetch(lake, text, inputs={"members": members, "considered": considered})
    }
    # A cell whose own maximum is lower was meant to be small.
    least = {cell: min(recipe.strata.min, recipe.strata.cells.get(cell, recipe.strata.min)) for cell in counts}
    short = [cell for cell in sorted(counts) if counts[cell] < least[cell]]
    if short:
        shown = ", ".join(f"{cell} has {counts[cell]}" for cell in short[:10])
        raise RecipeError(
            f"recipe {recipe.name}: strata below strata.min = {recipe.strata.min}: {shown}; "
            "lower the minimum, select more, or give the cell a maximum of 0"
        )


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


def _split_counts(lake: Lake, recipe: Recipe, members: Relation) -> dict[str, int]:
    text = "select split, count(*) as n from members group by split"
    found = {row["split"]: row["n"] for row in fetch(lake, text, inputs={"members": members})}
    if recipe.split.official:
        return dict(sorted(found.items()))
    return {split: found.get(split, 0) for split in recipe.split.ratios}
