"""Several labels of one subject: a vote on each label by itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def label_shares(answers: Sequence[Collection[str]], weights: Sequence[float]) -> dict[str, float]:
    """Return the share of the weight that names each label, by code point, 0 to 1; a label nobody names is not there.

    Args:
        answers: Labels of each annotator; an empty one says that none applies.
        weights: Votes behind each; above 0.
    """
    total = sum(weights)
    found: dict[str, float] = {}
    for labels, weight in zip(answers, weights, strict=True):
        for label in set(labels):
            found[label] = found.get(label, 0.0) + weight
    return {label: found[label] / total for label in sorted(found)}
