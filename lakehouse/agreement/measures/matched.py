"""How far the boxes of two annotators agree: matched one to one by class, mean overlap and F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.consensus.methods.assignment import assign
from lakehouse.consensus.methods.overlap import iou

LEAST = 0.5
"""Overlap from which two boxes are of one object, of F1."""


@dataclass(frozen=True, slots=True)
class Matched:
    """What was matched; sums of several subjects and pairs add up.

    Attributes:
        overlap: Sum of the overlaps of matched boxes.
        matched: Boxes matched with overlap of at least `LEAST`, pairs.
        boxes: Boxes of both annotators.
    """

    overlap: float = 0.0
    matched: int = 0
    boxes: int = 0

    def __add__(self, other: Matched) -> Matched:
        return Matched(self.overlap + other.overlap, self.matched + other.matched, self.boxes + other.boxes)

    @property
    def mean_iou(self) -> float | None:
        """Mean overlap of matched boxes; None where none is."""
        return self.overlap / self.matched if self.matched else None

    @property
    def f1(self) -> float | None:
        """2 x matched / boxes of both; None where neither drew any: nothing there, agreed by both."""
        return 2 * self.matched / self.boxes if self.boxes else None


def match_boxes(
    one_N4: np.ndarray, one_labels: Sequence[str | None], other_M4: np.ndarray, other_labels: Sequence[str | None]
) -> Matched:
    """Return how the boxes of two annotators about one subject match; those of other labels never do.

    Args:
        one_N4: x, y, w, h in px; (N, 4).
        one_labels: (N,).
        other_M4: (M, 4).
        other_labels: (M,).
    """
    overlap, matched = 0.0, 0
    for label in {*one_labels} & {*other_labels}:
        mine = [n for n, each in enumerate(one_labels) if each == label]
        theirs = [n for n, each in enumerate(other_labels) if each == label]
        gain = iou(one_N4[mine], other_M4[theirs])
        gain = np.where(gain >= LEAST, gain, 0.0)
        pairs = [gain[pair] for pair in assign(gain) if gain[pair] >= LEAST]
        overlap, matched = overlap + float(sum(pairs)), matched + len(pairs)
    return Matched(overlap, matched, len(one_labels) + len(other_labels))
