"""From regions to decisions: boxes, polygons and masks, intervals, spans."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.consensus.decision import Decision, Inputs, Outcome, support
from lakehouse.consensus.grouping import Answered, by_subject
from lakehouse.consensus.methods.boxes import MATCHINGS, fuse_boxes
from lakehouse.consensus.methods.masks import mask_iou, voted_mask
from lakehouse.consensus.methods.stretches import voted_stretches
from lakehouse.consensus.settings import Settings
from lakehouse.errors import RejectedInputError
from lakehouse.opinions.exporting.answers import region_of
from lakehouse.opinions.geometry import regions as geometry
from lakehouse.opinions.geometry import rle

Found = tuple[list[dict[str, Any]], int]
"""Regions that enough annotators found, and how many shapes fell below the quorum."""

Make = Callable[[Answered, Sequence[tuple[int, Mapping[str, Any]]], Settings], Found]

DIGITS = 9


def boxes(inputs: Inputs, settings: Settings) -> Outcome:
    """Fuse upright boxes; where another shape or a turned box was drawn, nothing is decided."""
    return _outcome(inputs, settings, _boxes, ("box",))


def masks(inputs: Inputs, settings: Settings) -> Outcome:
    """Vote at every pixel of polygons and masks; boxes among them count as what they fill."""
    return _outcome(inputs, settings, _masks, ("mask", "polygon", "box"))


def intervals(inputs: Inputs, settings: Settings) -> Outcome:
    """Vote of each label and channel at every instant."""
    make = functools.partial(_stretches, names=("t_start", "t_end"), kind="interval", number=float)
    return _outcome(inputs, settings, make, ("interval",))


def spans(inputs: Inputs, settings: Settings) -> Outcome:
    """Vote of each label at every character."""
    make = functools.partial(_stretches, names=("char_start", "char_end"), kind="span", number=int)
    return _outcome(inputs, settings, make, ("span",))


def _outcome(inputs: Inputs, settings: Settings, make: Make, kinds: Sequence[str]) -> Outcome:
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
        other = sorted({_kind(region) for _, region in shapes} - set(kinds))
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
        yield Decision(each.subject, fields | _frame(each), "", each.total)


def _kind(region: Mapping[str, Any]) -> str:
    if region["track_id"] is not None or region["frame_start"] is not None:
        return "track"
    return "turned box" if region["kind"] == "box" and region["angle"] else str(region["kind"])


def _boxes(each: Answered, shapes: Sequence[tuple[int, Mapping[str, Any]]], settings: Settings) -> Found:
    array = np.array([[r["x"], r["y"], r["w"], r["h"]] for _, r in shapes], np.float64).reshape(-1, 4)
    fused = fuse_boxes(
        array, [r["label"] for _, r in shapes], [each.names[place] for place, _ in shapes],
        [float(each.weights[place]) for place, _ in shapes], min_iou=settings.min_iou, matching=settings.matching,
    )  # fmt: skip
    kept = []
    alone = 0
    for one in fused:
        if one.support < settings.quorum:
            alone += len(one.members)
            continue
        x, y, w, h = (_rounded(side) for side in one.box)
        attrs = support(one.support, each.total) | {"iou": f"{one.iou:.4f}"}
        kept.append(_region("box", one.label, one.support / each.total, attrs) | {"x": x, "y": y, "w": w, "h": h})
    return kept, alone


def _masks(each: Answered, shapes: Sequence[tuple[int, Mapping[str, Any]]], settings: Settings) -> Found:
    kept: list[dict[str, Any]] = []
    alone = 0
    if not shapes:
        return kept, alone
    height, width = _size(each, shapes)
    pixels = [geometry.mask_of_region(region_of(region), height, width) for _, region in shapes]
    labels = [region["label"] for _, region in shapes]
    for label in sorted(set(labels), key=lambda name: (name is not None, name or "")):
        places = [n for n, name in enumerate(labels) if name == label]
        owners = [each.names[shapes[n][0]] for n in places]
        overlap = mask_iou([pixels[n] for n in places])
        for cluster in MATCHINGS[settings.matching](overlap, owners, least=settings.min_iou):
            members = [places[n] for n in cluster]
            weights = [float(each.weights[shapes[n][0]]) for n in members]
            if sum(weights) < settings.quorum:
                alone += len(members)
                continue
            mask = voted_mask([pixels[n] for n in members], weights, threshold=settings.threshold)
            if not mask.any():
                alone += len(members)
                continue
            region = _region("mask", label, sum(weights) / each.total, support(sum(weights), each.total))
            kept.append(region | dict(geometry.mask_fields(rle.encode(mask), height, width)))
    return kept, alone


def _stretches(
    each: Answered, shapes: Sequence[tuple[int, Mapping[str, Any]]], settings: Settings, *, names: tuple[str, str],
    kind: str, number: Callable[[float], float],
) -> Found:  # fmt: skip
    kept = []
    groups: dict[tuple[str, int], list[tuple[int, Mapping[str, Any]]]] = {}
    for place, region in shapes:
        channel = -1 if region["channel"] is None else int(region["channel"])
        groups.setdefault((region["label"] or "", channel), []).append((place, region))
    for (label, channel), members in sorted(groups.items()):
        for one in voted_stretches(
            [r[names[0]] for _, r in members], [r[names[1]] for _, r in members],
            [each.names[place] for place, _ in members], [float(each.weights[place]) for place, _ in members],
            above=settings.threshold * each.total, at_least=settings.quorum,
        ):  # fmt: skip
            region = _region(kind, label or None, one.support / each.total, support(one.support, each.total))
            region |= {names[0]: number(one.start), names[1]: number(one.end)}
            kept.append(region | ({"channel": channel} if channel >= 0 else {}))
    return kept, 0


def _region(kind: str, label: str | None, score: float, attrs: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": kind, "score": round(min(score, 1.0), 6), "attrs": dict(attrs)}
    return found | ({} if label is None else {"label": label})


def _size(each: Answered, shapes: Sequence[tuple[int, Mapping[str, Any]]]) -> tuple[int, int]:
    """Return height and width of the frame.

    Raises:
        RejectedInputError: no_frame, if nobody states it; other_frames, if annotators saw frames of several sizes.
    """
    sizes = {(int(r["mask_h"]), int(r["mask_w"])) for _, r in shapes if r["mask_h"] is not None}
    sizes |= {(int(row["frame_h"]), int(row["frame_w"])) for row in each.rows if row["frame_h"] and row["frame_w"]}
    if not sizes:
        raise RejectedInputError("no_frame", "nobody states the size of the picture")
    if len(sizes) > 1:
        raise RejectedInputError("other_frames", f"frames of several sizes: {sorted(sizes)}")
    return sizes.pop()


def _frame(each: Answered) -> dict[str, Any]:
    """Return the frame that all annotators state alike."""
    stated = {(row["frame_w"], row["frame_h"]) for row in each.rows}
    (width, height) = stated.pop() if len(stated) == 1 else (None, None)
    return {} if width is None or height is None else {"frame_w": width, "frame_h": height}


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")
