"""Running extractors over entities: the function that both engines map over batches."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import datetime

import pyarrow as pa

from lakehouse.derived.places import read_place
from lakehouse.derived.reading import read_by
from lakehouse.dimensions.rows import Measured, dimension_batch
from lakehouse.dimensions.values import check_values
from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.extractors.extractor import Extractor, Value
from lakehouse.home import Root
from lakehouse.media.kinds.registry import Judges
from lakehouse.media.view import EntityView
from lakehouse.objects import at_once, read_bytes
from lakehouse.steps.outputs import union_batch, union_schema
from lakehouse.steps.rejects import rejected_row
from lakehouse.tables.finish import finish_row
from loaders.stores.ahead import ahead
from schemas.model import Table
from schemas.silver import DIMENSIONS, REJECTED

OUTPUTS = union_schema(DIMENSIONS, REJECTED)

UNREADABLE = "unreadable"
"""Rule of a pair whose bytes could not be read: no property of the entity, hence tried again by the next run."""

EXTRACTOR_ERROR = "extractor_error"
"""Rule of a pair whose extractor raised something of its own."""

REASON_CHARACTERS = 500
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")


def extract_batches(
    batches: Iterator[pa.RecordBatch],
    *,
    root: Root,
    extractors: tuple[Extractor, ...],
    judges: Judges,
    now: datetime,
) -> Iterator[pa.RecordBatch]:
    """Measure what is missing about entities and yield rows for silver.dimensions and silver.rejected.

    The bytes of an entity are read once. An extractor that raises, or returns what it did not declare, rejects its own
    (entity, extractor) pair; the other extractors of that entity go on.

    Args:
        batches: Rows with entity_id, object_uri, media_type, `missing`, a list of extractor names, and, where some are
            not stored, place.
        root: The lake.
        extractors: Who may be named in `missing`.
        judges: Kinds of media and their limits.
        now: Value of the clock columns.
    """
    known = {each.name: each for each in extractors}
    for batch in batches:
        measured: dict[str, list[Measured]] = {}
        rejected: list[tuple[Table, dict[str, object]]] = []
        many = at_once(root, batch["object_uri"].to_pylist())
        views = ahead(functools.partial(view_or_error, root=root, judges=judges), batch.to_pylist(), at_once=many)
        for entity, view in zip(batch.to_pylist(), views, strict=True):
            entity_id = entity["entity_id"]
            chosen = [known[name] for name in sorted(entity["missing"])]
            for extractor, found in measure_view(view, chosen):
                if isinstance(found, RejectedInputError):
                    row = rejected_row("dimensions", entity_id, found, location=extractor.key)
                    rejected.append((REJECTED, finish_row(row, REJECTED, now)))
                else:
                    measured.setdefault(extractor.name, []).append((entity_id, found))
        for name, rows in measured.items():
            yield dimension_batch(known[name], rows, now=now, schema=OUTPUTS)
        if rejected:
            yield union_batch(rejected, OUTPUTS)


def measure_view(
    view: EntityView | IngestError, chosen: Iterable[Extractor]
) -> Iterator[tuple[Extractor, list[Value] | RejectedInputError]]:
    """Yield each extractor with its values, in the order of its dimensions, or why it has none.

    Args:
        view: The entity, or why its bytes cannot be read.
        chosen: Who measures.
    """
    if isinstance(view, IngestError):
        rule = view.rule if isinstance(view, RejectedInputError) else UNREADABLE
        for extractor in chosen:
            yield extractor, _rejection(extractor, rule, str(view))
        return
    for extractor in chosen:
        try:
            yield extractor, check_values(extractor, extractor.function(view))
        except RejectedInputError as error:
            yield extractor, _rejection(extractor, error.rule, error.reason)
        except Exception as error:  # Someone else's code: whatever it raises is this pair's outcome.
            yield extractor, _rejection(extractor, EXTRACTOR_ERROR, f"{type(error).__name__}: {error}")


def view_or_error(entity: dict[str, str], *, root: Root, judges: Judges) -> EntityView | IngestError:
    """Return what measures see of an entity, or why its bytes cannot be read.

    Args:
        entity: entity_id, object_uri and media_type; of one that is not stored, place.
        root: The lake.
        judges: Kinds of media and their limits.
    """
    try:
        return _view(entity, root, judges)
    except IngestError as error:
        return error


def _view(entity: dict[str, str], root: Root, judges: Judges) -> EntityView:
    place = entity.get("place", "")
    if read_place(place).operation:
        return judges.view(read_by(root, place, judges), entity["media_type"])
    uri = entity["object_uri"]
    data = read_bytes(root, uri)
    # Objects of the lake are never changed; a linked file may have been, and is then another entity.
    if "://" in uri and (found := hashlib.sha256(data).hexdigest()) != entity["entity_id"]:
        raise IngestError(f"{uri}: its bytes are not those that were landed: SHA-256 is {found}, expected "
                          f"{entity['entity_id']}; land it again")
    return judges.view(data, entity["media_type"])


def _rejection(extractor: Extractor, rule: str, reason: str) -> RejectedInputError:
    return RejectedInputError(rule, f"extractor {extractor.key}: {reason_in_one_line(reason)}")


def reason_in_one_line(reason: str) -> str:
    """Return what somebody's code raised in one line without addresses: the same failure gives the same row."""
    text = _ADDRESS.sub("0x...", " ".join(reason.split()))[:REASON_CHARACTERS]
    return text.encode("utf-8", errors="replace").decode()
