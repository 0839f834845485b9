"""What both models of Dawid and Skene share: how long they go on, and the E-step in logarithms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakehouse.consensus.methods.votes import Floats, Ints, Votes


@dataclass(frozen=True, slots=True)
class Rounds:
    """When the rounds end, and what they start from.

    Attributes:
        most: Rounds at most.
        tolerance: Converged once no probability changes by more.
        smoothing: Votes added to every cell of what an actor is believed to say, above 0.
    """

    most: int = 100
    tolerance: float = 1e-5
    smoothing: float = 0.01


@dataclass(frozen=True, slots=True)
class Fit:
    """What the rounds came to.

    Attributes:
        posterior_IK: Probability of each label; (I, K), rows add up to 1.
        accuracy_A: Probability that an actor says the true label; (A,).
        rounds: How many were done.
        converged: Whether the last one changed no probability by more than the tolerance.
    """

    posterior_IK: Floats
    accuracy_A: Floats
    rounds: int
    converged: bool


class Groups:
    """Sums of rows by group; rows are put in order once."""

    def __init__(self, group: Ints, count: int) -> None:
        self._order = np.argsort(group, kind="stable")
        ordered = group[self._order]
        self._starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        self._present = ordered[self._starts]
        self._count = count

    def sums(self, rows: Floats) -> Floats:
        """Return the sums of rows (V, K) by group; (count, K)."""
        found = np.zeros((self._count, rows.shape[1]))
        if len(rows):
            found[self._present] = np.add.reduceat(rows[self._order], self._starts, axis=0)
        return found


def prior_of(posterior_IK: Floats, smoothing: float) -> Floats:
    """Return the share of each label among the items; (K,)."""
    total = posterior_IK.sum(axis=0) + smoothing
    return np.asarray(total / total.sum(), np.float64)


def posterior_of(log_likelihood_IK: Floats, prior_K: Floats) -> Floats:
    """Return the probabilities of labels from logarithms; (I, K)."""
    log_IK = log_likelihood_IK + np.log(prior_K)
    log_IK -= log_IK.max(axis=1, keepdims=True)
    found = np.exp(log_IK)
    return np.asarray(found / found.sum(axis=1, keepdims=True), np.float64)


def merged(votes: Votes) -> Votes:
    """Return votes with one row for each item, actor and label."""
    width, labels = len(votes.actors) * len(votes.labels), len(votes.labels)
    key, place = np.unique(votes.item * width + votes.actor * labels + votes.label, return_inverse=True)
    weight = np.asarray(np.bincount(place, votes.weight, len(key)), np.float64)
    return Votes(
        votes.items, votes.actors, votes.labels, key // width, key % width // labels, key % labels, weight
    )
