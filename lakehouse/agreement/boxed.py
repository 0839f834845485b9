"""Agreement about regions: matched overlap and F1 of every pair of annotators, and boxes that cannot be meant."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.agreement.actors import facts_of
from lakehouse.agreement.likeness import family_of, matched
from lakehouse.agreement.marked import unitizing_alpha
from lakehouse.agreement.measures.doubtful import Doubt, doubtful_boxes
from lakehouse.agreement.measures.matched import Matched
from lakehouse.agreement.measures.pairs import Pair
from lakehouse.agreement.report import Agreement
from lakehouse.agreement.shown import MOST_PAIRED, MOST_SHOWN
from lakehouse.consensus.reading import Asked
from lakehouse.errors import RejectedInputError

Row = Mapping[str, Any]
Boxes = tuple[np.ndarray, list[str | None]]


def boxes_of(row: Row) -> Boxes:
    """Return the boxes of an answer as (N, 4) x, y, w, h, and their labels; of polygons and masks their bounds.

    Turned boxes and the shapes of tracks are none: one inside another, or again, may well be meant.
    """
    found = [
        each for each in row["regions"] or ()
        if each["x"] is not None and family_of(each) in ("filled", "bounds") and not each["angle"]
    ]  # fmt: skip
    array = np.array([[each["x"], each["y"], each["w"] or 0.0, each["h"] or 0.0] for each in found], np.float64)
    return array.reshape(-1, 4), [each["label"] for each in found]


def boxed_agreement(
    asked: Asked, rows: Sequence[Row], kinds: Mapping[str, str], *, level: str, truth: Mapping[str, Row] | None,
    reference: str, abstained: Sequence[Row] = (), window_days: int = 30, lengths: Mapping[str, int] | None = None,
) -> Agreement:  # fmt: skip
    """Return the agreement about regions; arguments as of `labelled_agreement`, `truth` being answers.

    Where two annotators say that nothing is there they agree: their F1 about this subject is 1. A pair's `agreed` is
    its F1 over all subjects that both answered. How far shapes overlap says `lakehouse.agreement.likeness`; two answers
    that cannot be compared are left out, with a note.

    Args:
        lengths: Subject -> its length in ms, of recordings where it is known.
    """
    left_out: Counter[str] = Counter()

    def compared(one: Row, other: Row) -> Matched | None:
        try:
            return matched(one, other, constraints=asked.constraints)
        except RejectedInputError as error:
            left_out[f"{error.rule}: {error.reason}"] += 1
            return None

    of: dict[str, list[Row]] = defaultdict(list)
    by_subject: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of[row["actor_id"]].append(row)
        by_subject[row["subject_id"]].append(row)
    between: dict[tuple[str, str], Matched] = {}
    units: Counter[tuple[str, str]] = Counter()
    empty: Counter[tuple[str, str]] = Counter()
    others: dict[str, Matched] = {}
    for members in by_subject.values():
        for place, one in enumerate(members):
            for other in members[place + 1 :]:
                if one["actor_id"] == other["actor_id"]:
                    continue
                key = (one["actor_id"], other["actor_id"])
                found = compared(one, other)
                if found is None:
                    continue
                between[key] = between.get(key, Matched()) + found
                units[key] += 1
                empty[key] += found.shapes == 0
                for row in (one, other):
                    others[row["opinion_id"]] = others.get(row["opinion_id"], Matched()) + found
    overall = sum(between.values(), Matched())
    shown = {name for name in sorted(of, key=lambda name: (-len(of[name]), name))[:MOST_PAIRED]}
    notes = [f"pairs are of the {MOST_PAIRED} actors with most answers, of {len(of)}"] if len(of) > MOST_PAIRED else []

    def score(row: Row) -> float | None:
        if truth is None:
            found = others.get(row["opinion_id"])
        else:
            right = truth.get(row["subject_id"])
            found = None if right is None else compared(row, right)
        return None if found is None else _f1(found)

    def unanimous(row: Row) -> bool | None:
        found = others.get(row["opinion_id"])
        return None if found is None else found.f1 in (None, 1.0)

    for row in (*rows, *abstained):
        if row["op"] != "assert":
            of[row["actor_id"]].append(row)
    doubts = _doubts(rows)
    actors = [
        facts_of(name, kinds[name], of[name], score=score, unanimous=unanimous, confused=lambda row: None,
                 window_days=window_days)
        for name in sorted(of)
    ]  # fmt: skip
    marked = unitizing_alpha(by_subject, lengths or {})
    notes += [f"{count:,} pairs of answers cannot be compared: {why}" for why, count in sorted(left_out.items())]
    if marked.assumed:
        notes.append(f"of {marked.assumed:,} subjects the length is not known: they end where the last stretch does")
    return Agreement(
        question=asked.question_id,
        level=level,
        reference=reference,
        subjects=len(by_subject),
        answers=len(rows),
        fleiss_reason="answers are regions",
        mean_iou=overall.mean_iou,
        f1=overall.f1,
        boundary_error=overall.boundary_error,
        unitizing=marked.alpha,
        labels=dict(sorted(Counter(str(each["label"]) for row in rows for each in row["regions"] or ()).items())),
        pairs=[
            Pair(one, other, units[one, other], _f1(between[one, other]), None)
            for one, other in sorted(between) if one in shown and other in shown
        ],
        actors=actors,
        doubts=doubts[:MOST_SHOWN],
        doubts_left_out=dict(Counter(each.rule for each in doubts[MOST_SHOWN:])),
        notes=notes,
    )  # fmt: skip


def _f1(matched: Matched) -> float:
    # Neither drew a box: they agree.
    return 1.0 if matched.f1 is None else matched.f1


def _doubts(rows: Sequence[Row]) -> list[Doubt]:
    found: list[Doubt] = []
    for row in rows:
        frame = (row["frame_w"], row["frame_h"]) if row["frame_w"] and row["frame_h"] else None
        found += doubtful_boxes(row["subject_id"], row["actor_id"], *boxes_of(row), frame)
    return sorted(found, key=lambda each: (each.rule, -each.score, each.item, each.actor, each.text))
