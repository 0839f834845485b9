"""points_header: what a point cloud holds, and how far it reaches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.points import AXES, PREFIX, coordinates, probe_points
from lakehouse.media.view import EntityView

PIECE = 1 << 20
_EXTENT = "Greatest less least {axis}, in units of the file; of a LAS file as its header states it. No value: {none}."
_NONE = "points are text or packed, or no finite one"


def measure_points(view: EntityView) -> Mapping[str, Value]:
    """Return the values of `POINTS_HEADER` for one point cloud.

    Raises:
        RejectedInputError: If it is none, or damaged.
    """
    facts = probe_points(view.data, name="")
    found: dict[str, Value] = {
        "points_count": facts.points, "points_fields": " ".join(facts.fields), "points_coding": facts.coding,
    }  # fmt: skip
    if facts.bounds is not None:
        return found | {
            f"points_extent_{axis}": high - low for axis, (low, high) in zip(AXES, facts.bounds, strict=True)
        }
    points = coordinates(view.data, facts)
    if points is None or not len(points):
        return found
    broken, ends = 0, []
    for start in range(0, len(points), PIECE):
        # where: (points of the piece, 3)
        where = np.stack([points[axis][start : start + PIECE].astype(np.float64) for axis in AXES], axis=1)
        finite = where[np.isfinite(where).all(axis=1)]
        broken += len(where) - len(finite)
        if len(finite):
            ends += [finite.min(axis=0), finite.max(axis=0)]
    found["points_broken_share"] = broken / len(points)
    if ends:
        with np.errstate(over="ignore"):  # from one end of the doubles to the other
            extent = np.max(ends, axis=0) - np.min(ends, axis=0)
        found |= {f"points_extent_{axis}": float(each) for axis, each in zip(AXES, extent, strict=True)
                  if np.isfinite(each)}  # fmt: skip
    return found


POINTS_HEADER = Extractor(
    name="points_header",
    version=1,
    media_types=(PREFIX,),
    function=measure_points,
    dimensions=(
        Dimension("points_count", "integer", "Points, by the header.", "1"),
        Dimension("points_fields", "text", "What each point has, in order: x y z intensity ...; of a LAS file its "
                  "format of points."),
        Dimension("points_coding", "text", "ascii, binary or packed."),
        Dimension("points_extent_x", "number", _EXTENT.format(axis="x", none=_NONE), "1"),
        Dimension("points_extent_y", "number", _EXTENT.format(axis="y", none="as for `points_extent_x`"), "1"),
        Dimension("points_extent_z", "number", _EXTENT.format(axis="z", none="as for `points_extent_x`"), "1"),
        Dimension("points_broken_share", "number", "Share of points of which a coordinate is not finite. No value: "
                  "points are text or packed, or there are none.", "1"),
    ),
)  # fmt: skip
"""Version 1."""
