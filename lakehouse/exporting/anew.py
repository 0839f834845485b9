"""Exports of datasets whose recipe says what is stored: rows as they are stored, not as they were landed."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from lakehouse.derived.places import derived_place
from lakehouse.exporting.rows import AS_LANDED, Selection
from lakehouse.lake import Lake
from lakehouse.materialise.anew import Told, stored_of
from lakehouse.materialise.encoding import check_decoder, check_encoder, reader_of
from lakehouse.media.kinds.registry import judges_of
from lakehouse.query import fetch, query
from lakehouse.steps.step import StepRecord
from schemas.canonical import text_json

COLUMNS = (
    "entity_id", "label", "split", "fields_json", "answer_json", "place", "media_type", "source_id", "operation",
    "parameters_json",
)  # fmt: skip

ROWS = pa.schema([*((name, pa.string()) for name in COLUMNS), ("size_bytes", pa.int64()), ("left", pa.int64())])

PER_TASK = 500

LEFT = "objects_left"


def as_stored(lake: Lake, selection: Selection, record: StepRecord) -> Selection:
    """Return a selection with its rows as the recipe of its dataset has them stored; as it is without one.

    Args:
        lake: The lake.
        selection: From `lakehouse.exporting.rows.select`.
        record: Takes note of objects that leave their pictures.

    Raises:
        RecipeError: If this machine decodes frames, or encodes, otherwise than the version was built for.
        IngestError: If an object is missing.
    """
    if selection.version is None:
        return selection
    recipe, version = selection.version.followed, selection.version
    check_decoder(version.contracts, version.name)
    judges = judges_of(lake.config)
    told = stored_of(lake.home, recipe, version.answers, judges)
    if told is None:
        return selection
    encoder = check_encoder(recipe, version.contracts, version.name)
    text = f"select {', '.join((*COLUMNS, 'size_bytes'))} from selected"
    rows = query(lake, text, inputs={"selected": selection.rows})
    made = lake.engine.map_batches(
        rows, functools.partial(_stored, told=told), ROWS, rows_per_task=PER_TASK, label="places of samples"
    )
    found = lake.engine.stage(made)
    left = fetch(lake, 'select cast(sum("left") as bigint) as n from made', inputs={"made": found})[0]["n"]
    if left:
        record.note(LEFT, "objects lie outside of what is kept of their pictures, and are in no file", count=left)
    form = {name: recipe.canonical().get(name) for name in ("image", "audio")}
    reader = reader_of(lake.home, recipe, judges)
    return replace(selection, rows=found, stored_by=[encoder, form], reader=reader)


def note_as_landed(selection: Selection, record: StepRecord) -> None:
    """Note that an export holds what was landed, where the recipe states what is stored."""
    version = selection.version
    if version is not None and (version.followed.image.form or version.followed.audio.form):
        record.note("as_landed", AS_LANDED)


def _stored(batches: Iterator[pa.RecordBatch], *, told: Told) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield pa.RecordBatch.from_pylist([_row(row, told) for row in batch.to_pylist()], schema=ROWS)


def _row(row: dict[str, Any], told: Told) -> dict[str, Any]:
    if row["place"] is None:
        return row | {"left": 0}  # it is left out
    place = row["place"]
    if row["operation"] is not None:
        place = derived_place(place, row["operation"], json.loads(row["parameters_json"]))
    answer = None if row["answer_json"] is None else json.loads(row["answer_json"])
    found = told(place, row["media_type"], row["size_bytes"], answer)
    return row | {
        "media_type": found.media_type,
        "size_bytes": found.size_bytes,
        "answer_json": None if answer is None else text_json(found.answer),
        "left": found.left,
    }
