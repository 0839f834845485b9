"""audio_spectrum: how loud a recording sounds, which frequencies it has, and a hash by which recordings are compared.

Loudness is that of `lakehouse.extractors.loudness`. All else is of the mean of the channels, in Hann windows of 32 ms
every 16 ms; P(f) is the power of a frequency, summed over the windows.

    centroid     sum(f P(f)) / sum(P(f))
    rolloff      least frequency up to which 85 % of the power lies
    fingerprint  9 stretches of time x 9 bands of frequency, 100 Hz to 4 kHz in equal ratios (half the rate if that is
                 less): is the step of power from one band to the next greater than it was in the stretch before?
                 8 x 8 bits (after Haitsma and Kalker 2002)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.extractors.loudness import integrated_loudness
from lakehouse.media.view import AudioView

_WINDOW_S = 0.032
_ROLLOFF = 0.85
_SILENT_POWER = 1e-12
_PRINTED = 9
_ROWS = 64 * _PRINTED
_LOWEST_HZ, _HIGHEST_HZ = 100.0, 4000.0


def measure_audio_spectrum(view: AudioView) -> Mapping[str, Value]:
    """Return the values of `AUDIO_SPECTRUM` for one recording.

    Raises:
        RejectedInputError: If it cannot be decoded, or is beyond the limits.
    """
    samples, rate = view.samples, view.facts.sample_rate_hz
    found: dict[str, Value] = {"audio_loudness_lufs": integrated_loudness(samples, rate)}
    if not len(samples):
        return found
    powers, frequencies = _powers(samples.mean(axis=1, dtype=np.float64), rate)
    total = powers.sum(axis=0)
    if total.sum() <= _SILENT_POWER:
        return found
    reached = np.cumsum(total)
    return found | {
        "audio_centroid_hz": float(frequencies @ total / total.sum()),
        "audio_rolloff_hz": float(frequencies[np.searchsorted(reached, _ROLLOFF * reached[-1])]),
        "audio_fingerprint": _fingerprint(powers, frequencies),
    }


def _powers(samples: npt.NDArray[np.float64], rate: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the power of each window and frequency, (windows, frequencies), and these frequencies in Hz.

    Windows that follow one another are summed where there are more than 576.
    """
    size = max(16, 2 * round(_WINDOW_S * rate / 2))
    padded = np.concatenate([samples, np.zeros(max(0, size - len(samples)))])
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
    shape = np.hanning(size + 1)[:-1]
    joined = -(-len(windows) // _ROWS)
    rows = [
        np.square(np.abs(np.fft.rfft(windows[start : start + joined] * shape, axis=1))).sum(axis=0)
        for start in range(0, len(windows), joined)
    ]
    return np.array(rows), np.arange(size // 2 + 1, dtype=np.float64) * (rate / size)


def _fingerprint(powers: npt.NDArray[np.float64], frequencies: npt.NDArray[np.float64]) -> str:
    """Return 64 bits as 16 hex digits."""
    stretches = np.arange(len(powers)) * _PRINTED // len(powers) if len(powers) >= _PRINTED else None
    if stretches is None:
        # Less than 9 windows: stretches share them.
        powers = powers[np.arange(_PRINTED) * len(powers) // _PRINTED]
        stretches = np.arange(_PRINTED)
    edges = np.geomspace(_LOWEST_HZ, min(_HIGHEST_HZ, frequencies[-1]), _PRINTED + 1)
    bands = np.searchsorted(edges, frequencies, side="right") - 1
    energy = np.zeros((_PRINTED, _PRINTED))  # (stretches, bands)
    for band in range(_PRINTED):
        np.add.at(energy[:, band], stretches, powers[:, bands == band].sum(axis=1))
    level = np.log(energy + _SILENT_POWER)
    steps = np.diff(level, axis=1)  # (9 stretches, 8 steps between bands)
    return np.packbits((np.diff(steps, axis=0) > 0).ravel()).tobytes().hex()


AUDIO_SPECTRUM = Extractor(
    name="audio_spectrum",
    version=1,
    media_types=("audio/",),
    function=measure_audio_spectrum,
    dimensions=(
        Dimension("audio_loudness_lufs", "number", "Integrated loudness by ITU-R BS.1770-4. No value: shorter than 400 "
                  "ms, nothing above -70 LUFS, more than five channels, or below 4 kHz.", "LUFS"),
        Dimension("audio_centroid_hz", "number", "Mean frequency, weighted by power. No value: silence.", "Hz"),
        Dimension("audio_rolloff_hz", "number", "Frequency up to which 85 % of the power lies. No value: silence.",
                  "Hz"),
        Dimension("audio_fingerprint", "text", "How bands of frequency rise and fall over 9 stretches of time: 64 bits "
                  "as 16 hex digits, the same for another gain; near-duplicates differ in few. No value: silence."),
    ),
)
"""Version 1."""
