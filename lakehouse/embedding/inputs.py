"""From entities to inputs of a model: what both engines map over batches, in processes that have no GPU."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.dimensions.extract import reason_in_one_line, view_or_error
from lakehouse.embedding.embedder import Embedder
from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.home import Root
from lakehouse.media.kinds.registry import Judges
from lakehouse.media.view import EntityView
from lakehouse.steps.rejects import rejected_row
from lakehouse.tables.finish import finish_row
from schemas.silver import REJECTED

INPUTS = pa.schema(
    [
        pa.field("entity_id", pa.string()),
        pa.field("input", pa.binary()),
        pa.field("dtype", pa.string()),
        pa.field("shape", pa.list_(pa.int64())),
        *(pa.field(each.name, each.type) for each in REJECTED.arrow_schema),
    ]
)
"""An input, or why there is none: then `input` is NULL, and the columns of silver.rejected say it."""

EMBEDDER_ERROR = "embedder_error"
"""Rule of an entity whose preparation raised something of its own."""


def input_batches(
    batches: Iterator[pa.RecordBatch], *, root: Root, embedder: Embedder, key: str, judges: Judges, now: datetime
) -> Iterator[pa.RecordBatch]:
    """Yield the input of every entity, or why it has none.

    Args:
        batches: Rows with entity_id, object_uri, place, media_type.
        root: The lake.
        embedder: Prepares.
        key: Its key with its weights: what rejections name.
        judges: Kinds of media and their limits.
        now: Value of the clock columns.
    """
    for batch in batches:
        rows = [_input(entity, root, embedder, key, judges, now) for entity in batch.to_pylist()]
        yield pa.RecordBatch.from_pylist(rows, schema=INPUTS)


def prepared(embedder: Embedder, view: EntityView) -> npt.NDArray[Any]:
    """Return the input that an embedder makes of an entity.

    Raises:
        TypeError: If it is no array of numbers, or an empty one.
    """
    array = np.asarray(embedder.prepare(view), order="C")
    if array.dtype.kind not in "biufc" or not array.size:
        raise TypeError(f"`prepare` returned {array.dtype} of shape {array.shape}, expected numbers")
    return array


def _input(
    entity: dict[str, str], root: Root, embedder: Embedder, key: str, judges: Judges, now: datetime
) -> dict[str, object]:
    entity_id = entity["entity_id"]
    view = view_or_error(entity, root=root, judges=judges)
    try:
        if isinstance(view, IngestError):
            raise RejectedInputError("unreadable", str(view))
        array = prepared(embedder, view)
    except RejectedInputError as error:
        return {"entity_id": entity_id} | _rejected(entity_id, key, error.rule, error.reason, now)
    except Exception as error:  # Someone else's code: whatever it raises is this entity's outcome.
        why = f"{type(error).__name__}: {error}"
        return {"entity_id": entity_id} | _rejected(entity_id, key, EMBEDDER_ERROR, why, now)
    return {"entity_id": entity_id, "input": array.tobytes(), "dtype": array.dtype.str, "shape": list(array.shape)}


def _rejected(entity_id: str, key: str, rule: str, reason: str, now: datetime) -> dict[str, object]:
    error = RejectedInputError(rule, f"embedder {key}: {reason_in_one_line(reason)}")
    return finish_row(rejected_row("embed", entity_id, error, location=key), REJECTED, now)
