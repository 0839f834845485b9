"""What a label is in samples: its text, its class number, and its share of the votes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from loaders.format.fields import Field

LABEL = Field("label", pa.string(), doc="Label by the recipe's policy.")
LABEL_INDEX = Field("label_index", pa.int64(), doc="Class number of the label: its ordinal in the label set, from 0.")


def label_samples(members: pa.Table, classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `label`, `label_index`, its place in `classes`, and `label_probs`.

    Probabilities are votes divided by their sum, float32, one for each class.
    """
    if members["label"].null_count == members.num_rows:
        return
    names = tuple(classes)
    votes = [dict(each or ()) for each in members["label_votes"].to_pylist()]
    yield from label_columns(members["label"], classes)
    doc = f"Share of the votes for each of the {len(classes)} classes; adds up to 1."
    yield (
        Field("label_probs", pa.list_(pa.float32()), shape=(len(names),), doc=doc, classes=names),
        _shares(votes, classes),
    )


def label_columns(labels: pa.ChunkedArray, classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `label` and `label_index`, its place in `classes`."""
    yield LABEL, labels
    yield replace(LABEL_INDEX, classes=tuple(classes)), _indices(labels, classes)


def _indices(labels: pa.ChunkedArray, classes: Sequence[str]) -> pa.Array:
    places = {label: index for index, label in enumerate(classes)}
    return pa.array([places[label] for label in labels.to_pylist()], pa.int64())


def _shares(votes: list[dict[str, int]], classes: Sequence[str]) -> pa.Array:
    counts = np.array([[each.get(label, 0) for label in classes] for each in votes], dtype=np.float64)
    # counts: (samples, classes)
    shares = (counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
    return pa.array(list(shares), pa.list_(pa.float32()))
