"""Labels scored from rows in memory: for resamples, and for how far probabilities can be believed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.datasets.policies.kind import Score

BINS = 15
LEAST = 1e-15
"""Probability that a member has at least, so that its loss is finite."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class LabelRows:
    """Members of one slice with their label and the answer about them.

    Attributes:
        labels: All there are, sorted.
        has_probs: Whether any answer has probabilities.
    """

    def __init__(self, rows: pa.Table) -> None:
        """Keep what scores need.

        Args:
            rows: truth, answer (null: none), has_probs, p_truth and probs (map, null: none) of each member.
        """
        truth, answer = rows["truth"].to_pylist(), rows["answer"].to_pylist()
        self.labels = sorted({*truth, *answer} - {None})
        places = {label: place for place, label in enumerate(self.labels)}
        self._truth: Ints = np.array([places[label] for label in truth], np.int64)
        self._answer: Ints = np.array([-1 if label is None else places[label] for label in answer], np.int64)
        self._stated = np.array(rows["has_probs"].to_pylist(), dtype=bool)
        self.has_probs = bool(self._stated.any())
        p_truth = np.array([0.0 if each is None else each for each in rows["p_truth"].to_pylist()])
        self._loss: Floats = -np.log(np.maximum(p_truth, LEAST))
        squares, self._confidence = _of_probs(rows["probs"], answer)
        # Sum over classes of (p - y)²: of no probabilities at all (0 - 1)².
        self._brier: Floats = squares - 2 * p_truth + 1

    def __call__(self, counts: Ints) -> Iterator[Score]:
        """Yield the scores where each member counts so often; int64 (members,).

        `accuracy`, `coverage`, `log_loss` (nats), and with probabilities `brier` (mean over members of the sum over
        classes of squared differences, 0 to 2; a member without probabilities counts 1) and `ece` (expected calibration
        error: share of right answers beside their probability in 15 bins of equal width, differences weighted by
        members; Guo et al. 2017); by class `precision`, `recall` and `f1`, and their means `macro_*`.
        """
        total = int(counts.sum())
        right = self._truth == self._answer
        yield Score("accuracy", None, _share(counts[right].sum(), total), total)
        yield Score("coverage", None, _share(counts[self._answer >= 0].sum(), total), total)
        if self.has_probs:
            yield Score("log_loss", None, _share(float(counts @ self._loss), total), total)
            yield Score("brier", None, _share(float(counts @ self._brier), total), total)
            yield Score("ece", None, self._calibration(counts, right), int(counts[self._stated].sum()))
        number = len(self.labels)
        wanted = np.bincount(self._truth, weights=counts, minlength=number)
        there = self._answer >= 0
        said = np.bincount(self._answer[there], weights=counts[there], minlength=number)
        hits = np.bincount(self._truth[right], weights=counts[right], minlength=number)
        means: dict[str, list[float]] = {"precision": [], "recall": [], "f1": []}
        for place, label in enumerate(self.labels):
            values = {
                "precision": _share(hits[place], said[place]),
                "recall": _share(hits[place], wanted[place]),
                "f1": _share(2 * hits[place], said[place] + wanted[place]),
            }
            for name, value in values.items():
                yield Score(name, label, value, int(wanted[place]))
                if wanted[place]:
                    means[name].append(value or 0.0)
        for name, each in means.items():
            yield Score(f"macro_{name}", None, sum(each) / len(each) if each else None, total)

    def _calibration(self, counts: Ints, right: npt.NDArray[np.bool_]) -> float | None:
        weights = np.where(self._stated, counts, 0)
        bins = np.minimum((self._confidence * BINS).astype(np.int64), BINS - 1)
        gaps = np.bincount(bins, weights=weights * (right - self._confidence), minlength=BINS)
        return _share(np.abs(gaps).sum(), weights.sum())


def _of_probs(probs: pa.ChunkedArray, answers: list[str | None]) -> tuple[Floats, Floats]:
    """Return the sum of squared probabilities of each answer, and that of its own label; 0 where none is stated."""
    squares, own = np.zeros(len(answers)), np.zeros(len(answers))
    for place, (stated, answer) in enumerate(zip(probs.to_pylist(), answers, strict=True)):
        if stated is not None:
            shares = dict(stated)
            squares[place] = sum(share * share for share in shares.values())
            own[place] = shares.get(answer, 0.0)
    return squares, own


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
