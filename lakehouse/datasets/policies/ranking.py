"""Rankings: whose order holds, and how near a predicted one is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.datasets.policies.hits import Ints, mean_of
from lakehouse.datasets.policies.kind import AnswerKind, Decision, Measure, Score, Scored, because_of
from lakehouse.datasets.policies.newest import NEWEST, newest_sql, unsettled
from lakehouse.datasets.policies.settings import Label
from loaders.format.fields import Field

TEXTS = pa.list_(pa.string())

MEASURES = (
    Measure("kendall_tau", is_share=False), Measure("spearman", is_share=False), Measure("first_right"),
)  # fmt: skip


def decide(row: Mapping[str, Any], settings: Label) -> Decision:
    """Return the ranking of one entity, best first."""
    nobodys = unsettled(row, settings)
    if nobodys is not None:
        return nobodys
    order = list(row["ranking"])
    twice = sorted({each for each in order if order.count(each) > 1})
    if twice:
        return Decision(reason="ranked_twice", detail=f"{twice[0]!r} has two places")
    return Decision(answer=order)


def samples(members: pa.Table, _classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `ranking`, list of texts, best first."""
    values = [json.loads(text) for text in members["answer_json"].to_pylist()]
    yield Field("ranking", TEXTS, doc="What is ranked, best first."), pa.array(values, TEXTS)


def weigh(rows: Sequence[Scored]) -> Callable[[Ints], Iterator[Score]]:
    """Return what scores rankings, from how often each row counts: `kendall_tau`, `spearman` and `first_right` (share
    of members whose first is the right one).

    The two are correlations, -1 to 1, of the places of what both rank, as a mean over the members where that is two or
    more; no places are shared, so that all forms of tau are the same.

    Args:
        rows: Truth and answer: texts, best first.
    """
    # tau and rho of each: (rows, 2); NaN where fewer than two are ranked by both.
    found = np.full((len(rows), 2), np.nan)
    right = np.array([bool(row.truth and row.answer) and row.truth[0] == row.answer[0] for row in rows], np.int64)
    for number, row in enumerate(rows):
        places = {each: place for place, each in enumerate(row.answer or ())}
        order = np.array([places[each] for each in row.truth if each in places])
        if len(order) >= 2:
            found[number] = kendall(order), spearman(order)

    def weighed(counts: Ints) -> Iterator[Score]:
        for name, values in zip(("kendall_tau", "spearman"), found.T, strict=True):
            yield mean_of(name, values, counts)
        total = int(counts.sum())
        yield Score("first_right", None, int(counts @ right) / total if total else None, total)

    return weighed


def kendall(order: Ints) -> float:
    """Return Kendall's tau of the places of items that stand in the right order; (items,), two or more, none twice."""
    signs = np.sign(order[None, :] - order[:, None])
    return float(np.triu(signs, 1).sum() / (len(order) * (len(order) - 1) / 2))


def spearman(order: Ints) -> float:
    """Return Spearman's rho of such places."""
    number = len(order)
    off = np.argsort(np.argsort(order)) - np.arange(number)
    return float(1 - 6 * (off**2).sum() / (number * (number**2 - 1)))


RANKING = AnswerKind(
    value_kind="ranking",
    policies=NEWEST,
    version=1,
    hears=("event_time", "ranking"),
    tally=newest_sql("ranking"),
    decide=decide,
    because=because_of("ranking"),
    samples=samples,
    sample_names=("ranking",),
    weigh=weigh,
    measures=MEASURES,
)
