"""How far the shapes of two annotators agree: matched one to one, mean overlap, F1, and how far ends are apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lakehouse.consensus.methods.assignment import assign

LEAST = 0.5
"""Overlap from which two shapes are of one object, of F1."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Matched:
    """What was matched; sums of several subjects and pairs add up.

    Attributes:
        overlap: Sum of the overlaps of matched shapes.
        matched: Shapes matched with overlap of at least `LEAST`, pairs.
        shapes: Shapes of both annotators.
        apart: Sum over matched stretches of the mean distance of their starts and of their ends.
        stretches: Matched pairs that are stretches.
    """

    overlap: float = 0.0
    matched: int = 0
    shapes: int = 0
    apart: float = 0.0
    stretches: int = 0

    def __add__(self, other: Matched) -> Matched:
        return Matched(
            self.overlap + other.overlap, self.matched + other.matched, self.shapes + other.shapes,
            self.apart + other.apart, self.stretches + other.stretches,
        )  # fmt: skip

    @property
    def mean_iou(self) -> float | None:
        """Mean overlap of matched shapes; None where none is."""
        return self.overlap / self.matched if self.matched else None

    @property
    def f1(self) -> float | None:
        """2 x matched / shapes of both; None where neither drew any: nothing there, agreed by both."""
        return 2 * self.matched / self.shapes if self.shapes else None

    @property
    def boundary_error(self) -> float | None:
        """Mean distance of an end of a matched stretch from the other one's; None where none is matched."""
        return self.apart / self.stretches if self.stretches else None


def match_shapes(overlap_NM: Floats, *, apart_NM: Floats | None = None) -> Matched:
    """Return how the shapes of two annotators match that may be of one object at all: of one kind and label.

    Args:
        overlap_NM: Overlap of each shape of one with each of the other, 0 to 1.
        apart_NM: Of stretches, the mean distance of their starts and of their ends.
    """
    gain = np.where(overlap_NM >= LEAST, overlap_NM, 0.0)
    pairs = [pair for pair in assign(gain) if gain[pair] >= LEAST] if gain.size else []
    total = float(sum(gain[pair] for pair in pairs))
    shapes = sum(overlap_NM.shape)
    if apart_NM is None:
        return Matched(total, len(pairs), shapes)
    return Matched(total, len(pairs), shapes, float(sum(apart_NM[pair] for pair in pairs)), len(pairs))
