"""Answers of datasets moved with the pixels of their picture: boxes, polygons, masks and keypoints, as JSON has them.

The array code is that of samples (`loaders.decoding.moving`), and so is the rule who stays: an object goes where its
box, outline or mask keeps nothing of its area, or less than is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lakehouse.opinions.geometry import rle
from loaders.decoding import moving
from loaders.decoding.placement import Placement
from loaders.errors import DecodeError

AS_THEY_ARE = ("label", "labels", "number", "text", "bool", "ranking", "each_region")
"""Kinds of answers that say nothing of a place in the picture, by name; a crop's region is one of the crop's parent."""

Pairs = Sequence[tuple[int, int]]
Objects = list[dict[str, Any]]


class MovedAnswer(NamedTuple):
    """An answer about a picture whose pixels moved.

    Attributes:
        answer: As JSON has it.
        left: How many objects left the picture.
    """

    answer: Any
    left: int


def is_movable(kind: str) -> bool:
    """Return whether answers of a kind can be told of a picture whose pixels moved."""
    return kind in AS_THEY_ARE or kind in _MOVES


def move_answer(
    kind: str, answer: Any, placement: Placement, *, pairs: Pairs = (), min_visible: float = 0.0
) -> MovedAnswer:
    """Return an answer as it is about the drawn picture.

    Args:
        kind: Name of its kind.
        answer: As `Decision.answer`: px of the picture as stored.
        placement: What was done with the picture.
        pairs: Places of keypoints, counted from 0, that change places in a mirror.
        min_visible: Share of its area that must be left of an object.

    Raises:
        ValueError: If nothing says how answers of this kind move.
        DecodeError: If masks are not of the picture's size.
    """
    if kind in AS_THEY_ARE or answer is None:
        return MovedAnswer(answer, 0)
    if kind not in _MOVES:
        raise ValueError(f"answers of kind {kind}: nothing says where they lie in a picture that was moved")
    objects: Objects = answer["objects"] if kind == "masks" else answer
    found, shares = _MOVES[kind](objects, placement, pairs) if objects else ([], np.zeros(0))
    stays = ((shares > 0) & (shares >= min_visible)).tolist()
    kept = [each for each, stays_here in zip(found, stays, strict=True) if stays_here]
    left = len(objects) - len(kept)
    if kind == "masks":
        # Of a picture without an object nobody may have stated the size.
        size = None if answer["size"] is None else list(placement.canvas)
        return MovedAnswer({**answer, "size": size, "objects": kept}, left)
    return MovedAnswer(kept, left)


def _boxes(objects: Objects, placement: Placement, _pairs: Pairs) -> tuple[Objects, Any]:
    sides = np.array([[each[name] for name in "xywh"] for each in objects], dtype=np.float64)
    found = moving.boxes(sides, placement, kind="xywh")
    told = [
        _scaled({**each, **dict(zip("xywh", box, strict=True))}, placement, share)
        for each, box, share in zip(objects, found.values.tolist(), found.shares.tolist(), strict=True)
    ]
    return told, found.shares


def _polygons(objects: Objects, placement: Placement, _pairs: Pairs) -> tuple[Objects, Any]:
    outlines = [np.reshape(np.asarray(part, np.float64), (-1, 2)) for each in objects for part in each["parts"]]
    points = np.concatenate(outlines) if outlines else np.zeros((0, 2))
    sizes = np.array([len(each) for each in outlines], np.int64)
    parts = np.array([len(each["parts"]) for each in objects], np.int64)
    found, shares = moving.polygons(moving.Polygons(points, sizes, parts), placement)
    cut = iter(np.split(found.points, np.cumsum(found.sizes)[:-1]) if len(found.sizes) else [])
    told = [
        _scaled({**each, "parts": [next(cut).ravel().tolist() for _ in range(count)]}, placement, share)
        for each, count, share in zip(objects, found.parts.tolist(), shares.tolist(), strict=True)
    ]
    return told, shares


def _masks(objects: Objects, placement: Placement, _pairs: Pairs) -> tuple[Objects, Any]:
    told: Objects = []
    shares = np.ones(len(objects))
    for place, each in enumerate(objects):
        if tuple(each["size"]) != (placement.height, placement.width):
            raise DecodeError(
                f"a mask of {each['size'][0]} x {each['size'][1]} px on a picture of {placement.height} x "
                f"{placement.width} px"
            )
        mask = rle.decode(rle.decompress(each["counts"]), *each["size"])
        shares[place] = placement.share_of(mask)
        runs = rle.encode(placement.mask(mask))
        told.append({**each, "counts": rle.compress(runs), "size": list(placement.canvas), "area": rle.area(runs)})
    return told, shares


def _keypoints(objects: Objects, placement: Placement, pairs: Pairs) -> tuple[Objects, Any]:
    told, shares = _boxes(objects, placement, pairs)
    for each in told:
        points = np.array([[x or 0.0, y or 0.0, v or 0] for x, y, v in each["points"]], np.float64)
        found = moving.keypoints(points[None], placement, pairs).values[0]
        each["points"] = [[x, y, int(v)] for x, y, v in found.tolist()]
    return told, shares


def _scaled(each: dict[str, Any], placement: Placement, share: float) -> dict[str, Any]:
    """Return an object with its stated area, which nobody knows of one that is cut."""
    if each.get("area") is None:
        return each
    if share < 1:
        return {name: value for name, value in each.items() if name != "area"}
    return {**each, "area": each["area"] * abs(float(np.linalg.det(placement.affine[:, :2])))}


_MOVES: Mapping[str, Callable[[Objects, Placement, Pairs], tuple[Objects, Any]]] = {
    "boxes": _boxes, "polygons": _polygons, "masks": _masks, "keypoints": _keypoints,
}  # fmt: skip
