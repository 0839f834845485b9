"""How the values of a column lie in a picture: what moves with it where a decoder crops, resizes or mirrors it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loaders.errors import FormatError

KINDS = ("xyxy", "xywh", "points", "polygons", "keypoints", "masks")
"""Shapes of a value with n objects, in continuous px of the picture as it is stored (before EXIF rotation), from 0 at
its top-left corner; x before y:

    xyxy       (n, 4): x_min, y_min, x_max, y_max
    xywh       (n, 4): x_min, y_min, width, height
    points     (n, 2): one point of each object
    polygons   (total points, 2): the parts of all objects one after the other; `sizes` and `parts` cut them
    keypoints  (n, K, 3): x, y, v; v is 0 (not labelled: x = y = 0), 1 (labelled, hidden) or 2 (seen), as COCO has it
    masks      (n, H, W): 0 or 1, of the size of the picture; codec coco_rle
"""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the values of a field lie.

    Attributes:
        kind: One of `KINDS`.
        of: Name of the field of the picture in which they lie. A dataset without that field has nothing to move them.
        sizes: Of polygons: name of the field int64 (parts,) with the number of points of each part.
        parts: Of polygons: name of the field int64 (n,) with the number of parts of each object.
        flip_pairs: Of keypoints: pairs of places in K, from 0, that change places where the picture is mirrored (left
            eye and right eye).
    """

    kind: str
    of: str = "image"
    sizes: str | None = None
    parts: str | None = None
    flip_pairs: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FormatError(f"unknown kind of geometry {self.kind!r}; known: {', '.join(KINDS)}")
        if not self.of:
            raise FormatError("a geometry names the field of the picture in which it lies")
        has_cuts = self.sizes is not None, self.parts is not None
        if has_cuts != (self.kind == "polygons",) * 2:
            raise FormatError(f"polygons have `sizes` and `parts`, and nothing else has; found {self}")
        places = [place for pair in self.flip_pairs for place in pair]
        if self.flip_pairs and self.kind != "keypoints":
            raise FormatError(f"flip_pairs are of keypoints, found them on {self.kind}")
        if any(len(pair) != 2 for pair in self.flip_pairs) or len(set(places)) < len(places):
            raise FormatError(f"flip_pairs are pairs of places, each in one pair alone; found {self.flip_pairs}")
        if any(type(place) is not int or place < 0 for place in places):
            raise FormatError(f"flip_pairs are places counted from 0, found {self.flip_pairs}")

    def to_json(self) -> dict[str, object]:
        """Return what the manifest says of it: only what is not as usual beside `kind` and `of`."""
        cuts = {} if self.sizes is None else {"sizes": self.sizes, "parts": self.parts}
        pairs = {"flip_pairs": [list(pair) for pair in self.flip_pairs]} if self.flip_pairs else {}
        return {"kind": self.kind, "of": self.of, **cuts, **pairs}


def geometry_from_json(entry: object) -> Geometry:
    """Read the geometry of a field of a manifest.

    Raises:
        FormatError: If it is not one that this version knows: values that nobody can move must not be read as if
            they needed no moving.
    """
    if not isinstance(entry, Mapping):
        raise FormatError(f"a geometry must be a JSON object, found {entry!r}")
    unknown = entry.keys() - {"kind", "of", "sizes", "parts", "flip_pairs"}
    if unknown or not {"kind", "of"} <= entry.keys():
        raise FormatError(f"a geometry has kind, of, sizes, parts and flip_pairs, found {sorted(map(str, entry))}")
    pairs = entry.get("flip_pairs", [])
    if not isinstance(pairs, list) or not all(isinstance(pair, list) for pair in pairs):
        raise FormatError(f"flip_pairs must be a list of pairs, found {pairs!r}")
    return Geometry(
        str(entry["kind"]), str(entry["of"]), entry.get("sizes"), entry.get("parts"),
        tuple((*pair,) for pair in pairs),
    )  # fmt: skip
