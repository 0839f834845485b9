"""How much is decoded of one value at most, unless one asks for more. Without the decoders: readers plan with these."""

from __future__ import annotations

MAX_PIXELS = 64_000_000
"""Width times height beyond which a picture is refused unless one asks for more: about 256 MB to decode one. The lake
and the reader have the same default, so that what one takes the other does not refuse."""

MAX_VIDEO_FRAMES = 1_000_000
"""Nine hours at 30 frames a second: a video of more is refused."""

MAX_VIDEO_BYTES = 256 << 20
"""Pixels that are decoded of a video at once: 1,783 frames of 224 x 224, or 97 of 1280 x 720."""
