"""audio_header: what the header of a recording says."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.view import AudioView


def measure_audio_header(view: AudioView) -> Mapping[str, Value]:
    """Return the values of `AUDIO_HEADER` for one recording.

    Raises:
        RejectedInputError: If it cannot be decoded, or is beyond the limits.
    """
    facts = view.facts
    return {
        "sample_rate_hz": facts.sample_rate_hz,
        "audio_channels": facts.channels,
        "duration_ms": facts.duration_ms,
        "audio_bits": facts.bits,
        "audio_subtype": facts.subtype,
    }


AUDIO_HEADER = Extractor(
    name="audio_header",
    version=1,
    media_types=("audio/",),
    function=measure_audio_header,
    dimensions=(
        Dimension("sample_rate_hz", "integer", "Frames a second.", "Hz"),
        Dimension("audio_channels", "integer", "Channels of the recording, at least 1.", "1"),
        Dimension("duration_ms", "integer", "Frames by sample rate, in whole milliseconds, halves to even.", "ms"),
        Dimension("audio_bits", "integer", "Bits of one stored sample. No value: the coding has no fixed number "
                  "(Vorbis, Opus).", "bits"),
        Dimension("audio_subtype", "text", "libsndfile's name of the coding: PCM_16, FLOAT, VORBIS ..."),
    ),
)
"""Version 1."""
