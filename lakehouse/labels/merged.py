"""Merged labels in answers of any kind: the label that stands for one takes its place, in whatever column it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

Merges = Mapping[tuple[int, str], str]
"""(Version of the question, 0 for rows that tell none; label) -> the label that stands for it."""


def merged_batches(
    batches: Iterator[pa.RecordBatch], *, merges: Merges, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield opinions with the labels that stand for theirs, in whatever columns they have labels."""
    for batch in batches:
        yield pa.RecordBatch.from_pylist([merged(row, merges) for row in batch.to_pylist()], schema=schema)


def merged(row: dict[str, Any], merges: Merges) -> dict[str, Any]:
    """Return one opinion with the labels that stand for its own, in whatever columns it has labels.

    Of one label its probabilities add up; of several labels, each of which may hold, the most probable counts.
    """
    row = dict(row)
    version = row.get("question_version", 0)

    def named(label: str | None) -> str | None:
        return None if label is None else merges.get((version, label), label)

    if row.get("label") is not None:
        row["label"] = named(row["label"])
    if row.get("labels") is not None:
        row["labels"] = sorted({str(named(label)) for label in row["labels"]})
    if row.get("ranking") is not None:
        row["ranking"] = list(dict.fromkeys(named(label) for label in row["ranking"]))
    if row.get("regions") is not None:
        row["regions"] = [{**region, "label": named(region["label"])} for region in row["regions"]]
    if row.get("probs") is not None:
        shares: dict[str, list[float]] = {}
        for label, share in row["probs"]:
            shares.setdefault(str(named(label)), []).append(share)
        total = max if row.get("labels") is not None else sum
        row["probs"] = [(label, total(each)) for label, each in shares.items()]
    return row
