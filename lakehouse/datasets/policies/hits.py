"""Precision, recall and F1 from counts, of classes and over all of them; means over members."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lakehouse.datasets.policies.kind import Score

Ints = npt.NDArray[np.int64]

NAMES = ("precision", "recall", "f1")
MICRO = tuple(f"micro_{name}" for name in NAMES)


def shares_of(hits: int, said: int, wanted: int) -> tuple[float | None, float | None, float | None]:
    """Return precision, recall and F1; None where one is not defined."""
    return (
        hits / said if said else None,
        hits / wanted if wanted else None,
        2 * hits / (said + wanted) if said + wanted else None,
    )


def mean_of(name: str, values: npt.NDArray[np.float64], counts: Ints) -> Score:
    """Return the mean over the members that have a value: (members,), NaN where there is none."""
    there = np.where(np.isnan(values), 0, counts)
    support = int(there.sum())
    return Score(name, None, float(there @ np.nan_to_num(values)) / support if support else None, support)


def by_class(found: Mapping[str, Sequence[int]]) -> Iterator[Score]:
    """Yield `precision`, `recall` and `f1` of each class, and their means `macro_*` over the classes of the truth.

    A class of which nothing was said has no precision and counts 0 in the mean, as scikit-learn's default does.

    Args:
        found: Label -> hits, said, wanted.
    """
    means: dict[str, list[float]] = defaultdict(list)
    for label, (hits, said, wanted) in found.items():
        for name, value in zip(NAMES, shares_of(hits, said, wanted), strict=True):
            yield Score(name, label, value, wanted)
            if wanted:
                means[name].append(value or 0.0)
    total = sum(wanted for _, _, wanted in found.values())
    for name, each in means.items():
        yield Score(f"macro_{name}", None, sum(each) / len(each), total)
