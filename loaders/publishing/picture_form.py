"""What is asked of pictures that are encoded anew when they are published; `picture_encoding` does it."""

from __future__ import annotations

from dataclasses import dataclass

KEEP = "keep"
CODECS = (KEEP, "jpeg", "png", "webp")
LOSSLESS = ("png",)
FITS = ("stretch", "cover", "contain")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box")
MAX_SIDE = 16_383
"""Px: WebP holds no more."""

_KEPT = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp"}


@dataclass(frozen=True, slots=True)
class PictureForm:
    """What pictures become.

    Attributes:
        size: Height and width, px; None: each keeps its own, up to `max_side`.
        fit: What becomes of other proportions, one of `FITS`: all of the picture, stretched; the largest part in its
            middle that has the proportions of `size`; all of it, with bars beside it.
        padding: Level of the bars, 0 to 255.
        max_side: The longer side is at most this long, px; None: any.
        interpolation: Pillow's, one of `INTERPOLATIONS`.
        codec: One of `CODECS`.
        quality: Of JPEG and WebP, 1 to 100.
        min_visible: Share of its area that must be left of an object for it to stay, 0 to 1.
    """

    size: tuple[int, int] | None = None
    fit: str = "stretch"
    padding: int = 0
    max_side: int | None = None
    interpolation: str = "bilinear"
    codec: str = KEEP
    quality: int = 90
    min_visible: float = 0.0

    @property
    def codecs(self) -> tuple[str, ...]:
        """Codecs that pictures may get."""
        return CODECS[1:] if self.codec == KEEP else (self.codec,)

    def codec_of(self, format: str | None) -> str:
        """Return the codec of what a picture of this format (Pillow's name) becomes if it is encoded anew."""
        return _KEPT.get(str(format), "png") if self.codec == KEEP else self.codec
