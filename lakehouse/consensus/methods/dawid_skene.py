"""Dawid-Skene: each actor has a matrix of what he says for each true label, found by rounds of E- and M-steps.

A. P. Dawid, A. M. Skene: Maximum likelihood estimation of observer error-rates using the EM algorithm, Applied
Statistics 28 (1979).
"""

from __future__ import annotations

import numpy as np

from lakehouse.consensus.methods.em import Fit, Groups, Rounds, merged, posterior_of, prior_of
from lakehouse.consensus.methods.votes import MAX_CELLS, Floats, Votes, shares


def dawid_skene(votes: Votes, rounds: Rounds | None = None) -> Fit:
    """Return the probabilities of labels.

    The first guess is the share of votes. A vote of weight w counts as w equal ones of its actor. Memory: about
    three tables of votes and labels, and one of actors, labels and labels.

    Raises:
        ValueError: If actors and labels are too many for one table.
    """
    rounds = rounds or Rounds()
    num_labels, num_actors = len(votes.labels), len(votes.actors)
    if num_actors * num_labels**2 > MAX_CELLS:
        raise ValueError(f"{num_actors:,} actors and {num_labels:,} labels need more than {MAX_CELLS:,} numbers")
    votes = merged(votes)
    posterior_IK = shares(votes.tally_IK)
    by_said = Groups(votes.actor * num_labels + votes.label, num_actors * num_labels)
    by_item = Groups(votes.item, len(votes.items))
    said, weight = votes.actor * num_labels + votes.label, votes.weight[:, None]
    counts_AKK = np.zeros((num_actors, num_labels, num_labels))
    done, converged = 0, num_labels < 2
    while done < rounds.most and not converged:
        # counts: (actor, said label, true label).
        counts_AKK = by_said.sums(weight * posterior_IK[votes.item]).reshape(num_actors, num_labels, num_labels)
        log_AKK = _log_shares(counts_AKK, rounds.smoothing)
        prior_K = prior_of(posterior_IK, rounds.smoothing)
        log_VK = log_AKK.reshape(num_actors * num_labels, num_labels)[said]
        new_IK = posterior_of(by_item.sums(weight * log_VK), prior_K)
        converged = bool(np.abs(new_IK - posterior_IK).max(initial=0.0) <= rounds.tolerance)
        posterior_IK, done = new_IK, done + 1
    total = counts_AKK.sum(axis=(1, 2))
    right = np.trace(counts_AKK, axis1=1, axis2=2)
    accuracy_A = np.where(total > 0, right / np.where(total > 0, total, 1.0), 1.0)
    return Fit(posterior_IK, accuracy_A, done, converged)


def _log_shares(counts_AKK: Floats, smoothing: float) -> Floats:
    """Return ln P(said | true) of (actor, said, true): over what is said they add up to 1."""
    smoothed = counts_AKK + smoothing
    return np.asarray(np.log(smoothed) - np.log(smoothed.sum(axis=1, keepdims=True)), np.float64)
