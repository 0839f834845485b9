"""The label with most votes, and which are left undecided: ties, too few votes, too small a lead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lakehouse.consensus.methods.votes import Flags, Floats, Ints
from lakehouse.consensus.methods.words import TIES

UNDECIDED = -1

REASONS = ("", "quorum", "tie", "margin")
"""Why an item is undecided, by the number in `Choice.reason`; "": it is decided."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for each item.

    Attributes:
        label: Place of the label, -1 where undecided; int64, (I,).
        reason: Place in `REASONS`; int64, (I,).
        tied: The labels that are best, more than one where there is a tie; bool, (I, K).
    """

    label: Ints
    reason: Ints
    tied_IK: Flags


def choose(
    score_IK: Floats,
    answers_I: Floats,
    *,
    ties: str = "abstain",
    quorum: float = 1.0,
    margin: float = 0.0,
    tolerance: float = 1e-9,
) -> Choice:
    """Return the best label of each item.

    Args:
        score_IK: Votes or probabilities, at least 0; (I, K).
        answers_I: Votes on each item, for the quorum; (I,).
        ties: Of several best labels the first (`lowest`) or last (`highest`) in their order; `shared`: the first,
            `tied_IK` says with whom; `abstain`: none.
        quorum: Votes that an item needs.
        margin: Lead over the second label that the best one needs, as a share of all scores, 0 to 1.
        tolerance: Scores, as shares, that differ by less are equal.

    Raises:
        ValueError: If there is no such rule for ties.
    """
    if ties not in TIES:
        raise ValueError(f"ties = {ties!r}, expected one of {', '.join(TIES)}")
    num_items, num_labels = score_IK.shape
    if not num_labels:
        empty = np.full(num_items, UNDECIDED, np.int64)
        return Choice(empty, np.ones(num_items, np.int64), np.zeros((num_items, 0), bool))
    total = score_IK.sum(axis=1, keepdims=True)
    share_IK = score_IK / np.where(total > 0, total, 1.0)
    best = share_IK.max(axis=1)
    tied_IK = (share_IK >= best[:, None] - tolerance) & (share_IK > 0)
    first = tied_IK.argmax(axis=1)
    last = num_labels - 1 - tied_IK[:, ::-1].argmax(axis=1)
    label = np.where(ties == "highest", last, first).astype(np.int64)
    second = np.partition(share_IK, -2, axis=1)[:, -2] if num_labels > 1 else np.zeros(num_items)
    reason = np.zeros(num_items, np.int64)
    is_tied = tied_IK.sum(axis=1) > 1
    if margin > 0:
        reason[best - second < margin - tolerance] = REASONS.index("margin")
    if ties == "abstain":
        reason[is_tied] = REASONS.index("tie")
    reason[(answers_I < quorum) | (total[:, 0] <= 0)] = REASONS.index("quorum")
    return Choice(np.where(reason > 0, UNDECIDED, label), reason, tied_IK)
