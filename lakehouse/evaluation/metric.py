"""One number of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One number on one slice; `value` is None where it is not defined (no answers, no members)."""

    metric: str
    slice: str
    value: float | None
    support: int
