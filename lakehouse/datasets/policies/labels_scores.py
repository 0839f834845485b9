"""How several labels of one entity are scored: each label for itself, and the set as a whole.

Definitions as in scikit-learn's multi-label metrics: micro counts all labels of all entities together, macro is the
mean over classes; a class that is nowhere in the truth is in no mean. Average precision of a class is that of entities
by falling probability (sum over recall steps of precision, no interpolation; equal probabilities are one step), where
predictions state probabilities. An entity without a prediction is one of which nothing was said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lakehouse.datasets.policies.kind import BY_CLASS, Measure, Score, Scored

MICRO = ("micro_precision", "micro_recall", "micro_f1")

MEASURES = (
    *(Measure(name) for name in ("exact_match", "hamming_loss", *MICRO)),
    *BY_CLASS,
    Measure("ap", "class", mean="map"),
    Measure("map"),
)

Flags = npt.NDArray[np.bool_]


def score_labels(rows: Sequence[Scored]) -> Iterator[Score]:
    """Yield the scores of sets of labels.

    Over all `exact_match` (share of entities with exactly the right labels), `hamming_loss` (share of wrong yes or no
    answers, over the classes that anybody states), `micro_precision`, `micro_recall`, `micro_f1`, the means `macro_*`
    and, where predictions have probabilities, `map`; by class `precision`, `recall`, `f1` and `ap`.

    Args:
        rows: Truth: labels. Answer: labels, or {"labels": labels, "probs": {label: probability} or None}.
    """
    said = [_labels(row.answer) for row in rows]
    classes = sorted({label for row, mine in zip(rows, said, strict=True) for label in (*row.truth, *mine)})
    # truth, answer: (entities, classes)
    truth = np.array([[label in set(row.truth) for label in classes] for row in rows], bool).reshape(len(rows), -1)
    answer = np.array([[label in mine for label in classes] for mine in said], bool).reshape(len(rows), -1)
    wanted = int(truth.sum())
    yield Score("exact_match", None, float((truth == answer).all(axis=1).mean()) if rows else None, len(rows))
    yield Score("hamming_loss", None, float((truth != answer).mean()) if truth.size else None, len(rows))
    for name, value in _shares(int((truth & answer).sum()), int(answer.sum()), wanted).items():
        yield Score(f"micro_{name}", None, value, wanted)
    probs = [_probs(row.answer) for row in rows]
    has_probs = any(each is not None for each in probs)
    means: dict[str, list[float]] = {}
    for number, label in enumerate(classes):
        mine, right = answer[:, number], truth[:, number]
        support = int(right.sum())
        values = _shares(int((mine & right).sum()), int(mine.sum()), support)
        if has_probs and support:
            given = np.array([(each or {}).get(label, 0.0) for each in probs])
            values["ap"] = average_precision(right, given)
        for name, value in values.items():
            yield Score(name, label, value, support)
            if support:
                means.setdefault("map" if name == "ap" else f"macro_{name}", []).append(value or 0.0)
    for name, each in means.items():
        yield Score(name, None, sum(each) / len(each), wanted)


def average_precision(truth: Flags, given: npt.NDArray[np.float64]) -> float:
    """Return the average precision of one class: as scikit-learn's `average_precision_score`.

    Args:
        truth: Whether each entity has the label; (entities,), one at least has.
        given: Probability of each; (entities,).
    """
    order = np.argsort(-given, kind="stable")
    right = np.cumsum(truth[order])
    # Where the next probability is another: those that are equal are said at once.
    ends = np.flatnonzero(np.append(np.diff(given[order]) != 0, True))
    steps = np.diff(right[ends], prepend=0)
    return float((steps * right[ends] / (ends + 1)).sum() / truth.sum())


def _labels(answer: Any) -> frozenset[str]:
    if answer is None:
        return frozenset()
    return frozenset(answer["labels"] if isinstance(answer, Mapping) else answer)


def _probs(answer: Any) -> dict[str, float] | None:
    probs = answer.get("probs") if isinstance(answer, Mapping) else None
    return None if probs is None else dict(probs)


def _shares(hits: int, said: int, wanted: int) -> dict[str, float | None]:
    return {
        "precision": hits / said if said else None,
        "recall": hits / wanted if wanted else None,
        "f1": 2 * hits / (said + wanted) if said + wanted else None,
    }
