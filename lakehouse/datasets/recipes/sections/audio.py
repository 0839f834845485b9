"""[audio]: what is stored of recordings."""

from __future__ import annotations

from dataclasses import dataclass, field

from lakehouse.datasets.recipes.sections.choice import CHOICES, check_choices
from lakehouse.errors import RecipeError
from loaders.publishing.recording_form import CODECS, KEEP, LEAST_RATE, MOST_RATE, PARTS, RecordingForm

MOST_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Recordings:
    """What is stored of recordings.

    Where any key is stated, recordings are stored anew when the version is materialised: whole numbers of 16 bits,
    without metadata.

    Attributes:
        sample_rate: Hz of all stored recordings; None: each keeps its own.
        channels: 1: the mean of all channels; None: each keeps its own.
        codec: `wav`, `flac`: all are encoded so, with 16 bits. `keep`: FLAC stays FLAC, all others become WAV; one that
            needs no other rate, channels or length stays byte for byte as it was landed.
        max_seconds: Longer recordings are cut to this; None: none is.
        part: Which part of a longer one is kept: `start`, `middle` or `end`.
        pad: Whether shorter ones get silence at their end up to `max_seconds`: all are equally long then.
    """

    sample_rate: int | None = None
    channels: int | None = None
    codec: str = field(default=KEEP, metadata={CHOICES: CODECS})
    max_seconds: float | None = None
    part: str = field(default="start", metadata={CHOICES: PARTS})
    pad: bool = False

    @property
    def form(self) -> RecordingForm | None:
        """What is stored of recordings; None: they stay as they were landed."""
        if self == Recordings():
            return None
        return RecordingForm(self.sample_rate, self.channels, self.codec, self.max_seconds, self.part, self.pad)


def check_recordings(audio: Recordings, where: str) -> None:
    """Refuse what no recording can become, and keys that would change nothing.

    Raises:
        RecipeError: If so; the message names the key.
    """
    check_choices(audio, "audio", where)
    problem = _problem(audio)
    if problem:
        raise RecipeError(f"{where}: audio.{problem}")


def _problem(audio: Recordings) -> str:
    if audio.sample_rate is not None and not LEAST_RATE <= audio.sample_rate <= MOST_RATE:
        return f"sample_rate = {audio.sample_rate}; it is from {LEAST_RATE:,} to {MOST_RATE:,} Hz"
    if audio.channels not in (None, 1):
        return f"channels = {audio.channels}; 1 is the mean of all, and without it each keeps its own"
    if audio.max_seconds is not None and not 0 < audio.max_seconds <= MOST_SECONDS:
        return f"max_seconds = {audio.max_seconds}; it is above 0, at most {MOST_SECONDS:,}"
    for key in ("part", "pad"):
        if getattr(audio, key) != getattr(Recordings(), key) and audio.max_seconds is None:
            return f"{key} changes nothing without audio.max_seconds; add that, or leave it out"
    return ""
