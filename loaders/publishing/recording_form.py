"""What is asked of recordings that are encoded anew when they are published; `recording_encoding` does it."""

from __future__ import annotations

from dataclasses import dataclass

KEEP = "keep"
CODECS = (KEEP, "wav", "flac")
PARTS = ("start", "middle", "end")
LEAST_RATE, MOST_RATE = 1_000, 384_000
"""Hz."""


@dataclass(frozen=True, slots=True)
class RecordingForm:
    """What recordings become.

    Attributes:
        sample_rate: Hz; None: each keeps its own.
        channels: 1: the mean of all; None: each keeps its own.
        codec: `wav`, `flac`: whole numbers of 16 bits. `keep`: FLAC stays FLAC, all others become WAV; what needs no
            change stays byte for byte as it is.
        max_seconds: Longer ones are cut to it; None: none is.
        part: Which part of a longer one is kept, one of `PARTS`.
        pad: Whether shorter ones get silence at their end, up to `max_seconds`.
    """

    sample_rate: int | None = None
    channels: int | None = None
    codec: str = KEEP
    max_seconds: float | None = None
    part: str = "start"
    pad: bool = False

    def codec_of(self, format: str) -> str:
        """Return the codec of what a recording of this format (libsndfile's name) becomes if it is encoded anew."""
        return ("flac" if format == "FLAC" else "wav") if self.codec == KEEP else self.codec
