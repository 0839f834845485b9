"""Answers that look wrong: labels far from what others say, and boxes that cannot be meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.consensus.methods.votes import Floats, Votes
from lakehouse.overlap.boxes import iou

TINY_PX = 2.0
SAME_IOU = 0.9


@dataclass(frozen=True, slots=True)
class Doubt:
    """One candidate.

    Attributes:
        rule: far_from_votes, far_from_neighbours, duplicate_box, tiny_box or outside_frame.
        item: The subject.
        actor: Who said it.
        score: The higher, the more doubtful; comparable within a rule.
        text: What is said, and what speaks against it.
    """

    rule: str
    item: str
    actor: str
    score: float
    text: str


def far_from_votes(votes: Votes, *, most_share: float = 0.2, least_others: float = 2.0) -> list[Doubt]:
    """Return votes whose label few of the others gave, the most doubtful first.

    Args:
        votes: All votes.
        most_share: Share of the others' votes that the label has at most.
        least_others: Votes of others that an item needs to speak against one.
    """
    tally_IK, width = votes.tally_IK, len(votes.labels)
    own: dict[tuple[int, int], Floats] = {}
    for item, actor, label, weight in zip(votes.item, votes.actor, votes.label, votes.weight, strict=True):
        own.setdefault((int(item), int(actor)), np.zeros(width))[label] += weight
    found = []
    for (item, actor), said in own.items():
        others = tally_IK[item] - said
        total = float(others.sum())
        if total < least_others:
            continue
        for label in np.flatnonzero(said).tolist():
            share = float(others[label]) / total
            best = int(others.argmax())
            if share <= most_share and best != label:
                lead = float(others[best]) / total
                text = f"{votes.labels[label]}; of {total:g} others {others[best]:g} say {votes.labels[best]}"
                found.append(
                    Doubt("far_from_votes", votes.items[item], votes.actors[actor], round(lead - share, 6), text)
                )
    return sorted(found, key=lambda each: (-each.score, each.item, each.actor))


def doubtful_boxes(
    item: str, actor: str, boxes_N4: np.ndarray, labels: Sequence[str | None], frame: tuple[float, float] | None
) -> list[Doubt]:
    """Return what is doubtful among the boxes of one actor about one subject.

    Args:
        item: The subject.
        actor: Who drew them.
        boxes_N4: x, y, w, h in px; (N, 4).
        labels: (N,).
        frame: Width and height in px; None: not known, then only what lies above or left of 0 is outside.
    """
    found = []
    for place, (x, y, w, h) in enumerate(boxes_N4.tolist()):
        told = f"{labels[place] or 'box'} at {x:g}, {y:g}, {w:g} x {h:g} px"
        if min(w, h) < TINY_PX:
            found.append(Doubt("tiny_box", item, actor, TINY_PX - min(w, h), told))
        width, height = frame or (float("inf"), float("inf"))
        beyond = max(-x, -y, x + w - width, y + h - height)
        if beyond > 0:
            edge = f"; the frame is {width:g} x {height:g}" if frame else ""
            found.append(Doubt("outside_frame", item, actor, beyond, told + edge))
    overlap = np.triu(iou(boxes_N4, boxes_N4), 1)
    for one, other in np.argwhere(overlap >= SAME_IOU).tolist():
        text = f"{labels[one] or 'box'} and {labels[other] or 'box'} overlap by {overlap[one, other]:.3f}"
        found.append(Doubt("duplicate_box", item, actor, float(overlap[one, other]), text))
    return found
