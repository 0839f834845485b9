"""build: recipe + pinned tables -> gold.datasets, gold.dataset_members, gold.dataset_exclusions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lakehouse.datasets.choosing.allocation import allotment_of, told
from lakehouse.datasets.choosing.empty import why_empty
from lakehouse.datasets.choosing.members import check_quotas, choose
from lakehouse.datasets.following import (
    Read,
    check_selection,
    considered_by,
    has_references,
    pinned,
    read_inputs,
    split_counts,
)
from lakehouse.datasets.hearing.answers import kind_asked
from lakehouse.datasets.placing.fixed import fixed_versions
from lakehouse.datasets.placing.moves import check_moves
from lakehouse.datasets.placing.remarks import remark
from lakehouse.datasets.plan import check_strata_columns
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.sampling.varied import varied
from lakehouse.datasets.selecting.named_commits import (
    by_content,
    by_ids,
    digests_at,
    pins_at,
    reading_at,
    versions_at,
)
from lakehouse.datasets.versions.counts import check_batches, check_members, lost_members
from lakehouse.datasets.versions.version import contracts
from lakehouse.derived.identity import VARIANT
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.quality.verdicts import check_quality
from lakehouse.query import Pins, count_rows, fetch
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.digest import relation_digest
from lakehouse.tables.finish import finished
from lakehouse.tables.insert import insert, insert_rows
from lakehouse.tables.read import pin_heads
from schemas.canonical import canonical_json, text_json
from schemas.tables import DATASET_EXCLUSIONS, DATASET_MEMBERS, DATASETS, OPINIONS

WRITTEN = (DATASET_MEMBERS, DATASET_EXCLUSIONS, DATASETS)


def build(lake: Lake, recipe: Recipe, *, pins: Pins | None = None, allow_failed: str = "") -> Receipt:
    """Follow a recipe over the tables as they are now and record the dataset version.

    The version id is a hash of recipe, content and contracts: an unchanged lake gives the version that is
    already there, and nothing is written. The dataset row is written last: without it there is no dataset.

    Args:
        lake: The lake.
        recipe: From `load_recipe`.
        pins: Versions of all tables that it reads, and of silver.batches, to follow it over in place of the newest.
        allow_failed: Why failed quality suites about what it reads stop nothing; recorded with their results.

    Returns:
        Receipt with counts considered (+ variants) = members + excluded, members by split, and details dataset_id,
        members_digest and, where any are, excluded_because (by reason).

    Raises:
        RecipeError: If the selection gives no `entity_id`, or columns that cannot be fields, nothing is selected,
            nobody ever asked the question, a label has no number in its label set, no entity has the group key of the
            split, no near-duplicates can be looked for, something is in two official or fixed splits, official splits
            are the classes, nobody becomes a member, a stratum is short, or members of the version before would change
            their split.
        QueryRefusedError: If the selection is not one read-only query.
        CheckFailedError: If a quality suite about what it reads failed, and nobody allowed it.
        TableError: If a file of a table that is read or written is missing or damaged.
    """
    check_selection(recipe)
    check_strata_columns(recipe)
    recipe = by_ids(lake.home, recipe)
    batches, pins = pinned(lake, recipe, pins)
    # Also where nothing has changed: what is reported stands there.
    pin_heads(lake, [table.name for table in WRITTEN])
    # Of references more than may be selected: it costs a look, and not another id.
    asked = contracts(recipe, kind_asked(lake, recipe, pins), decodes=has_references(lake, pins))
    at = versions_at(lake.home, recipe)
    hashed, _ = by_content(recipe, digests_at(lake.home, at))
    inputs = {"recipe": hashed.canonical(), "pins": pins, "contracts": asked}
    if recipe.split.fixed:
        # A name may stand for another version than the last time.
        inputs["fixed"] = dict(fixed_versions(lake, recipe))
    with step(lake, "build", inputs=inputs, reads=pins) as record:
        check_quality(lake, pins, record, allow_failed=allow_failed)
        if not record.unchanged:
            if OPINIONS.name in pins:
                check_batches(lake, {**pins, **batches})
            with reading_at(lake, at, by="build"):
                _build(lake, recipe, pins, record)
    return record.finished()


def _build(lake: Lake, recipe: Recipe, pins: Pins, record: StepRecord) -> None:
    read = read_inputs(lake, recipe, pins)
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
    variants = _variants(lake, read.dataset_id) if recipe.variants.copies else 0
    record.counts = {
        "considered": known["members"] + known["excluded"] - variants,
        **({"variants": variants} if variants else {}),
        "members": known["members"],
        "excluded": known["excluded"],
        **{split: count for split, count in json.loads(known["splits_json"]).items() if count},
    }
    if known["excluded"]:
        record.details["excluded_because"] = _reasons(lake, read.dataset_id)
    record.details["members_digest"] = str(known["members_digest"])
    short = [allotment_of(cell) for cell in json.loads(known["cells_json"] or "[]") if cell["short"]]
    if short:
        record.details["short_cells"] = told(short)


def _write(lake: Lake, read: Read, fields: Mapping[str, str], considered: Relation, record: StepRecord) -> None:
    recipe = read.recipe
    chosen = choose(lake, recipe, read.answers, considered, read.dataset_id, read.classes, record)
    check_quotas(recipe, chosen.short)
    both = varied(
        lake, recipe, read.answers, chosen.members, chosen.exclusions, read.dataset_id, record, read.inputs.pins
    )
    members = finished(lake, both.members, DATASET_MEMBERS, label=f"build {DATASET_MEMBERS.name}")
    exclusions = finished(lake, both.exclusions, DATASET_EXCLUSIONS, label=f"build {DATASET_EXCLUSIONS.name}")
    if count_rows(lake, members) == 0:
        raise RecipeError(f"recipe {recipe.name}: no entity becomes a member: {why_empty(lake, recipe, exclusions)}")
    originals = chosen.members if both.made else members
    remark(lake, recipe, originals, record)
    check_moves(lake, recipe, originals, read.groups, read.inputs.pins, record)
    digest = relation_digest(lake.engine, members)
    kept = insert(lake, DATASET_MEMBERS, members, step="build")
    left = insert(lake, DATASET_EXCLUSIONS, exclusions, step="build")
    total = count_rows(lake, considered) + both.made
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
        "pins_json": canonical_json({**read.inputs.pins, **pins_at(versions_at(lake.home, recipe))}),
        "cells_json": text_json([cell.to_plain() for cell in chosen.cells]) if recipe.strata.by else None,
        "built_by": lake.config.lake.author or None,
    }
    record.writes += [kept, left, insert_rows(lake, DATASETS, [row], step="build")]


def _known(lake: Lake, dataset_id: str) -> dict[str, Any] | None:
    text = "select members, excluded, splits_json, members_digest, cells_json from gold.datasets where dataset_id = $id"
    rows = fetch(lake, text, params={"id": dataset_id})
    return rows[0] if rows else None


def _variants(lake: Lake, dataset_id: str) -> int:
    text = "select count(*) as n from gold.dataset_members where dataset_id = $id and operation = $variant"
    return int(fetch(lake, text, params={"id": dataset_id, "variant": VARIANT})[0]["n"])


def _reasons(lake: Lake, dataset_id: str) -> str:
    text = """
        select reason, count(*) as n from gold.dataset_exclusions where dataset_id = $id
        group by reason order by n desc, reason
    """
    return " + ".join(f"{row['n']:,} {row['reason']}" for row in fetch(lake, text, params={"id": dataset_id}))
