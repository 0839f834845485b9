"""The bytes of a derived entity, made of its parent's whenever they are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from lakehouse.derived.identity import CLIP, CROP, FRAME, VARIANT
from lakehouse.derived.places import Derived, read_place
from lakehouse.derived.video import clip_npy, frame_png
from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.home import Root
from lakehouse.media.kinds.registry import Judges
from lakehouse.media.kinds.video import VIDEO
from lakehouse.media.limits import VideoLimits
from lakehouse.objects import read_entity
from loaders.publishing.crops import crop_png
from loaders.publishing.variants import Variant, variant_png

BOX = ("left", "top", "width", "height")


def read_by(root: Root, place: str, judges: Judges) -> bytes:
    """Return what `read_derived` does, within the limits of a lake."""
    video = cast("VideoLimits", judges.limits[VIDEO.name])
    return read_derived(root, place, max_pixels=judges.max_pixels, video=video)


def read_derived(root: Root, place: str, *, max_pixels: int, video: VideoLimits) -> bytes:
    """Return the bytes at a place: of an entity as they are stored, of a crop, a variant or a frame a PNG, of a clip a
    `.npy`.

    Args:
        root: The lake.
        place: As `lakehouse.objects.read_entity` takes it, or from `derived_place`.
        max_pixels: A picture with more is refused.
        video: What counts as hostile of a video that a frame or clip is of.

    Raises:
        IngestError: If the parent's bytes are missing or other ones, or nothing here knows the operation.
        RejectedInputError: If the parent is no video that can be decoded, or has no such frame.
        DecodeError: If it is to be a picture and is none, or damaged.
    """
    derived = read_place(place)
    if not derived.operation:
        return read_entity(root, derived.parent)
    data = read_derived(root, derived.parent, max_pixels=max_pixels, video=video)
    if derived.operation in (CROP, VARIANT):
        return _picture(derived, data, max_pixels)
    make = {FRAME: frame_png, CLIP: clip_npy}.get(derived.operation)
    if make is None:
        raise IngestError(f"{derived.parent}: nothing here makes the bytes of operation {derived.operation!r}")
    try:
        return make(data, derived.parameters, video)
    except RejectedInputError as error:
        raise RejectedInputError(error.rule, f"{derived.operation} of {derived.parent}: {error.reason}") from error


def variant_of(parameters: Mapping[str, Any]) -> Variant:
    """Return what parameters of operation `VARIANT` say."""
    red, green, blue = parameters.get("gains", (1.0, 1.0, 1.0))
    left, top, width, height = (int(parameters[name]) for name in BOX)
    mirror, contrast = parameters.get("mirror", False), parameters.get("contrast", 1.0)
    return Variant(parameters["turn"], left, top, width, height, mirror, contrast, (red, green, blue))


def _picture(derived: Derived, data: bytes, max_pixels: int) -> bytes:
    if derived.operation == CROP:
        return _crop(data, derived.parameters, max_pixels)
    if "of" in derived.parameters:
        data = _crop(data, derived.parameters["of"], max_pixels)
    return variant_png(data, variant_of(derived.parameters), max_pixels=max_pixels)


def _crop(data: bytes, parameters: Mapping[str, Any], max_pixels: int) -> bytes:
    return crop_png(data, *(parameters[name] for name in BOX), max_pixels=max_pixels)
