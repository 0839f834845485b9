"""From numbers, texts, rankings and sets of labels to decisions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lakehouse.consensus.decision import Decision, Inputs, Outcome, support
from lakehouse.consensus.grouping import Answered, by_subject
from lakehouse.consensus.methods import medoid as texts
from lakehouse.consensus.methods import numbers, rankings
from lakehouse.consensus.methods.multi_label import label_shares
from lakehouse.consensus.settings import Settings

SHOWN = 5
DIGITS = 12
"""Of recorded numbers: the last digits of a sum depend on the order of its terms."""


def mean(inputs: Inputs, settings: Settings) -> Outcome:
    """Decide by the mean."""
    return Outcome(_middles(inputs, settings, numbers.mean))


def median(inputs: Inputs, settings: Settings) -> Outcome:
    """Decide by the median."""
    return Outcome(_middles(inputs, settings, numbers.median))


def trimmed_mean(inputs: Inputs, settings: Settings) -> Outcome:
    """Decide by the mean without the ends."""
    return Outcome(_middles(inputs, settings, functools.partial(numbers.trimmed_mean, trim=settings.trim)))


def circular_mean(inputs: Inputs, settings: Settings) -> Outcome:
    """Decide by the mean direction; confidence is how far the angles point one way."""
    make = functools.partial(numbers.circular_mean, period=settings.period)
    return Outcome(_middles(inputs, settings, make, directed=True))


def multi_label(inputs: Inputs, settings: Settings) -> Outcome:
    """Decide each label by itself: it holds where more than the threshold names it; confidence is the least sure's."""
    return Outcome(_each(inputs, settings, functools.partial(_labels, threshold=settings.threshold)))


def medoid(inputs: Inputs, settings: Settings) -> Outcome:
    """Decide by the text that is nearest to all."""
    return Outcome(_each(inputs, settings, _text))


def borda(inputs: Inputs, settings: Settings) -> Outcome:
    """Decide by points for places."""
    return Outcome(_each(inputs, settings, functools.partial(_ranking, score=rankings.borda)))


def bradley_terry(inputs: Inputs, settings: Settings) -> Outcome:
    """Decide by strengths."""
    return Outcome(_each(inputs, settings, functools.partial(_ranking, score=rankings.bradley_terry)))


Make = Callable[[Answered], tuple[dict[str, Any] | None, str]]
"""Answers -> fields of the opinion, or why there are none."""


def _each(inputs: Inputs, settings: Settings, make: Make) -> Iterator[Decision]:
    for each in by_subject(inputs):
        fields, reason = make(each) if each.total >= settings.quorum else (None, "quorum")
        told = "" if fields is not None else _told(each)
        yield Decision(each.subject, fields, reason, each.total, told)


def _middles(
    inputs: Inputs, settings: Settings, make: Callable[..., numbers.Middle], *, directed: bool = False
) -> Iterator[Decision]:
    def middle(each: Answered) -> tuple[dict[str, Any] | None, str]:
        found = make(np.array([row["number"] for row in each.rows], np.float64), each.weights)
        if found.value is None:
            return None, "no_direction"
        ext = support(each.total, each.total) | {"resultant" if directed else "spread": f"{_rounded(found.spread):g}"}
        fields: dict[str, Any] = {"number": _rounded(found.value), "ext": ext}
        if directed:
            fields["confidence"] = round(min(found.spread, 1.0), 6)
        return fields, ""

    yield from _each(inputs, settings, middle)


def _labels(each: Answered, *, threshold: float) -> tuple[dict[str, Any] | None, str]:
    found = label_shares([row["labels"] for row in each.rows], each.weights.tolist())
    held = sorted(label for label, share in found.items() if share > threshold)
    sure = min((share if label in held else 1 - share for label, share in found.items()), default=1.0)
    probs = {label: round(share, 6) for label, share in found.items()}
    fields: dict[str, Any] = {"labels": held, "confidence": round(sure, 6), "ext": support(each.total, each.total)}
    return fields | ({"probs": probs} if probs else {}), ""


def _text(each: Answered) -> tuple[dict[str, Any] | None, str]:
    said = [row["text"] for row in each.rows]
    try:
        text, distance = texts.medoid(said, each.weights.tolist())
    except ValueError:
        return None, "too_long"
    same = sum(weight for one, weight in zip(said, each.weights.tolist(), strict=True) if one == text)
    return {"text": text, "confidence": round(1 - distance, 6), "ext": support(same, each.total)}, ""


def _ranking(each: Answered, *, score: Callable[..., dict[str, float]]) -> tuple[dict[str, Any] | None, str]:
    scores = score([row["ranking"] for row in each.rows], each.weights.tolist())
    names, tied = rankings.ordered(scores)
    if tied:
        return None, "tie"
    said = ", ".join(f"{name} {scores[name]:.6g}" for name in names)
    return {"ranking": names, "ext": support(each.total, each.total) | {"scores": said}}, ""


def _told(each: Answered) -> str:
    def value(row: Any) -> str:
        for name in ("number", "text", "ranking", "labels"):
            if row[name] is not None:
                return " > ".join(row[name]) if name == "ranking" else str(row[name])[:80]
        return ""

    return ", ".join(value(row) for row in each.rows[:SHOWN])


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")
