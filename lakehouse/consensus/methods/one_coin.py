"""One-coin Dawid-Skene: each actor says the true label with one probability, and every other one equally often.

With rules as actors it is a label model: a rule that abstains about an item gives no vote on it and says nothing.
"""

from __future__ import annotations

import numpy as np

from lakehouse.consensus.methods.em import Fit, Rounds, merged, posterior_of, prior_of
from lakehouse.consensus.methods.votes import Votes, shares, weigh

START, START_VOTES = 0.7, 2.0
"""Accuracy that an actor is believed to have before he is heard, and how many votes that is worth: better than chance,
so that labels keep their meaning where votes are few."""


def one_coin(votes: Votes, rounds: Rounds | None = None) -> Fit:
    """Return the probabilities of labels; the first guess is the share of votes."""
    rounds = rounds or Rounds()
    num_labels, num_actors = len(votes.labels), len(votes.actors)
    votes = merged(votes)
    posterior_IK = shares(votes.tally_IK)
    total_A = np.bincount(votes.actor, votes.weight, num_actors)
    accuracy_A = np.ones(num_actors)
    done, converged = 0, num_labels < 2
    while done < rounds.most and not converged:
        right_A = np.bincount(votes.actor, votes.weight * posterior_IK[votes.item, votes.label], num_actors)
        accuracy_A = (right_A + START * START_VOTES) / (total_A + START_VOTES)
        # A vote adds ln(p) - ln(q) to its label, against the same ln(q) for all of them.
        wrong_A = (1.0 - accuracy_A) / (num_labels - 1)
        gain_A = np.log(accuracy_A) - np.log(wrong_A)
        log_IK = weigh(votes, votes.weight * gain_A[votes.actor])
        new_IK = posterior_of(log_IK, prior_of(posterior_IK, 1.0))
        converged = bool(np.abs(new_IK - posterior_IK).max(initial=0.0) <= rounds.tolerance)
        posterior_IK, done = new_IK, done + 1
    return Fit(posterior_IK, accuracy_A, done, converged)
