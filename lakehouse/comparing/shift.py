"""How classes, dimensions and evaluations moved from one version of a dataset to another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from lakehouse.lake import Lake
from lakehouse.query import fetch

CLASSES = """
select label, count(*) filter (where dataset_id = $old) as old_members,
    count(*) filter (where dataset_id = $new) as new_members
from gold.dataset_members where (dataset_id = $old or dataset_id = $new) and label is not null
group by label order by label
"""

NUMBERS = """
select d.dimension, m.dataset_id = $new as is_new, count(*) as members, avg(d.number) as mean,
    case when min(d.number) = max(d.number) then 0 else stddev_samp(d.number) end as deviation
from current_dimensions d join member_entities m on m.entity_id = d.entity_id
where (m.dataset_id = $old or m.dataset_id = $new) and d.number is not null
group by d.dimension, m.dataset_id = $new
"""

WORDS = """
select d.dimension, coalesce(d.text, cast(d.boolean as varchar)) as value,
    count(*) filter (where m.dataset_id = $old) as old_members,
    count(*) filter (where m.dataset_id = $new) as new_members
from current_dimensions d join member_entities m on m.entity_id = d.entity_id
where (m.dataset_id = $old or m.dataset_id = $new) and (d.text is not null or d.boolean is not null)
group by d.dimension, coalesce(d.text, cast(d.boolean as varchar))
"""

EVALUATED = """
select n.actor_id, n.question_id, n.split, n.metric, n.slice, o.value as old_value, n.value as new_value,
    o.support as old_support, n.support as new_support
from newest n join newest o on o.actor_id = n.actor_id and o.question_id = n.question_id and o.split = n.split
    and o.metric = n.metric and o.slice = n.slice
where n.dataset_id = $new and o.dataset_id = $old and n.value is distinct from o.value
order by n.actor_id, n.question_id, n.split, n.metric, n.slice
"""

NEWEST = """
with newest as (
    select * from gold.evaluations where dataset_id = $old or dataset_id = $new
    qualify row_number() over (
        partition by dataset_id, actor_id, question_id, split, metric, slice order by evaluated_at desc, evaluation_id
    ) = 1
)
"""

DIGITS = 10
"""Significant digits of a mean and a deviation that are kept: the last ones depend on the order of the sums, which is
another on each engine and each day."""

MOST_WORDS = 1_000
"""Values of a dimension that are compared; one with more, as a name of a file, says nothing about a shift."""

Row = dict[str, Any]


def class_shift(lake: Lake, old: str, new: str) -> list[Row]:
    """Return each label with its members in both versions and the difference of its shares (new - old, -1 to 1)."""
    rows = fetch(lake, CLASSES, params={"old": old, "new": new})
    totals = [max(1, sum(row[name] for row in rows)) for name in ("old_members", "new_members")]
    return [row | {"share_change": row["new_members"] / totals[1] - row["old_members"] / totals[0]} for row in rows]


def dimension_shift(lake: Lake, old: str, new: str) -> list[Row]:
    """Return each current dimension with how far it moved, the farthest first.

    Of numbers `shift` is the standardised mean difference, (new mean - old mean) / the root of the mean of both
    variances (Cohen's d); of text and booleans the total variation distance of the shares, 0 to 1. None: one of the
    versions has no such value, or numbers that all are equal differ.
    """
    params = {"old": old, "new": new}
    found = [*numbers_moved(fetch(lake, NUMBERS, params=params)), *_words(fetch(lake, WORDS, params=params))]
    return sorted(found, key=lambda row: (-_far(row["shift"]), row["dimension"]))


def evaluation_shift(lake: Lake, old: str, new: str) -> list[Row]:
    """Return metrics of the same actor, question, split and slice whose newest values differ."""
    return fetch(lake, NEWEST + EVALUATED, params={"old": old, "new": new})


def numbers_moved(rows: Iterable[Row]) -> Iterable[Row]:
    """Yield the rows of `dimension_shift` for numbers, from members, mean and deviation of each side."""
    sides: dict[str, dict[bool, Row]] = {}
    for row in rows:
        kept = {what: _rounded(row[what]) for what in ("mean", "deviation")}
        sides.setdefault(row["dimension"], {})[row["is_new"]] = row | kept
    for name, each in sides.items():
        before, now = each.get(False), each.get(True)
        shift = None
        if before is not None and now is not None:
            spread = math.sqrt((before["deviation"] ** 2 + now["deviation"] ** 2) / 2)
            change = now["mean"] - before["mean"]
            shift = change / spread if spread else (None if change else 0.0)
        yield {"dimension": name, "kind": "number", "shift": shift} | {
            f"{side}_{what}": None if row is None else row[what]
            for side, row in (("old", before), ("new", now)) for what in ("members", "mean", "deviation")
        }  # fmt: skip


def _words(rows: Iterable[Row]) -> Iterable[Row]:
    counts: dict[str, list[Row]] = {}
    for row in rows:
        counts.setdefault(row["dimension"], []).append(row)
    for name, values in counts.items():
        if len(values) > MOST_WORDS:
            continue
        totals = {side: sum(row[f"{side}_members"] for row in values) for side in ("old", "new")}
        shift = None
        if all(totals.values()):
            shift = sum(abs(_share(row, "new", totals) - _share(row, "old", totals)) for row in values) / 2
        yield {"dimension": name, "kind": "text", "shift": shift, "values": len(values)} | {
            f"{side}_members": total for side, total in totals.items()
        }


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _far(shift: float | None) -> float:
    return math.inf if shift is None else abs(shift)


def _share(row: Row, side: str, totals: Mapping[str, int]) -> float:
    return float(row[f"{side}_members"]) / totals[side]
