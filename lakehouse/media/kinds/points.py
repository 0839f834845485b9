"""Point clouds, PLY, PCD and LAS: see `lakehouse.media.points` for the rules by which they are judged."""

from __future__ import annotations

import functools

import pyarrow as pa

from lakehouse.config import Config
from lakehouse.media.kinds.kind import MediaKind
from lakehouse.media.limits import PointsLimits
from lakehouse.media.points import CLOUDS, PREFIX, PROBE_VERSION, probe_points
from lakehouse.media.sniff import claimed_among, sniff_among
from lakehouse.media.view import EntityView
from loaders.format.fields import Field


def _limits(config: Config) -> PointsLimits:
    return PointsLimits(max_bytes=config.points.max_bytes, max_points=config.points.max_points)


def _view(data: bytes, media_type: str, limits: PointsLimits) -> EntityView:
    return EntityView(data, media_type=media_type)


POINTS = MediaKind(
    name="points",
    prefix=PREFIX,
    sniff=functools.partial(sniff_among, CLOUDS),
    claims=functools.partial(claimed_among, CLOUDS),
    version=PROBE_VERSION,
    probe=probe_points,
    limits=_limits,
    view=_view,
    sample=Field("points", pa.binary(), doc="The point cloud as it was landed; no decoder of ours reads it."),
    limited={"too_large": "max_bytes", "too_many_points": "max_points"},
)
