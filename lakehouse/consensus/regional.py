"""What decisions from regions have in common: whose shapes they are, which shapes a method takes, what is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.consensus.decision import Decision, Inputs, Outcome, support
from lakehouse.consensus.grouping import Answered, by_subject
from lakehouse.consensus.methods.votes import Floats
from lakehouse.consensus.settings import Settings
from lakehouse.errors import RejectedInputError

Found = tuple[list[dict[str, Any]], int]
"""Regions that enough annotators found, and how many shapes fell below the quorum."""

Shapes = Sequence[tuple[int, Mapping[str, Any]]]
"""Place of the answer among those about the subject, and one of its regions."""

Make = Callable[[Answered, Shapes, Settings], Found]

DIGITS = 9


def outcome(inputs: Inputs, settings: Settings, make: Make, kinds: Sequence[str]) -> Outcome:
    """Return what becomes of each subject; one about which another kind of shape was drawn stays undecided.

    Args:
        inputs: Answers that are regions or spans.
        settings: With the quorum.
        make: From the shapes of one subject to what is decided. A `RejectedInputError` of it leaves it undecided.
        kinds: Kinds of shapes that it takes, as `kind_of` tells them.
    """
    decided = list(_each(inputs, settings, make, kinds))
    notes = {}
    alone = sum(int(each.fields["ext"].get("unmatched", 0)) for each in decided if each.fields is not None)
    if alone:
        notes["unmatched"] = f"{alone:,} shapes were found by fewer than {settings.quorum} annotators and left out"
    return Outcome(decided, {"unmatched": f"{alone}"}, notes)


def _each(inputs: Inputs, settings: Settings, make: Make, kinds: Sequence[str]) -> Iterator[Decision]:
    for each in by_subject(inputs):
        shapes = [(place, region) for place, row in enumerate(each.rows) for region in row["regions"]]
        told = ", ".join(f"{row['actor_id']} {len(row['regions'])} regions" for row in each.rows[:5])
        if each.total < settings.quorum:
            yield Decision(each.subject, None, "quorum", each.total, told)
            continue
        other = sorted({kind_of(region) for _, region in shapes} - set(kinds))
        if other:
            yield Decision(each.subject, None, "other_shapes", each.total, f"{', '.join(other)} among {told}")
            continue
        try:
            found, alone = make(each, shapes, settings)
        except RejectedInputError as error:
            yield Decision(each.subject, None, error.rule, each.total, error.reason)
            continue
        confidence = min((region["score"] for region in found), default=1.0)
        ext = {"answered": f"{each.total:g}"} | ({"unmatched": f"{alone}"} if alone else {})
        value = "spans" if inputs.asked.answer_kind == "spans" else "regions"
        fields: dict[str, Any] = {value: found, "confidence": round(confidence, 6), "ext": ext}
        yield Decision(each.subject, fields | frame_of(each), "", each.total)


def kind_of(region: Mapping[str, Any]) -> str:
    """Return what a region is for a method: its kind, `turned box`, `track` (of upright boxes) or `track of ...`."""
    kind = "turned box" if region["kind"] == "box" and region["angle"] else str(region["kind"])
    is_moving = region["track_id"] is not None or (
        region["frame_start"] is not None and kind not in ("interval", "span")
    )
    return ("track" if kind == "box" else f"track of {kind}") if is_moving else kind


def who_drew(each: Answered, shapes: Shapes) -> tuple[list[str | None], list[str], list[float]]:
    """Return label, annotator and weight of each shape."""
    return (
        [region["label"] for _, region in shapes],
        [each.names[place] for place, _ in shapes],
        [float(each.weights[place]) for place, _ in shapes],
    )


def sides_of(shapes: Shapes) -> Floats:
    """Return x, y, w, h of each shape; float64 (N, 4)."""
    return np.array([[r["x"], r["y"], r["w"], r["h"]] for _, r in shapes], np.float64).reshape(-1, 4)


def fused(
    kind: str, label: str | None, found: float, each: Answered, **more: str
) -> dict[str, Any]:
    """Return a region that was made of several, without its geometry.

    Args:
        kind: Its kind.
        label: Its label.
        found: Weight of those who found it: its score is their share of all who answered.
        each: Who answered.
        more: What else is told of it in `attrs`.
    """
    score = round(min(found / each.total, 1.0), 6)
    made: dict[str, Any] = {"kind": kind, "score": score, "attrs": support(found, each.total) | more}
    return made | ({} if label is None else {"label": label})


def frame_of(each: Answered) -> dict[str, Any]:
    """Return the frame that all annotators state alike."""
    stated = {(row["frame_w"], row["frame_h"]) for row in each.rows}
    (width, height) = stated.pop() if len(stated) == 1 else (None, None)
    return {} if width is None or height is None else {"frame_w": width, "frame_h": height}


def rounded(number: float) -> float:
    """Return a number to nine digits: the last ones of a sum depend on the order of its terms."""
    return float(f"{number:.{DIGITS}g}")
