"""Move what lies in a picture with it: boxes, points, polygons, keypoints and masks of one sample.

Each function gives the moved values of all n objects, cut to what is seen of the picture, and the share of each that is
seen: its area after over that before. Shares decide which objects stay; nothing is dropped here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loaders.axes import Array, Floats, Ints, Octets
from loaders.decoding.masks import Runs
from loaders.decoding.placement import Placement
from loaders.decoding.polygons import area_of, clipped
from loaders.errors import DecodeError


@dataclass(frozen=True, slots=True)
class Moved:
    """Values that were moved.

    Attributes:
        values: Those of all n objects, in their order; for polygons (total points, 2).
        shares: float64 (n,): of each object, 0 to 1.
    """

    values: Array
    shares: Floats


def boxes(values: Array, placement: Placement, *, kind: str) -> Moved:
    """Move boxes, (n, 4) as `kind` says: xyxy or xywh.

    A box without width or height is seen by the share of its other side, a point where it lies inside.
    """
    found = values.astype(np.float64)
    if kind == "xywh":
        found[:, 2:] += found[:, :2]
    # Two opposite corners stay opposite corners: (n, 2 corners, x and y).
    corners = placement.points(found.reshape(-1, 2)).reshape(-1, 2, 2)
    low, high = np.minimum(corners[:, 0], corners[:, 1]), np.maximum(corners[:, 0], corners[:, 1])
    visible = np.array(placement.visible, dtype=np.float64)
    least, most = visible[:2], visible[2:]
    seen_low = np.minimum(np.maximum(low, least), most)
    seen_high = np.minimum(np.maximum(high, least), most)
    sides, seen = high - low, seen_high - seen_low
    has_side = sides > 0
    shares = seen / np.where(has_side, sides, 1.0)
    if not has_side.all():
        shares = np.where(has_side, shares, (low >= least) & (low <= most))
    out = np.empty(values.shape, dtype=values.dtype)
    out[:, :2], out[:, 2:] = seen_low, seen if kind == "xywh" else seen_high
    return Moved(out, shares[:, 0] * shares[:, 1])


def points(values: Array, placement: Placement) -> Moved:
    """Move points, (n, 2): the share of one is 1 inside of what is seen, its edge included, else 0."""
    moved = placement.points(values.astype(np.float64))
    return Moved(moved.astype(values.dtype), _inside(moved, placement).astype(np.float64))


def keypoints(values: Array, placement: Placement, flip_pairs: Sequence[tuple[int, int]]) -> Moved:
    """Move keypoints, (n, K, 3): those that leave get v = 0 and x = y = 0, as ones that are not labelled have.

    Where the picture is mirrored, the pairs change places: what was the left eye is the right one. Turning by EXIF
    changes no names: it makes the picture what the camera saw.

    Returns:
        Shares are of labelled keypoints that stay; 1 of an object that has none.
    """
    found = values.astype(np.float64)
    labelled = found[..., 2] > 0  # (n, K)
    moved = placement.points(found[..., :2].reshape(-1, 2)).reshape(*found.shape[:2], 2)
    stays = labelled & _inside(moved, placement)
    out = np.where(stays[..., None], np.concatenate([moved, found[..., 2:]], axis=2), 0.0)
    if placement.mirrored and flip_pairs:
        order = np.arange(out.shape[1])
        for one, other in flip_pairs:
            order[one], order[other] = other, one
        out = out[:, order]
    count = labelled.sum(axis=1)
    shares = np.where(count > 0, stays.sum(axis=1) / np.maximum(count, 1), 1.0)
    return Moved(out.astype(values.dtype), shares)


@dataclass(frozen=True, slots=True)
class Polygons:
    """The polygons of one sample.

    Attributes:
        points: (total points, 2): x, y, the parts of all objects one after the other.
        sizes: int64 (parts,): points of each part.
        parts: int64 (n,): parts of each object.
    """

    points: Array
    sizes: Ints
    parts: Ints

    def __post_init__(self) -> None:
        if self.sizes.min(initial=0) < 0 or self.parts.min(initial=0) < 0:
            raise DecodeError("polygons with a negative number of points or parts")
        if int(self.sizes.sum()) != len(self.points) or int(self.parts.sum()) != len(self.sizes):
            raise DecodeError(
                f"polygons of {len(self.points)} points: sizes say {int(self.sizes.sum())}, and of {len(self.sizes)} "
                f"parts, objects say {int(self.parts.sum())}"
            )

    def chosen(self, keep: Array) -> Polygons:
        """Return the objects for which `keep`, bool (n,), is true."""
        of_part = np.repeat(keep, self.parts)
        return Polygons(self.points[np.repeat(of_part, self.sizes)], self.sizes[of_part], self.parts[keep])


def polygons(values: Polygons, placement: Placement) -> tuple[Polygons, Floats]:
    """Move polygons, cut to what is seen; parts of which nothing is seen go.

    An outline that leaves and comes back is cut into one that runs along the edge: the same area. The share of a
    polygon without area is 1 where any of its points is seen.

    Returns:
        The polygons of all n objects, and their shares.
    """
    moved = placement.points(values.points.astype(np.float64))
    visible = placement.visible
    ends = np.cumsum(values.sizes)
    outlines: list[Floats] = []
    parts = np.zeros_like(values.parts)
    shares = np.ones(len(values.parts), dtype=np.float64)
    part = 0
    for number, count in enumerate(values.parts.tolist()):
        before = after = 0.0
        is_touched = not count
        for at in range(part, part + count):
            outline = moved[ends[at] - values.sizes[at] : ends[at]]
            cut = clipped(outline, visible)
            before, after = before + area_of(outline), after + area_of(cut)
            is_touched = is_touched or len(cut) > 0
            if len(cut):
                outlines.append(cut)
                parts[number] += 1
        part += count
        shares[number] = after / before if before > 0 else float(is_touched)
    joined = np.concatenate(outlines) if outlines else np.zeros((0, 2))
    sizes = np.array([len(each) for each in outlines], dtype=values.sizes.dtype)
    return Polygons(joined.astype(values.points.dtype), sizes, parts), shares


def masks(runs: Runs, placement: Placement) -> Moved:
    """Move masks, one after the other: beside the result only one of the size of the stored picture is in memory.

    Returns:
        uint8 (n, canvas height, canvas width), and shares; 1 of a mask that has no pixel.

    Raises:
        DecodeError: If the masks are of another size than the picture, or their runs are none.
    """
    # Of a picture without an object nobody may have stated the size.
    if runs.counts and (runs.height, runs.width) != (placement.height, placement.width):
        raise DecodeError(
            f"masks of {runs.height} x {runs.width} px on a picture of {placement.height} x {placement.width} px"
        )
    out: Octets = np.empty((len(runs.counts), *placement.canvas), dtype=np.uint8)
    shares = np.ones(len(runs.counts), dtype=np.float64)
    for number, mask in enumerate(runs.masks()):
        out[number] = placement.mask(mask)
        shares[number] = placement.share_of(mask)
    return Moved(out, shares)


def _inside(points: Floats, placement: Placement) -> Array:
    """Return which points (..., 2) are seen, bool (...)."""
    x_min, y_min, x_max, y_max = placement.visible
    x, y = points[..., 0], points[..., 1]
    found: Array = (x >= x_min) & (x <= x_max) & (y >= y_min) & (y <= y_max)
    return found
