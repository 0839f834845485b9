"""audio_signal: how loud a recording is, how much of it is silent and how much is clipped.

x are the samples as the reader gives them, all channels together: whole numbers scaled to [-1, 1).

    rms      sqrt(mean(x^2))
    peak     max(|x|)
    silence  share of windows whose own rms is below 0.001 (-60 dB of full scale). Windows are 10 ms long, of
             sample_rate // 100 frames (at least 1); the last one may be shorter and counts by its frames
    clipped  share of samples at the end of the scale: |x| >= 1 - 2^(1 - bits) for whole numbers, |x| >= 1 for others
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.view import AudioView

SILENT_RMS = 0.001
"""-60 dB of full scale: below the noise of most rooms and microphones."""

WINDOWS_PER_SECOND = 100


def measure_audio_signal(view: AudioView) -> Mapping[str, Value]:
    """Return the values of `AUDIO_SIGNAL` for one recording; none for one without a frame.

    Raises:
        RejectedInputError: If it cannot be decoded, or is beyond the limits.
    """
    facts, samples = view.facts, view.samples
    if samples.size == 0:
        return {}
    loudness = np.abs(samples)
    top = 1 - 2.0 ** (1 - facts.bits) if facts.is_whole_numbers and facts.bits else 1.0
    # power: (frames,), the mean over the channels of each frame; summed exactly enough as float64.
    power = np.square(samples, dtype=np.float64).mean(axis=1)
    starts = np.arange(0, len(power), max(1, facts.sample_rate_hz // WINDOWS_PER_SECOND))
    lengths = np.diff(np.append(starts, len(power)))
    silent = np.add.reduceat(power, starts) / lengths < SILENT_RMS**2
    return {
        "audio_rms": float(np.sqrt(power.mean())),
        "audio_peak": float(loudness.max()),
        "audio_silence_share": float(lengths[silent].sum() / len(power)),
        "audio_clipping_share": float(np.count_nonzero(loudness >= np.float32(top)) / loudness.size),
    }


AUDIO_SIGNAL = Extractor(
    name="audio_signal",
    version=1,
    media_types=("audio/",),
    function=measure_audio_signal,
    dimensions=(
        Dimension("audio_rms", "number", "Root mean square of all samples, 0 to 1 of full scale.", "1"),
        Dimension("audio_peak", "number", "Largest absolute sample; 1 is full scale, floats may be larger.", "1"),
        Dimension("audio_silence_share", "number", "Share of frames in windows of 10 ms whose rms is below 0.001 "
                  "(-60 dB of full scale), 0 to 1.", "1"),
        Dimension("audio_clipping_share", "number", "Share of samples at the end of the scale, 0 to 1.", "1"),
    ),
)
"""Version 1."""
