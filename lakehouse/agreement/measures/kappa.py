"""Cohen's kappa of two raters, and Fleiss' kappa where every unit has the same number of answers.

J. Cohen: A coefficient of agreement for nominal scales (1960). J. L. Fleiss: Measuring nominal scale agreement among
many raters (1971).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def cohen(one: Ints, other: Ints, num_labels: int) -> float | None:
    """Return kappa of two raters' labels on the same units (n,); None where chance alone explains all agreement."""
    if not len(one):
        return None
    both_KK = np.bincount(one * num_labels + other, minlength=num_labels**2).reshape(num_labels, num_labels)
    share_KK = both_KK / len(one)
    expected = float(share_KK.sum(axis=1) @ share_KK.sum(axis=0))
    return None if expected >= 1 else (float(np.trace(share_KK)) - expected) / (1 - expected)


def fleiss(tally_UK: Floats) -> tuple[float | None, str]:
    """Return kappa, or None and why it is not defined.

    Args:
        tally_UK: Answers by unit and label; (U, K).
    """
    answers_U = tally_UK.sum(axis=1)
    if not len(answers_U):
        return None, "there are no units"
    if answers_U.min() != answers_U.max():
        return None, f"units have {answers_U.min():g} to {answers_U.max():g} answers; it needs the same number on each"
    n = float(answers_U[0])
    if n < 2:
        return None, "units have one answer each"
    observed = float(((tally_UK**2).sum(axis=1) - n).mean()) / (n * (n - 1))
    expected = float(((tally_UK.sum(axis=0) / tally_UK.sum()) ** 2).sum())
    if expected >= 1:
        return None, "all answers are one label"
    return (observed - expected) / (1 - expected), ""
