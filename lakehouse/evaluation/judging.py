"""Verdicts of gates, and differences between two models, by intervals from resampled members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lakehouse.evaluation.bootstrap import Evidence, Weigh, evidence_of, interval, place_of, resampled
from lakehouse.evaluation.gates import GAIN, Gate
from lakehouse.evaluation.metric import Metric

CONFIDENCE = 0.95
LOW, HIGH = "_low", "_high"


def judged(
    metrics: Sequence[Metric], gates: Sequence[Gate], evidence: Evidence
) -> tuple[list[dict[str, object]], str]:
    """Return rows of gold.evaluations without their keys, and the worst verdict.

    A number that a gate is on has rows for the ends of its interval, `accuracy_low` and `accuracy_high`. A gate on a
    number that is not there fails.

    Args:
        metrics: All numbers.
        gates: What must hold.
        evidence: What numbers are resampled from.
    """
    by_place = {(gate.metric, gate.slice): gate for gate in gates}
    ends = _intervals(metrics, by_place.values(), evidence)
    rows: list[dict[str, object]] = []
    for metric in metrics:
        place = metric.metric, metric.slice
        gate, ends_here = by_place.pop(place, None), ends.get(place)
        verdict = "none" if gate is None else gate.verdict(metric.value, metric.support, ends_here)
        rows.append(_row(metric, gate, verdict))
        if ends_here is not None and not metric.metric.endswith(GAIN):
            for name, value in zip((LOW, HIGH), ends_here, strict=True):
                rows.append(_row(Metric(metric.metric + name, metric.slice, value, metric.support), None, "none"))
    rows += [_row(Metric(gate.metric, gate.slice, None, 0), gate, "fail") for gate in by_place.values()]
    verdicts = {row["verdict"] for row in rows}
    return rows, next((each for each in ("fail", "inconclusive", "pass") if each in verdicts), "none")


def gains(
    mine: Sequence[Metric], my_evidence: tuple[Weigh, int], others: Sequence[Metric], their_evidence: Evidence
) -> list[Metric]:
    """Return the differences of two models' numbers over all: mine less the other's, and the ends of their intervals.

    Both are resampled by the same draws of the same members.
    """
    there = {each.metric: each.value for each in others if each.slice == "all"}
    both = [
        each for each in mine if each.slice == "all" and each.value is not None and there.get(each.metric) is not None
    ]
    places = [place_of(each.metric, "all") for each in both]
    weigh, size = my_evidence
    one, other = (resampled(each, size, places) for each in (weigh, their_evidence["all"][0]))
    found = []
    for each, place in zip(both, places, strict=True):
        value = (each.value or 0.0) - (there[each.metric] or 0.0)
        ends = interval(one[place] - other[place], CONFIDENCE)
        for name, number in zip(("", LOW, HIGH), (value, *(ends or (None, None))), strict=True):
            found.append(Metric(f"{each.metric}{GAIN}{name}", "all", number, each.support))
    return found


def told_gain(metrics: Sequence[Metric], name: str) -> str:
    """Return a difference and its interval for a person: `+0.0120 (-0.0030 to +0.0270)`."""
    values = {each.metric: each.value for each in metrics if each.slice == "all"}
    value, low, high = (values.get(f"{name}{GAIN}{end}") for end in ("", LOW, HIGH))
    if value is None:
        return "none"
    return f"{value:+.4f}" if low is None or high is None else f"{value:+.4f} ({low:+.4f} to {high:+.4f})"


def _intervals(
    metrics: Sequence[Metric], gates: Iterable[Gate], evidence: Evidence
) -> dict[tuple[str, str], tuple[float, float]]:
    """Return (metric, slice) -> interval, of those that a gate needs."""
    by_place = {(each.metric, each.slice): each for each in metrics}
    needed: dict[str, list[Gate]] = {}
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for gate in gates:
        metric = by_place.get((gate.metric, gate.slice))
        if metric is None or not gate.needs_interval(metric.value, metric.support):
            continue
        if gate.metric.endswith(GAIN):
            low, high = (by_place[gate.metric + end, "all"].value for end in (LOW, HIGH))
            if low is not None and high is not None:
                found[gate.metric, gate.slice] = low, high
            continue
        needed.setdefault("all" if gate.slice.startswith("class=") else gate.slice, []).append(gate)
    for where, asked in needed.items():
        there = evidence_of(evidence, where)
        if there is None:
            continue
        weigh, size = there
        values = resampled(weigh, size, [place_of(gate.metric, gate.slice) for gate in asked])
        for gate in asked:
            ends = interval(values[place_of(gate.metric, gate.slice)], gate.confidence)
            number = by_place[gate.metric, gate.slice].value
            if ends is not None and number is not None:
                # The number itself is within: of very skew draws it may lie outside.
                found[gate.metric, gate.slice] = float(np.minimum(ends[0], number)), float(np.maximum(ends[1], number))
    return found


def _row(metric: Metric, gate: Gate | None, verdict: str) -> dict[str, object]:
    return {
        "metric": metric.metric,
        "slice": metric.slice,
        "value": metric.value,
        "support": metric.support,
        "operator": gate.operator if gate else None,
        "threshold": gate.threshold if gate else None,
        "min_support": gate.min_support if gate else None,
        "verdict": verdict,
    }
