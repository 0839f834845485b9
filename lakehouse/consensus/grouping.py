"""Answers subject by subject, as annotators: what each of them said, and how many votes stand behind it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lakehouse.consensus.decision import Inputs
from lakehouse.consensus.methods.votes import Floats


@dataclass(frozen=True, slots=True)
class Answered:
    """All answers about one subject.

    Attributes:
        subject: Id of the entity.
        rows: One for each answer, by actor and slot.
        names: Who gave each: the actor, with the slot where he has one; (n,).
        weights: Votes behind each; (n,).
    """

    subject: str
    rows: Sequence[Mapping[str, Any]]
    names: Sequence[str]
    weights: Floats

    @property
    def total(self) -> float:
        """Votes of all."""
        return float(self.weights.sum())


def by_subject(inputs: Inputs) -> Iterator[Answered]:
    """Yield the answers, subject by subject."""
    rows = (row for batch in inputs.rows.to_batches(max_chunksize=10_000) for row in batch.to_pylist())
    for subject, group in itertools.groupby(rows, key=lambda row: str(row["subject_id"])):
        found = list(group)
        names = [f"{row['actor_id']} {row['slot']}".rstrip() for row in found]
        yield Answered(subject, found, names, np.array([row["votes"] for row in found], np.float64))
