"""What the regions of two answers have to do with each other: which can be matched, and how far they overlap.

Boxes overlap as the rectangles that they are, upright or turned; where a polygon or mask is among them, all by the
pixels that they fill. Keypoints are as similar as OKS between equals says, stretches and tracks overlap by what they
share. Other shapes (ellipses, lines, points) overlap by their upright bounds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.agreement.measures.matched import Matched, match_shapes
from lakehouse.consensus.objects import posed_of, tracks_of
from lakehouse.consensus.regional import Shapes, sides_of
from lakehouse.errors import RejectedInputError
from lakehouse.opinions.exporting.answers import region_of
from lakehouse.opinions.geometry.regions import runs_of_region
from lakehouse.overlap.arrays import Floats
from lakehouse.overlap.boxes import iou
from lakehouse.overlap.keypoints import oks_of_equals
from lakehouse.overlap.masks import mask_iou
from lakehouse.overlap.stretches import stretch_iou
from lakehouse.overlap.tracks import track_iou
from lakehouse.overlap.turned import turned_iou

FILLED = ("box", "polygon", "mask")
ENDS = {"interval": ("t_start", "t_end"), "span": ("char_start", "char_end")}

Row = Mapping[str, Any]
Key = tuple[str, str, int]
"""Family, label, channel: what differs in one of them is never one object."""


def matched(one: Row, other: Row, *, constraints: Mapping[str, Any] | None = None) -> Matched:
    """Return how the regions of two answers about one subject match.

    Args:
        one: An answer: `regions`, `frame_w`, `frame_h`.
        other: Another one.
        constraints: What the question says: names and sigmas of keypoints.

    Raises:
        RejectedInputError: If shapes of the two cannot be compared: masks of other sizes, other numbers of keypoints,
            tracks with two shapes in one frame.
    """
    total = Matched()
    mine, theirs = _grouped(one), _grouped(other)
    for key in sorted({*mine, *theirs}):
        ours = mine.get(key, []), theirs.get(key, [])
        if not all(ours):
            total += Matched(shapes=sum(map(len, ours)))
        elif key[0] in ENDS:
            a, b = (_ends(some, key[0]) for some in ours)
            total += match_shapes(stretch_iou(a, b), apart_NM=np.abs(a[:, None] - b[None]).mean(axis=-1))
        else:
            total += match_shapes(_overlap(key[0], *ours, one, other, constraints or {}))
    return total


def family_of(region: Mapping[str, Any]) -> str:
    """Return what a region is compared as: `filled`, `keypoints`, `track`, `interval`, `span`, or `bounds`."""
    if region["track_id"] is not None:
        return "track"
    if region["kind"] in (*ENDS, "keypoints"):
        return str(region["kind"])
    return "filled" if region["kind"] in FILLED else "bounds"


def _grouped(row: Row) -> dict[Key, list[Mapping[str, Any]]]:
    found: dict[Key, list[Mapping[str, Any]]] = defaultdict(list)
    for region in row["regions"] or ():
        channel = -1 if region["channel"] is None else int(region["channel"])
        found[family_of(region), region["label"] or "", channel].append(region)
    return found


def _overlap(
    family: str, ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], one: Row, other: Row,
    constraints: Mapping[str, Any],
) -> Floats:  # fmt: skip
    shapes: tuple[Shapes, Shapes] = [(0, each) for each in ours], [(0, each) for each in theirs]
    if family == "track":
        tracks = [[track for _, _, track in tracks_of(each)] for each in shapes]
        return track_iou(*tracks)
    if family == "keypoints":
        names, sigmas = constraints.get("keypoints", ()), constraints.get("sigmas", ())
        points, boxes, areas, spread = posed_of([*shapes[0], *shapes[1]], names=names, sigmas=sigmas)
        cut = len(ours)
        return oks_of_equals(
            points[:cut], points[cut:], (areas[:cut], areas[cut:]), (boxes[:cut], boxes[cut:]), spread
        )
    if family == "filled" and any(each["kind"] != "box" for each in (*ours, *theirs)):
        height, width = _frame([*ours, *theirs], one, other)
        return mask_iou(*([runs_of_region(region_of(each), height, width) for each in some] for some in (ours, theirs)))
    sides = [np.nan_to_num(sides_of(each)) for each in shapes]
    if family == "bounds":
        return iou(*sides)
    turned = [
        np.column_stack([box, [each["angle"] or 0.0 for each in some]])
        for box, some in zip(sides, (ours, theirs), strict=True)
    ]
    return turned_iou(*turned)


def _frame(regions: Sequence[Mapping[str, Any]], one: Row, other: Row) -> tuple[int, int]:
    """Return height and width of a frame that holds all: that of the masks or answers, else as far as points reach."""
    sizes = {(int(each["mask_h"]), int(each["mask_w"])) for each in regions if each["mask_h"] is not None}
    sizes |= {(int(row["frame_h"]), int(row["frame_w"])) for row in (one, other) if row["frame_h"] and row["frame_w"]}
    if len(sizes) > 1:
        raise RejectedInputError("other_frames", f"frames of several sizes: {sorted(sizes)}")
    if sizes:
        return sizes.pop()
    points = [point for each in regions for point in each["points"] or ()]
    far = [(each["x"] + each["w"], each["y"] + each["h"]) for each in regions if each["kind"] == "box"]
    far += [(point["x"], point["y"]) for point in points]
    width, height = (max(1, math.ceil(max(axis))) for axis in zip(*far, strict=True))
    return height, width


def _ends(regions: Sequence[Mapping[str, Any]], kind: str) -> Floats:
    start, end = ENDS[kind]
    return np.array([(each[start], each[end]) for each in regions], np.float64).reshape(-1, 2)
