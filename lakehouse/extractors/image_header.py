"""image_header: what the header of an image says. Nothing is decoded."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.view import ImageView


def measure_header(view: ImageView) -> Mapping[str, Value]:
    """Return the values of `IMAGE_HEADER` for one image.

    Raises:
        RejectedInputError: If there is no header of an image within the limits.
    """
    facts = view.facts
    return {
        "width": facts.width_px,
        "height": facts.height_px,
        "channels": facts.channels,
        "bits": facts.bits,
        "mode": facts.mode,
        "format": facts.format,
        "bytes": facts.size_bytes,
        "frames": facts.frames,
        "is_animated": facts.is_animated,
        "exif_orientation": facts.exif_orientation,
        "exif_captured_at": facts.captured_at,
    }


IMAGE_HEADER = Extractor(
    name="image_header",
    version=1,
    media_types=("image/",),
    function=measure_header,
    dimensions=(
        Dimension("width", "integer", "Width as stored, before any EXIF orientation.", "px"),
        Dimension("height", "integer", "Height as stored, before any EXIF orientation.", "px"),
        Dimension("channels", "integer", "Bands of the first frame; a palette image has one.", "1"),
        Dimension("bits", "integer", "Bits of one sample as stored, of an index for palettes: 1 to 32.", "bits"),
        Dimension("mode", "text", "Pillow's mode of the first frame: 1, L, LA, P, RGB, RGBA, CMYK, I;16 ..."),
        Dimension("format", "text", "Pillow's name of the format: JPEG, PNG, GIF, WEBP, TIFF, BMP ..."),
        Dimension("bytes", "integer", "Size of the encoded image.", "bytes"),
        Dimension("frames", "integer", "Frames of an animation or pages of a document, at least 1.", "1"),
        Dimension("is_animated", "boolean", "Whether the format plays its frames and there is more than one."),
        Dimension("exif_orientation", "integer", "EXIF orientation, 1 to 8: 6 is upright after a quarter turn "
                  "clockwise. No value: not stated.", "1"),
        Dimension("exif_captured_at", "timestamp", "EXIF time of capture, UTC; the camera's wall clock where it "
                  "states no offset. No value: not stated, or not a date."),
    ),
)
"""Version 1."""
