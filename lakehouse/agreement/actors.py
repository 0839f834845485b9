"""What each actor is like: how right, how fast, how steady, how dear."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lakehouse.agreement.report import ActorFacts

LONGEST_GAP_S = 600.0
"""Longer between two answers is a pause."""

MOST_WINDOWS = 24
MOST_CONFUSIONS = 20

Score = Callable[[Mapping[str, Any]], float | None]
"""Answer -> how right it is, 0 to 1; None where there is nothing to compare it with."""


def facts_of(
    actor: str,
    kind: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    score: Score,
    unanimous: Callable[[Mapping[str, Any]], bool | None],
    confused: Callable[[Mapping[str, Any]], tuple[str, str] | None],
    window_days: int = 30,
) -> ActorFacts:
    """Return what is known of one actor.

    Args:
        actor: Its id.
        kind: Its kind.
        rows: Its answers, abstentions too.
        score: How right an answer is.
        unanimous: Whether all say what this answer says; None where nobody else answered.
        confused: (right label, said label) of an answer that can be compared.
        window_days: Days of one window of drift, counted from the actor's first answer with a time.
    """
    said = [row for row in rows if row["op"] == "assert"]
    scored = [(row, found) for row in said if (found := score(row)) is not None]
    weight = sum(row["votes"] for row, _ in scored)
    alike = [(row["votes"], found) for row in said if (found := unanimous(row)) is not None]
    seconds, source = _seconds(said)
    costs = [cost for row in said if (cost := _number(row, "cost")) is not None]
    confusion: Counter[tuple[str, str]] = Counter()
    for row in said:
        pair = confused(row)
        if pair is not None and pair[0] != pair[1]:
            confusion[pair] += row["votes"]
    return ActorFacts(
        actor=actor,
        kind=kind,
        answers=sum(row["votes"] for row in said),
        abstained=len(rows) - len(said),
        compared=weight,
        accuracy=sum(row["votes"] * found for row, found in scored) / weight if weight else None,
        unanimous=sum(votes for votes, found in alike if found) / sum(votes for votes, _ in alike) if alike else None,
        seconds=seconds,
        seconds_from=source,
        cost=sum(costs) if costs else None,
        drift=_drift(scored, window_days),
        confusion=tuple(
            (*pair, n) for pair, n in sorted(confusion.items(), key=lambda each: (-each[1], each[0]))[:MOST_CONFUSIONS]
        ),
    )


def _seconds(said: Sequence[Mapping[str, Any]]) -> tuple[float | None, str]:
    stated = [seconds for row in said if (seconds := _number(row, "lead_time")) is not None]
    if stated:
        return statistics.median(stated), "stated"
    times: list[datetime] = sorted(row["event_time"] for row in said if row["event_time"] is not None)
    gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(times)]
    working = [gap for gap in gaps if 0 < gap <= LONGEST_GAP_S]
    return (statistics.median(working), "gaps") if working else (None, "")


def _number(row: Mapping[str, Any], name: str) -> float | None:
    text = dict(row["ext"] or ()).get(name)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _drift(scored: Sequence[tuple[Mapping[str, Any], float]], days: int) -> tuple[tuple[str, int, float], ...]:
    timed = [(row["event_time"], row["votes"], found) for row, found in scored if row["event_time"] is not None]
    if not timed:
        return ()
    first = min(time for time, _, _ in timed)
    windows: dict[int, list[tuple[datetime, int, float]]] = {}
    for time, votes, found in timed:
        windows.setdefault((time - first).days // days, []).append((time, votes, found))
    told = []
    for place in sorted(windows)[-MOST_WINDOWS:]:
        members = windows[place]
        votes = sum(n for _, n, _ in members)
        start = min(time for time, _, _ in members)
        told.append((start.date().isoformat(), votes, sum(n * found for _, n, found in members) / votes))
    return tuple(told)
