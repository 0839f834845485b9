"""How several labels of one entity are scored: each label for itself, and the set as a whole.

Definitions as in scikit-learn's multi-label metrics: micro counts all labels of all entities together, macro is the
mean over classes; a class that is nowhere in the truth is in no mean. Average precision of a class is that of entities
by falling probability (sum over recall steps of precision, no interpolation; equal probabilities are one step), where
predictions state probabilities. An entity without a prediction is one of which nothing was said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lakehouse.datasets.policies.hits import MICRO, Ints, by_class, shares_of
from lakehouse.datasets.policies.kind import BY_CLASS, Measure, Score, Scored

MEASURES = (
    *(Measure(name) for name in ("exact_match", "hamming_loss", *MICRO)),
    *BY_CLASS,
    Measure("ap", "class", mean="map"),
    Measure("map"),
)

Flags = npt.NDArray[np.bool_]


def weigh_labels(rows: Sequence[Scored]) -> Callable[[Ints], Iterator[Score]]:
    """Return what scores sets of labels, from how often each row counts.

    Over all `exact_match` (share of entities with exactly the right labels), `hamming_loss` (share of wrong yes or no
    answers, over the classes that anybody states), `micro_precision`, `micro_recall`, `micro_f1`, the means `macro_*`
    and, where predictions have probabilities, `map`; by class `precision`, `recall`, `f1` and `ap`.

    Args:
        rows: Truth: labels. Answer: labels, or {"labels": labels, "probs": {label: probability} or None}.
    """
    said = [_labels(row.answer) for row in rows]
    classes = sorted({label for row, mine in zip(rows, said, strict=True) for label in (*row.truth, *mine)})
    # truth, answer, given: (entities, classes)
    truth = np.array([[label in set(row.truth) for label in classes] for row in rows], bool).reshape(len(rows), -1)
    answer = np.array([[label in mine for label in classes] for mine in said], bool).reshape(len(rows), -1)
    probs = [_probs(row.answer) for row in rows]
    given = None
    if any(each is not None for each in probs):
        given = np.array([[(each or {}).get(label, 0.0) for label in classes] for each in probs])
    return lambda counts: _scores(classes, truth, answer, given, counts)


def _scores(
    classes: Sequence[str], truth: Flags, answer: Flags, given: npt.NDArray[np.float64] | None, counts: Ints
) -> Iterator[Score]:
    total = int(counts.sum())
    yield Score("exact_match", None, int(counts @ (truth == answer).all(axis=1)) / total if total else None, total)
    cells = total * len(classes)
    yield Score("hamming_loss", None, int((counts @ (truth != answer)).sum()) / cells if cells else None, total)
    by_place = np.stack([counts @ each.astype(np.int64) for each in (truth & answer, answer, truth)], axis=1)
    hits, guessed, wanted = by_place.sum(axis=0).tolist()
    for name, value in zip(MICRO, shares_of(hits, guessed, wanted), strict=True):
        yield Score(name, None, value, wanted)
    found = dict(zip(classes, by_place.tolist(), strict=True))
    yield from by_class(found)
    if given is None:
        return
    areas = []
    for place, (label, (_, _, support)) in enumerate(found.items()):
        if support:
            areas.append(average_precision(truth[:, place], given[:, place], counts))
            yield Score("ap", label, areas[-1], support)
    yield Score("map", None, sum(areas) / len(areas) if areas else None, wanted)


def average_precision(truth: Flags, given: npt.NDArray[np.float64], counts: Ints) -> float:
    """Return the average precision of one class: as scikit-learn's `average_precision_score`.

    Args:
        truth: Whether each entity has the label; (entities,), one that counts at least has.
        given: Probability of each; (entities,).
        counts: How often each counts; (entities,).
    """
    order = np.argsort(-given, kind="stable")
    right, said = np.cumsum((truth * counts)[order]), np.cumsum(counts[order])
    # Where the next probability is another: those that are equal are said at once.
    ends = np.flatnonzero(np.append(np.diff(given[order]) != 0, True))
    steps = np.diff(right[ends], prepend=0)
    # Entities that do not count say nothing: 0 of 0.
    return float((steps * right[ends] / np.maximum(said[ends], 1)).sum() / right[-1])


def _labels(answer: Any) -> frozenset[str]:
    if answer is None:
        return frozenset()
    return frozenset(answer["labels"] if isinstance(answer, Mapping) else answer)


def _probs(answer: Any) -> dict[str, float] | None:
    probs = answer.get("probs") if isinstance(answer, Mapping) else None
    return None if probs is None else dict(probs)
