"""Arrays of numpy's, `.npy` and `.npz` with one: see `lakehouse.media.array` for the rules by which they are judged."""

from __future__ import annotations

import functools

import pyarrow as pa

from lakehouse.config import Config
from lakehouse.media.array import ARRAYS, PREFIX, PROBE_VERSION, probe_array
from lakehouse.media.kinds.kind import MediaKind
from lakehouse.media.limits import ArrayLimits
from lakehouse.media.plain_views import ArrayView
from lakehouse.media.previews import preview_array
from lakehouse.media.sniff import claimed_among, sniff_among
from lakehouse.media.view import EntityView
from loaders.format.fields import Field


def _limits(config: Config) -> ArrayLimits:
    return ArrayLimits(max_bytes=config.arrays.max_bytes)


def _view(data: bytes, media_type: str, limits: ArrayLimits) -> EntityView:
    return ArrayView(data, media_type=media_type, limits=limits)


ARRAY = MediaKind(
    name="array",
    prefix=PREFIX,
    sniff=functools.partial(sniff_among, ARRAYS),
    claims=functools.partial(claimed_among, ARRAYS),
    version=PROBE_VERSION,
    probe=probe_array,
    limits=_limits,
    view=_view,
    sample=Field(
        "array", pa.binary(), codec="array", doc="The `.npy` or `.npz` file as it was landed; read as an array of its "
        "own dtype and shape. `FixedArray` makes one array of a batch."
    ),
    preview=preview_array,
)
