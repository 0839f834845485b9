"""How large an image may be before it counts as hostile."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Limits that are checked from the header, before pixels cost memory.

    Attributes:
        max_pixels: Width times height of one frame. The default bounds one decode to about 256 MB: a PNG of
            254 KB just under Pillow's own warning costs 357 MB.
        max_frames: Frames or pages.
        max_bytes: Encoded bytes.
        max_decoded_pixels: Pixels decoded to check one input, over all its frames. Frames are decoded in order
            until it is reached (always the first one); later frames are counted, not decoded.
    """

    max_pixels: int = 64_000_000
    max_frames: int = 10_000
    max_bytes: int = 512 << 20
    max_decoded_pixels: int = 128_000_000


DEFAULT_LIMITS = ImageLimits()
