"""Pictures: see `lakehouse.media.image` for the rules by which they are judged."""

from __future__ import annotations

import functools

import pyarrow as pa

from lakehouse.config import Config
from lakehouse.media.image import PROBE_VERSION, probe_image
from lakehouse.media.kinds.kind import MediaKind
from lakehouse.media.limits import ImageLimits
from lakehouse.media.previews import preview_image
from lakehouse.media.sniff import PICTURES, claimed_among, sniff_among
from lakehouse.media.view import EntityView, ImageView
from loaders.format.fields import Field


def _limits(config: Config) -> ImageLimits:
    images = config.images
    return ImageLimits(max_pixels=images.max_pixels, max_frames=images.max_frames, max_bytes=images.max_bytes)


def _view(data: bytes, media_type: str, limits: ImageLimits) -> EntityView:
    # Media types that begin with image/ and are not decoded are no pictures of ours: bytes alone.
    if media_type not in PICTURES:
        return EntityView(data, media_type=media_type)
    return ImageView(data, media_type=media_type, limits=limits)


IMAGE = MediaKind(
    name="image",
    prefix="image/",
    sniff=functools.partial(sniff_among, PICTURES),
    claims=functools.partial(claimed_among, PICTURES),
    version=PROBE_VERSION,
    probe=probe_image,
    limits=_limits,
    view=_view,
    sample=Field(
        "image", pa.binary(), codec="image", shape=(None, None, 3), doc="Encoded image as it was landed."
    ),
    stored_sample=Field(
        "image", pa.binary(), codec="native_image", doc="Encoded image as it was landed; any depth."
    ),
    limited={"too_large": "max_bytes", "too_many_pixels": "max_pixels", "too_many_frames": "max_frames"},
    judge="probe",
    preview=preview_image,
)
