"""embed: silver.entities and a model -> silver.embeddings, silver.rejected."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pyarrow as pa

from lakehouse.derived.places import PLACED
from lakehouse.embedding.embedder import Embedder, Floats, Model
from lakehouse.embedding.inputs import INPUTS, input_batches
from lakehouse.embedding.running import loaded, vectors_by
from lakehouse.engines import Relation
from lakehouse.erasures import erased_entities
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.media.kinds.registry import judges_of
from lakehouse.progress import progress
from lakehouse.query import fetch, query
from lakehouse.steps.between_erasures import between_erasures
from lakehouse.steps.expired import expired
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.finish import finish_batch
from lakehouse.tables.insert import insert
from lakehouse.tables.read import pin_heads
from schemas.tables import EMBEDDINGS, ENTITIES, REJECTED

ROWS_PER_TASK = 64

CHUNK = 4_096
"""Entities that are committed together: a run that is killed has lost one chunk."""

TODO = """
select e.entity_id, {uri} as object_uri, {place} as place, e.media_type, row_number() over (order by e.entity_id) as nth
from silver.entities e {referenced}
where {uri} is not null and {types}
  and not exists (select 1 from expired x where x.entity_id = e.entity_id)
  and not exists (select 1 from expired x where x.entity_id = p.entity_id)
  and not exists (select 1 from silver.embeddings v where v.entity_id = e.entity_id and v.model = $model)
  and not exists (
    select 1 from silver.rejected r
    where r.step = 'embed' and r.subject = e.entity_id and r.location = $model and r.rule <> 'unreadable'
  )
