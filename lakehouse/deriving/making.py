"""Making derived entities: the function that both engines map over parents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from lakehouse.derived.reading import read_by
from lakehouse.deriving.references import Cut, cut_of
from lakehouse.deriving.transform import Chain
from lakehouse.deriving.values import Affine, Reference, encoded, taken
from lakehouse.dimensions.extract import reason_in_one_line
from lakehouse.dimensions.rows import Measured, dimension_batch
from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.extractors.video_cut import VIDEO_CUT
from lakehouse.home import Root, home_of
from lakehouse.media.kinds.kind import UNKNOWN
from lakehouse.media.kinds.registry import Judges
from lakehouse.objects import object_uri
from lakehouse.steps.outputs import union_batch, union_schema
from lakehouse.steps.rejects import rejected_row
from lakehouse.tables.finish import finish_row
from loaders.stores.storage import Storage
from schemas.model import Table
from schemas.tables import DERIVATIONS, DIMENSIONS, ENTITIES, REJECTED

OUTPUTS = union_schema(ENTITIES, DERIVATIONS, DIMENSIONS, REJECTED)

TRANSFORM_ERROR = "transform_error"
"""Rule of a parent whose transform raised something of its own."""

MOST_BYTES = 1 << 30
"""Bytes of all that one parent may give."""

UNREADABLE = "unreadable"
"""Rule of a parent whose bytes could not be read: tried again by the next run."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes that were made.

    Attributes:
        data: These.
        affine: See `Made`.
    """

    data: bytes
    affine: Affine | None

    @property
    def size(self) -> int:
        """How many."""
        return len(self.data)

    @property
    def entity_id(self) -> str:
        """Their SHA-256."""
        return hashlib.sha256(self.data).hexdigest()


def made_batches(
    batches: Iterator[pa.RecordBatch], *, root: Root, chain: Chain, judges: Judges, erased: frozenset[str],
    now: datetime,
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    """Apply a chain to every parent, store what it makes, and yield rows for the four tables.

    Objects are written before their rows are yielded: a row never points at a missing object. What is a reference is
    stored nowhere, and what is known of it without decoding is measured at once.

    Args:
        batches: Rows with entity_id, place, media_type, group_keys, captured_at and storage.
        root: The lake.
        chain: What is applied.
        judges: Kinds of media and their limits.
        erased: SHA-256 of bytes that were erased for privacy: a parent that gives them is rejected.
        now: Value of the clock columns.
    """
    storage = home_of(root).files
    for batch in batches:
        rows: list[tuple[Table, dict[str, object]]] = []
        measured: list[Measured] = []
        for parent in batch.to_pylist():
            try:
                made = _made(parent, root, chain, judges)
                _check_not_erased(made, erased)
                for place, each in enumerate(made, 1):
                    rows += _rows(parent, place, each, chain, judges, storage)
                measured += [(each.entity_id, each.values) for each in made if isinstance(each, Cut)]
                if not made:
                    rows.append((DERIVATIONS, _derivation(parent, 0, None, None, chain)))
            except RejectedInputError as error:
                location = f"{chain.operation} {chain.parameters_json}"
                rows.append((REJECTED, rejected_row("derive", parent["entity_id"], error, location=location)))
        yield union_batch([(table, finish_row(row, table, now)) for table, row in rows], OUTPUTS)
        if measured:
            yield dimension_batch(VIDEO_CUT, measured, now=now, schema=OUTPUTS)


def _made(parent: dict[str, Any], root: Root, chain: Chain, judges: Judges) -> list[Bytes | Cut]:
    try:
        data = read_by(root, parent["place"], judges)
    except RejectedInputError:
        raise
    except IngestError as error:
        raise RejectedInputError(UNREADABLE, str(error)) from error
    value = taken(data, chain.first.takes, judges)
    try:
        found: list[Bytes | Cut] = []
        size = 0
        for each in chain.made(value):
            found.append(cut_of(parent, value, each.value) if isinstance(each.value, Reference) else
                         Bytes(encoded(each.value), each.affine))  # fmt: skip
            size += found[-1].size if isinstance(found[-1], Bytes) else 0
            if size > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES:,} bytes are made of one")
    except Exception as error:  # Someone else's code: whatever it raises is this parent's outcome.
        reason = reason_in_one_line(f"{chain.operation}: {type(error).__name__}: {error}")
        raise RejectedInputError(TRANSFORM_ERROR, reason) from error
    return found


def _check_not_erased(made: Sequence[Bytes | Cut], erased: frozenset[str]) -> None:
    if erased and any(each.entity_id in erased for each in made):
        raise RejectedInputError("erased", "what it makes was erased from the lake, and is not taken in again")


def _rows(
    parent: dict[str, Any], place: int, made: Bytes | Cut, chain: Chain, judges: Judges, storage: Storage
) -> Iterator[tuple[Table, dict[str, object]]]:
    derivation = _derivation(parent, place, made.entity_id, made.affine, chain)
    if made.entity_id != parent["entity_id"]:  # what changed nothing is its parent
        about = {
            "entity_id": made.entity_id,
            "parent_id": parent["entity_id"],
            "group_keys": parent["group_keys"],
            "captured_at": parent["captured_at"],
            "origin": chain.origin,
        }
        if isinstance(made, Cut):
            yield ENTITIES, {**about, **made.row}
        else:
            stored = _stored(made, judges, storage)
            yield ENTITIES, about | stored | {"operation": chain.operation, "parameters_json": chain.parameters_json}
    yield DERIVATIONS, derivation


def _stored(made: Bytes, judges: Judges, storage: Storage) -> dict[str, object]:
    """Store bytes that are not there yet, and return what their row says of them."""
    media_type, pixel_type = UNKNOWN, None
    kind = judges.kind_of(made.data, "")
    if kind is not None:
        facts = kind.probe(made.data, name="", limits=judges.limits[kind.name])
        media_type, pixel_type = facts.media_type, facts.pixel_type
    name = object_uri(made.entity_id)
    try:
        storage.stat(name)
    except FileNotFoundError:
        storage.put(name, made.data)
    return {
        "media_type": media_type, "size_bytes": made.size, "object_uri": name, "storage": "copy",
        "pixel_type": pixel_type,
    }  # fmt: skip


def _derivation(
    parent: dict[str, Any], place: int, entity_id: str | None, affine: Affine | None, chain: Chain
) -> dict[str, object]:
    return {
        "derivation_id": chain.derivation_id(parent["entity_id"]),
        "place": place,
        "parent_id": parent["entity_id"],
        "operation": chain.operation,
        "parameters_json": chain.parameters_json,
        "entity_id": entity_id,
        "affine": None if affine is None else [float(each) for each in affine],
    }
