"""Nearest neighbours by embeddings: exact, every vector is compared, with conditions on the entities.

Legend: n vectors, d numbers of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.dimensions.measure import view_of_file
from lakehouse.embedding.embedder import Embedder, Floats
from lakehouse.embedding.inputs import EMBEDDER_ERROR, prepared
from lakehouse.embedding.running import loaded, vectors_by
from lakehouse.engines import Relation
from lakehouse.errors import ConfigError, EntityNotFoundError, PetrelError, RejectedInputError
from lakehouse.lake import Lake
from lakehouse.names import nearest as nearest_name
from lakehouse.query import Pins, fetch, query
from lakehouse.sql.condition import entities_where
from lakehouse.tables.read import pin_heads
from schemas.tables import DIMENSIONS, EMBEDDINGS, ENTITIES, ENTITY_SOURCES

METRICS = ("cosine", "l2", "dot")

MODELS = "select model, count(*) as vectors from silver.embeddings group by model order by model"

VECTORS = "select entity_id, vector from silver.embeddings where model = $model"

AMONG = f"{VECTORS} and entity_id in (select entity_id from chosen)"

NAMED = """
select e.entity_id, e.media_type, min(s.source || '/' || s.path) as name
from silver.entities e left join silver.entity_sources s on s.entity_id = e.entity_id
join found f on f.entity_id = e.entity_id
group by e.entity_id, e.media_type
"""


def nearest(
    lake: Lake, to: npt.ArrayLike, *, model: str, k: int = 10, where: str = "", metric: str = "cosine"
) -> list[dict[str, Any]]:
    """Return the entities whose vectors are nearest to one, the nearest first; ties go by id.

    Args:
        lake: The lake.
        to: Finite numbers, shape (d,).
        model: Whose vectors are compared, as silver.embeddings names it.
        k: How many at most.
        where: SQL condition over `entities_wide` that they must meet, gated like every query of people's; '' takes all.
        metric: `cosine`: 1 - the cosine of the angle, 0 to 2; a vector of length 0 is as far as one at right angles.
            `l2`: Euclidean distance. `dot`: the negative dot product.

    Returns:
        Rows with entity_id, distance, media_type and name (source and path of one place it was seen at).

    Raises:
        ConfigError: If no vector is by this model, or they have other lengths, or the metric is unknown, or a number is
            not finite.
        QueryRefusedError, QueryFailedError: If the condition may not or cannot run.
    """
    if metric not in METRICS:
        raise ConfigError(f"metric `{metric}`{nearest_name(metric, METRICS)}")
    if k < 1:
        raise ConfigError(f"k = {k}: expected 1 or more neighbours")
    wanted = np.asarray(to, np.float64)
    if not np.isfinite(wanted).all():
        raise ConfigError("to: expected finite numbers")
    tables = [EMBEDDINGS.name, ENTITIES.name, ENTITY_SOURCES.name, DIMENSIONS.name]
    pins = pin_heads(lake, tables)
    ids: list[str] = []
    distances = np.empty(0)
    for names, vectors in _batches(lake, _among(lake, model, where, pins)):
        if vectors.shape[1:] != wanted.shape:
            raise ConfigError(f"vectors of {model} have {vectors.shape[1]} numbers, this one has shape {wanted.shape}")
        ids, distances = _best(ids + names, np.concatenate([distances, _distances(vectors, wanted, metric)]), k)
    if not ids and not where:
        _no_vectors(lake, model)
    return _told(lake, ids, distances, pins)


def model_of(lake: Lake, model: str = "") -> str:
    """Return the model of this name, or the only one that there is.

    Raises:
        ConfigError: If there is none, or several and none was named.
    """
    models = [row["model"] for row in fetch(lake, MODELS)]
    if model:
        if model not in models:
            _no_vectors(lake, model)
        return model
    if len(models) != 1:
        raise ConfigError(f"--model: embeddings are by {', '.join(models) or 'nobody: run `petrel embed` first'}")
    return str(models[0])


def vector_of_entity(lake: Lake, entity_id: str, model: str) -> Floats:
    """Return the vector of an entity; float32 (d,).

    Raises:
        EntityNotFoundError: If it has none by this model.
    """
    rows = fetch(lake, f"{VECTORS} and entity_id = $id", params={"model": model, "id": entity_id})
    if not rows:
        raise EntityNotFoundError(f"entity {entity_id} has no embedding by {model}; run `petrel embed` first")
    return np.asarray(rows[0]["vector"], np.float32)


def vector_of_file(
    lake: Lake, file: str | Path, embedder: Embedder, *, weights: str | Path | None = None, device: str = "cpu"
) -> Floats:
    """Return the vector that an embedder gives a file that need not be in the lake; float32 (d,).

    Raises:
        RejectedInputError: If it is broken, or no such kind of file.
        IngestError: If it cannot be read.
        ConfigError: If the model cannot be loaded, fails, or returns anything else than a vector.
    """
    view = view_of_file(file, config=lake.config)
    if not view.media_type.startswith(embedder.media_types):
        raise RejectedInputError("other_media", f"{file} is {view.media_type}, embedder {embedder.name} is for "
                                                f"{', '.join(embedder.media_types)}")  # fmt: skip
    path = None if weights is None else Path(weights)
    key = embedder.key(path)
    try:
        inputs = prepared(embedder, view)[None]
    except PetrelError:
        raise
    except Exception as error:  # Code of the user's: whatever it raises.
        raise RejectedInputError(EMBEDDER_ERROR, f"embedder {key}: {type(error).__name__}: {error} ({file})") from error
    vector: Floats = vectors_by(loaded(embedder, key, device, path), key, inputs)[0]
    return vector


def _among(lake: Lake, model: str, where: str, pins: Pins) -> Relation:
    if not where:
        return query(lake, VECTORS, params={"model": model}, pins=pins)
    inputs = {"chosen": entities_where(lake, where, pins=pins)}
    return query(lake, AMONG, inputs=inputs, params={"model": model}, pins=pins)


def _batches(lake: Lake, rows: Relation) -> Iterator[tuple[list[str], npt.NDArray[np.float64]]]:
    for batch in lake.engine.stream(rows):
        lists = batch["vector"]
        if batch.num_rows == 0:
            continue
        lengths = set(lists.value_lengths().to_pylist())
        if len(lengths) > 1:
            raise ConfigError(f"vectors have {' and '.join(map(str, sorted(lengths)))} numbers; embed them anew")
        values = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        yield batch["entity_id"].to_pylist(), values.reshape(batch.num_rows, -1)


def _distances(
    vectors: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], metric: str
) -> npt.NDArray[np.float64]:
    if metric == "l2":
        found: npt.NDArray[np.float64] = np.linalg.norm(vectors - wanted, axis=1)
        return found
    dots: npt.NDArray[np.float64] = vectors @ wanted
    if metric == "dot":
        return -dots
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(wanted)
    cosines: npt.NDArray[np.float64] = np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)
    return 1.0 - cosines


def _best(ids: list[str], distances: npt.NDArray[np.float64], k: int) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Return the k nearest, in order."""
    if len(ids) > k:
        # All that are as near as the k-th: which of equals stay is by id, not by their place.
        near = np.flatnonzero(distances <= np.partition(distances, k - 1)[k - 1])
    else:
        near = np.arange(len(ids))
    order = sorted(near.tolist(), key=lambda place: (distances[place], ids[place]))[:k]
    return [ids[place] for place in order], distances[order]


def _told(lake: Lake, ids: list[str], distances: npt.NDArray[np.float64], pins: Pins) -> list[dict[str, Any]]:
    found = lake.engine.from_arrow(pa.table({"entity_id": pa.array(ids, pa.string())}))
    named = {row["entity_id"]: row for row in fetch(lake, NAMED, inputs={"found": found}, pins=pins)}
    return [
        {"entity_id": each, "distance": float(distance), "media_type": named[each]["media_type"],
         "name": named[each]["name"]}
        for each, distance in zip(ids, distances, strict=True) if each in named
    ]  # fmt: skip


def _no_vectors(lake: Lake, model: str) -> None:
    models = [row["model"] for row in fetch(lake, MODELS)]
    known = f"; there are embeddings by {', '.join(models)}" if models else ""
    raise ConfigError(f"no embedding by {model}{known}; run `petrel embed` first")
