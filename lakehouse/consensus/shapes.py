"""From regions to decisions: boxes, turned ones, polygons and masks, intervals, spans."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.consensus.decision import Inputs, Outcome
from lakehouse.consensus.grouping import Answered
from lakehouse.consensus.methods.boxes import Fused, fuse_boxes
from lakehouse.consensus.methods.clusters import objects
from lakehouse.consensus.methods.masks import voted_mask
from lakehouse.consensus.methods.stretches import voted_stretches
from lakehouse.consensus.methods.turned import Turned, fuse_turned
from lakehouse.consensus.methods.votes import Floats
from lakehouse.consensus.regional import Found, Shapes, fused, outcome, rounded, sides_of, who_drew
from lakehouse.consensus.settings import Settings
from lakehouse.errors import RejectedInputError
from lakehouse.opinions.exporting.answers import region_of
from lakehouse.opinions.geometry import regions as geometry
from lakehouse.opinions.geometry import rle
from lakehouse.overlap.masks import mask_iou


def boxes(inputs: Inputs, settings: Settings) -> Outcome:
    """Fuse upright boxes; where another shape or a turned box was drawn, nothing is decided."""
    return outcome(inputs, settings, _boxes, ("box",))


def turned_boxes(inputs: Inputs, settings: Settings) -> Outcome:
    """Fuse boxes that are turned, upright ones among them: centre, sides and angle."""
    return outcome(inputs, settings, _turned, ("box", "turned box"))


def masks(inputs: Inputs, settings: Settings) -> Outcome:
    """Vote at every pixel of polygons and masks; boxes among them count as what they fill."""
    return outcome(inputs, settings, _masks, ("mask", "polygon", "box"))


def intervals(inputs: Inputs, settings: Settings) -> Outcome:
    """Vote of each label and channel at every instant."""
    make = functools.partial(_stretches, names=("t_start", "t_end"), kind="interval", number=float)
    return outcome(inputs, settings, make, ("interval",))


def spans(inputs: Inputs, settings: Settings) -> Outcome:
    """Vote of each label at every character."""
    make = functools.partial(_stretches, names=("char_start", "char_end"), kind="span", number=int)
    return outcome(inputs, settings, make, ("span",))


def _boxes(each: Answered, shapes: Shapes, settings: Settings) -> Found:
    found = fuse_boxes(
        sides_of(shapes), *who_drew(each, shapes), min_iou=settings.min_iou, matching=settings.matching
    )
    return _kept(each, found, settings)


def _turned(each: Answered, shapes: Shapes, settings: Settings) -> Found:
    angles = np.array([region["angle"] or 0.0 for _, region in shapes], np.float64)
    found = fuse_turned(
        np.column_stack([sides_of(shapes), angles]), *who_drew(each, shapes), min_iou=settings.min_iou,
        matching=settings.matching,
    )  # fmt: skip
    return _kept(each, found, settings)


def _kept(each: Answered, found: Sequence[Fused | Turned], settings: Settings) -> Found:
    kept, alone = [], 0
    for one in found:
        if one.support < settings.quorum:
            alone += len(one.members)
            continue
        x, y, w, h, *angle = (rounded(number) for number in one.box)
        box = fused("box", one.label, one.support, each, iou=f"{one.iou:.4f}") | {"x": x, "y": y, "w": w, "h": h}
        # An upright box has no angle: what is one is told as everywhere else.
        kept.append(box | ({"angle": angle[0]} if any(angle) else {}))
    return kept, alone


def _masks(each: Answered, shapes: Shapes, settings: Settings) -> Found:
    kept: list[dict[str, Any]] = []
    alone = 0
    if not shapes:
        return kept, alone
    height, width = _size(each, shapes)
    runs = [geometry.runs_of_region(region_of(region), height, width) for _, region in shapes]
    labels, owners, all_weights = who_drew(each, shapes)

    def alike(places: list[int]) -> Floats:
        of_label = [runs[n] for n in places]
        return mask_iou(of_label, of_label)

    for label, members in objects(labels, owners, alike, least=settings.min_iou, matching=settings.matching):
        weights = [all_weights[n] for n in members]
        if sum(weights) < settings.quorum:
            alone += len(members)
            continue
        pixels = [rle.decode(runs[n], height, width) for n in members]
        mask = voted_mask(pixels, weights, threshold=settings.threshold)
        if not mask.any():
            alone += len(members)
            continue
        made = fused("mask", label, sum(weights), each)
        kept.append(made | dict(geometry.mask_fields(rle.encode(mask), height, width)))
    return kept, alone


def _stretches(
    each: Answered, shapes: Shapes, settings: Settings, *, names: tuple[str, str],
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
            made = fused(kind, label or None, one.support, each)
            made |= {names[0]: number(one.start), names[1]: number(one.end)}
            kept.append(made | ({"channel": channel} if channel >= 0 else {}))
    return kept, 0


def _size(each: Answered, shapes: Shapes) -> tuple[int, int]:
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
