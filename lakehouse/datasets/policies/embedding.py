"""Embeddings: whose vector holds, and how near a predicted one is.

An opinion has a vector as `value_ref`: `data:;base64,` with little-endian float32 (`embedding_ref` makes it), or the
place of a `.npy` file of this machine, with `#` and its SHA-256 behind it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.datasets.policies.hits import Ints, mean_of
from lakehouse.datasets.policies.kind import AnswerKind, Decision, Measure, Score, Scored, because_of
from lakehouse.datasets.policies.newest import NEWEST, newest_sql, unsettled
from lakehouse.datasets.policies.settings import Label
from lakehouse.errors import ConfigError
from loaders.format.fields import Field

INLINE = "data:;base64,"
FILE = "file://"
FLOATS = pa.list_(pa.float32())

Vector = npt.NDArray[np.float32]


def embedding_ref(vector: npt.ArrayLike) -> str:
    """Return a vector as the `value_ref` of an opinion.

    Args:
        vector: Finite numbers, shape (d,); kept as float32.

    Raises:
        ValueError: If it has another shape or a number that is not finite.
    """
    found = np.asarray(vector, dtype="<f4")
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise ValueError(f"an embedding is finite numbers of shape (d,), found shape {found.shape}")
    return INLINE + base64.b64encode(found.tobytes()).decode()


def vector_of(ref: str) -> Vector:
    """Return the vector that a `value_ref` stands for; float32 (d,).

    Raises:
        ValueError: If it is not here, damaged or no vector; the message says which.
    """
    if ref.startswith(INLINE):
        try:
            raw = base64.b64decode(ref.removeprefix(INLINE), validate=True)
        except binascii.Error as error:
            raise ValueError(f"is no base64: {error}") from error
        if not raw or len(raw) % 4:
            raise ValueError(f"has {len(raw)} bytes, which are no float32")
        found = np.frombuffer(raw, "<f4")
    else:
        found = _of_file(ref)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise ValueError(f"is no finite vector: shape {found.shape}")
    return found.astype(np.float32)


def _of_file(ref: str) -> npt.NDArray[np.generic]:
    place, _, sha256 = ref.removeprefix(FILE).partition("#")
    try:
        raw = Path(place).read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise ValueError("is another file than the one that was answered: its SHA-256 differs, or none is stated")
    found: npt.NDArray[np.generic] = np.load(io.BytesIO(raw), allow_pickle=False)
    return found


def decide(row: Mapping[str, Any], settings: Label) -> Decision:
    """Return the vector of one entity."""
    nobodys = unsettled(row, settings)
    if nobodys is not None:
        return nobodys
    try:
        return Decision(answer=vector_of(row["value_ref"]).astype(np.float64).tolist())
    except ValueError as error:
        return Decision(reason="no_embedding", detail=f"{row['value_ref']:.60} {error}")


def read(ref: str) -> list[float]:
    """Return the vector of one opinion.

    Raises:
        ConfigError: If it cannot be read.
    """
    try:
        found: list[float] = vector_of(ref).astype(np.float64).tolist()
    except ValueError as error:
        raise ConfigError(f"embedding {ref:.60} {error}") from error
    return found


def samples(members: pa.Table, _classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `embedding`, float32 (d,).

    Raises:
        ConfigError: If members have vectors of several lengths.
    """
    values = [json.loads(text) for text in members["answer_json"].to_pylist()]
    lengths = sorted({len(each) for each in values})
    if len(lengths) > 1:
        raise ConfigError(
            f"embeddings of {' and '.join(map(str, lengths))} numbers are in one dataset; have `label.actors` name one "
            "model"
        )
    yield Field("embedding", FLOATS, shape=(lengths[0],), doc="Vector by the recipe's policy."), pa.array(
        values, FLOATS
    )


def weigh(rows: Sequence[Scored]) -> Callable[[Ints], Iterator[Score]]:
    """Return what scores vectors, from how often each row counts: `cosine` and `distance` (Euclidean), means over the
    members with a prediction.

    Args:
        rows: Truth and answer: vectors of one length. A vector of zeros has a cosine of 0 with any other.

    Raises:
        ConfigError: If a prediction has another length than the truth.
    """
    # cosine and distance of each: (rows, 2); NaN where there is no prediction.
    found = np.full((len(rows), 2), np.nan)
    for number, row in enumerate(rows):
        if row.answer is None:
            continue
        one, other = np.array(row.truth), np.array(row.answer)
        if one.shape != other.shape:
            raise ConfigError(f"the embedding of {row.entity_id} has {len(other)} numbers, the dataset's {len(one)}")
        size = float(np.linalg.norm(one) * np.linalg.norm(other))
        found[number] = float(one @ other) / size if size else 0.0, float(np.linalg.norm(one - other))
    return lambda counts: (
        mean_of(name, values, counts) for name, values in zip(("cosine", "distance"), found.T, strict=True)
    )


EMBEDDING = AnswerKind(
    value_kind="embedding",
    policies=NEWEST,
    version=1,
    hears=("event_time", "value_ref"),
    tally=newest_sql("value_ref"),
    decide=decide,
    because=because_of("embedding"),
    samples=samples,
    sample_names=("embedding",),
    read=read,
    weigh=weigh,
    measures=(Measure("cosine", is_share=False), Measure("distance", is_share=False)),
)
