"""Wawa: each actor's vote weighs as much as the share of his votes that agree with the majority.

Worker agreement with aggregate (Appen's name of it, https://success.appen.com/hc/en-us/articles/202703205).
"""

from __future__ import annotations

import numpy as np

from lakehouse.consensus.methods.votes import Floats, Votes, weigh


def skills(votes: Votes) -> Floats:
    """Return the share of each actor's votes that agree with the majority, ties counting in part; (A,), 0 to 1."""
    tally_IK = votes.tally_IK
    best_IK = (tally_IK >= tally_IK.max(axis=1, keepdims=True)) if tally_IK.size else tally_IK.astype(bool)
    agreed = best_IK[votes.item, votes.label] / np.maximum(best_IK.sum(axis=1), 1)[votes.item]
    num_actors = len(votes.actors)
    total = np.bincount(votes.actor, votes.weight, num_actors)
    return np.bincount(votes.actor, votes.weight * agreed, num_actors) / np.where(total > 0, total, 1.0)


def wawa(votes: Votes) -> tuple[Floats, Floats]:
    """Return the weighted votes (I, K) and the skill of each actor (A,)."""
    skill_A = skills(votes)
    return weigh(votes, votes.weight * skill_A[votes.actor]), skill_A