"""
"""Entities that the model neither gave a vector nor rejected, numbered."""

ONE_VECTOR = "select vector from silver.embeddings where model = $model limit 1"


def embed(lake: Lake, embedder: Embedder, *, weights: str | Path | None = None, device: str = "cpu") -> Receipt:
    """Give every entity that an embedder is for, and that has none of its vectors yet, one.

    Bytes are decoded in worker processes, the model runs in this one, batch by batch; every 4,096 entities are
    committed, so that a run that was killed goes on from there.

    Args:
        lake: The lake.
        embedder: From `lakehouse.embedding.registry.embedder_named`.
        weights: File of the model's weights; its SHA-256 is part of the name that vectors are kept under.
        device: What the model runs on, for example `cuda:0`.

    Returns:
        Receipt with counts seen = embedded + rejected, and the detail model.

    Raises:
        ConfigError: If weights are missing or cannot be read, or the model cannot be loaded,
            fails, or returns anything else than as many vectors of finite numbers as it got inputs, each as long as
            those that there are by it.
        IngestError: If an entity was erased meanwhile.
        TableError: If a file of a table is missing or damaged.
    """
    path = None if weights is None else Path(weights)
    key = embedder.key(path)
    pins = pin_heads(lake, [ENTITIES.name, EMBEDDINGS.name, REJECTED.name])
    with step(lake, "embed", inputs={"model": key, ENTITIES.name: pins[ENTITIES.name]}, reads=pins) as record:
        record.details = {"model": key}
        if not record.unchanged:
            types = " or ".join(f"starts_with(e.media_type, $type{n})" for n in range(len(embedder.media_types)))
            named: dict[str, object] = {f"type{n}": each for n, each in enumerate(embedder.media_types)}
            inputs = {"expired": expired(lake)}
            params = named | {"model": key}
            todo = query(lake, TODO.format(types=f"({types})", **PLACED), inputs=inputs, params=params, pins=pins)
            _embed(lake, embedder, key, lake.engine.stage(todo), record, device=device, weights=path)
    return record.finished()


def _embed(
    lake: Lake, embedder: Embedder, key: str, todo: Relation, record: StepRecord, *, device: str, weights: Path | None
) -> None:
    total = int(fetch(lake, "select count(*) as n from todo", inputs={"todo": todo})[0]["n"])
    counts = {"embedded": 0, "rejected": 0}
    model = loaded(embedder, key, device, weights) if total else None
    length = _length(lake, key)
    with progress(f"embed {key}", total=total, unit="entities") as advance:
        for start in range(0, total, CHUNK):
            chunk = "select entity_id, object_uri, place, media_type from todo where nth > $after and nth <= $upto"
            part = lake.engine.sql(chunk, {"todo": todo}, {"after": start, "upto": start + CHUNK})
            erased = erased_entities(lake.home)
            inputs = lake.engine.map_batches(
                part,
                functools.partial(input_batches, root=lake.home, embedder=embedder, key=key,
                                  judges=judges_of(lake.config), now=lake.clock()),
                INPUTS,
                rows_per_task=ROWS_PER_TASK,
                label="decode",
            )  # fmt: skip
            assert model is not None
            ids, vectors = _vectors(lake, embedder, key, inputs, model, length)
            length = vectors[0].shape[1] if vectors else length
            taken = functools.partial(_ids, lake, inputs)
            with between_erasures(lake, taken, erased):
                _insert_vectors(lake, key, ids, vectors, record)
                _insert_rejected(lake, inputs, record, counts)
            counts["embedded"] += len(ids)
            advance(min(CHUNK, total - start))
    record.counts = {"seen": total, **counts}
    balance("embed", "entities", counts, total)
    record.counts_again = dict.fromkeys(record.counts, 0)
    record.complete = "unreadable" not in record.notes


def _length(lake: Lake, key: str) -> int | None:
    """Return how many numbers the vectors of a model have; None: there are none."""
    rows = fetch(lake, ONE_VECTOR, params={"model": key})
    return len(rows[0]["vector"]) if rows else None


def _ids(lake: Lake, inputs: Relation) -> list[str]:
    return [row["entity_id"] for row in fetch(lake, "select entity_id from inputs", inputs={"inputs": inputs})]


def _vectors(
    lake: Lake, embedder: Embedder, key: str, inputs: Relation, model: Model, length: int | None
) -> tuple[list[str], list[Floats]]:
    """Return ids and batches of vectors of the inputs that there are."""
    ids: list[str] = []
    found: list[Floats] = []
    # In the order of ids: which inputs are one batch must not hang on the engine.
    rows = lake.engine.sql("select * from inputs where input is not null order by entity_id", {"inputs": inputs}, {})
    waiting: list[tuple[str, np.ndarray]] = []
    for batch in lake.engine.stream(rows):
        for name, data, dtype, shape in zip(*(batch[each].to_pylist() for each in INPUTS.names[:4]), strict=True):
            waiting.append((name, np.frombuffer(data, dtype).reshape(shape)))
            if len(waiting) == embedder.batch:
                _run(key, model, waiting, ids, found, length)
    if waiting:
        _run(key, model, waiting, ids, found, length)
    return ids, found


def _run(
    key: str, model: Model, waiting: list[tuple[str, np.ndarray]], ids: list[str], found: list[Floats],
    length: int | None,
) -> None:  # fmt: skip
    """Run the model on what waits, and empty it."""
    shapes = {(array.dtype, array.shape) for _, array in waiting}
    if len(shapes) > 1:
        raise ConfigError(f"embedder {key}: inputs of {len(shapes)} types and shapes, {sorted(map(str, shapes))[:2]}; "
                          "`prepare` has to return the same for every entity")  # fmt: skip
    vectors = vectors_by(model, key, np.stack([array for _, array in waiting]))
    length = found[0].shape[1] if found else length
    if length not in (None, vectors.shape[1]):
        raise ConfigError(f"embedder {key}: its model returned vectors of {vectors.shape[1]} numbers, those that there "
                          f"are have {length}; raise its version")  # fmt: skip
    ids.extend(name for name, _ in waiting)
    found.append(vectors)
    waiting.clear()


def _insert_vectors(lake: Lake, key: str, ids: list[str], vectors: list[Floats], record: StepRecord) -> None:
    if not ids:
        return
    values = np.concatenate(vectors)
    offsets = pa.array(np.arange(len(ids) + 1, dtype=np.int32) * values.shape[1])
    lists = pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))
    rows = pa.RecordBatch.from_pydict({"entity_id": ids, "model": [key] * len(ids), "vector": lists})
    complete = pa.Table.from_batches([finish_batch(rows, EMBEDDINGS, lake.clock())])
    record.writes.append(insert(lake, EMBEDDINGS, lake.engine.from_arrow(complete), step="embed"))


def _insert_rejected(lake: Lake, inputs: Relation, record: StepRecord, counts: dict[str, int]) -> None:
    columns = ", ".join(REJECTED.column_names)
    rows = lake.engine.sql(f"select {columns} from inputs where input is null", {"inputs": inputs}, {})
    rejected = lake.engine.arrow(rows)
    if rejected.num_rows:
        record.writes.append(insert(lake, REJECTED, lake.engine.from_arrow(rejected), step="embed"))
        counts["rejected"] += rejected.num_rows
        for row in rejected.to_pylist():
            record.note(row["rule"], row["reason"])
