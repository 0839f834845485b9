"""Integrated loudness by ITU-R BS.1770-4: how loud a recording sounds, in LUFS.

K-weighting (a shelf that stands for the head, and a high-pass), the mean power of blocks of 400 ms every 100 ms, summed
over the channels (left, right, centre, and two surrounds with the weight 1.41). Of the blocks those above -70 LUFS
count, and of these those that are no more than 10 LU below their mean.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

_BLOCK_S, _OVERLAP = 0.4, 4
_OFFSET_LUFS, _FLOOR_LUFS, _BELOW_LU = -0.691, -70.0, 10.0
_CHANNEL_WEIGHTS = (1.0, 1.0, 1.0, 1.41, 1.41)
_LEAST_RATE_HZ = 4000
_RESPONSE_S = 0.5
"""After half a second what the weighting rings on with is below 1e-12."""


def integrated_loudness(samples: npt.NDArray[np.float32], rate: int) -> float | None:
    """Return the integrated loudness in LUFS of samples, (frames, channels).

    Returns:
        None for less than 400 ms, for more than five channels, below 4 kHz, and where nothing is above -70 LUFS.
    """
    frames, channels = samples.shape
    step = round(_BLOCK_S / _OVERLAP * rate)
    blocks = frames // step - _OVERLAP + 1
    if blocks < 1 or channels > len(_CHANNEL_WEIGHTS) or rate < _LEAST_RATE_HZ:
        return None
    power = np.zeros(blocks)
    for channel in range(channels):
        weighted = _k_weighted(samples[:, channel], rate)
        # steps: (steps of 100 ms,), summed power of each; four of them are a block.
        steps = np.square(weighted[: len(weighted) // step * step]).reshape(-1, step).sum(axis=1)
        summed = np.convolve(steps, np.ones(_OVERLAP), mode="valid")[:blocks]
        power += _CHANNEL_WEIGHTS[channel] * summed / (_OVERLAP * step)
    loud = power[_lufs(power) > _FLOOR_LUFS]
    if not len(loud):
        return None
    gated = loud[_lufs(loud) > _lufs(loud.mean()) - _BELOW_LU]
    return float(_lufs(gated.mean()))


def _lufs(power: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return _OFFSET_LUFS + 10 * np.log10(np.maximum(power, 1e-30))


def _k_weighted(samples: npt.NDArray[np.float32], rate: int) -> npt.NDArray[np.float64]:
    """Return one channel after the two filters of BS.1770, by convolution in pieces."""
    response = _k_response(rate)
    size = 1 << max(16, (4 * len(response)).bit_length())
    piece = size - len(response) + 1
    spectrum = np.fft.rfft(response, size)
    out = np.zeros(len(samples) + size)
    for start in range(0, len(samples), piece):
        part = samples[start : start + piece].astype(np.float64)
        out[start : start + size] += np.fft.irfft(np.fft.rfft(part, size) * spectrum, size)
    return out[: len(samples)]


@functools.lru_cache(maxsize=8)
def _k_response(rate: int) -> npt.NDArray[np.float64]:
    """Return the answer of the two filters to a single 1; (half a second,).

    Their analogue prototypes are those that give the coefficients of BS.1770 at 48 kHz (Brecht De Man, 2018).
    """
    signal = np.zeros(round(_RESPONSE_S * rate))
    signal[0] = 1
    shelf = math.tan(math.pi * 1681.974450955533 / rate)
    gain, quality = 10 ** (3.999843853973347 / 20), 0.7071752369554196
    middle = gain**0.4996667741545416
    scale = 1 + shelf / quality + shelf**2
    signal = _filtered(
        signal,
        [(gain + middle * shelf / quality + shelf**2) / scale, 2 * (shelf**2 - gain) / scale,
         (gain - middle * shelf / quality + shelf**2) / scale],
        [2 * (shelf**2 - 1) / scale, (1 - shelf / quality + shelf**2) / scale],
    )  # fmt: skip
    cut = math.tan(math.pi * 38.13547087602444 / rate)
    quality = 0.5003270373238773
    scale = 1 + cut / quality + cut**2
    return _filtered(signal, [1.0, -2.0, 1.0], [2 * (cut**2 - 1) / scale, (1 - cut / quality + cut**2) / scale])


def _filtered(signal: npt.NDArray[np.float64], ahead: list[float], back: list[float]) -> npt.NDArray[np.float64]:
    """Return a signal after a filter of second order, whose first coefficient of what went out is 1."""
    out = []
    first = second = 0.0  # direct form II, transposed
    for value in signal.tolist():
        result = ahead[0] * value + first
        first = ahead[1] * value - back[0] * result + second
        second = ahead[2] * value - back[1] * result
        out.append(result)
    return np.array(out)
