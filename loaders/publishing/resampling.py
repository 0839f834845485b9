"""Another rate for recordings: a windowed sinc, polyphase, in whole numbers, so that every machine gives the same.

Kaiser's window (beta 12) over 32 zero crossings; its edge lies below the lower of both Nyquist frequencies. A sine at
0.8 of that or below comes out with an error under -110 dB, one at 1.075 of it or above is itself under -110 dB
(tests/loaders/test_recordings.py). Smith, "Digital Audio Resampling", ccrma.stanford.edu/~jos/resample.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from loaders.axes import Floats
from loaders.errors import DecodeError

ZEROS = 32
"""Zero crossings of the sinc on each side."""
BETA = 12.0
ROLL_OFF = 0.94
"""Edge of the filter, as a share of the lower Nyquist frequency."""
SAMPLE_BITS, TAP_BITS = 23, 24
"""Samples and taps are whole multiples of 2**-23 and 2**-24: any sum of their products is a whole number below 2**53,
which a double holds exactly, whatever the order of the additions."""
LARGEST = 8.0
"""Samples beyond are cut off: those of floating-point recordings may be above 1."""
MOST_STEPS = 1_000_000
"""Of the larger of both rates, without the factor that they share: there are 64 taps for each, 0.5 GB."""
PIECE = 1 << 22
"""Values of windows that are multiplied together: what a recording takes in memory does not hang on its length."""


def resampled(samples: npt.NDArray[np.float32], rate: int, wanted: int) -> Floats:
    """Return one channel at another rate.

    Args:
        samples: float32 (frames,).
        rate: Of these, Hz.
        wanted: Hz.

    Returns:
        float64 (ceil(frames * wanted / rate),); the first frame is at the same time.

    Raises:
        DecodeError: If the rates are too far apart, or share too little.
    """
    if rate == wanted or not len(samples):
        return samples.astype(np.float64)
    shared = math.gcd(rate, wanted)
    up, down = wanted // shared, rate // shared
    if max(up, down) > MOST_STEPS:
        raise DecodeError(
            f"a rate of {rate:,} Hz becomes {wanted:,} Hz by {up:,} / {down:,}, of at most {MOST_STEPS:,} each"
        )
    taps = _taps(up, down)  # (phases, taps)
    half = taps.shape[1] // 2
    whole = np.rint(np.clip(samples.astype(np.float64), -LARGEST, LARGEST) * 2.0**SAMPLE_BITS)
    around = np.concatenate([np.zeros(half - 1), whole, np.zeros(half + 1)])
    windows = np.lib.stride_tricks.sliding_window_view(around, taps.shape[1])
    count = frames_at(len(samples), rate, wanted)
    out = np.empty(count)
    together = max(1, PIECE // taps.shape[1])
    for first in range(min(up, count)):
        # Every up-th frame lies at the same phase between two frames of the recording.
        at, phase = np.arange(first, count, up) * down // up, taps[first * down % up]
        out[first::up] = np.concatenate([
            windows[at[start : start + together]] @ phase for start in range(0, len(at), together)
        ])  # fmt: skip
    return out * 2.0 ** -(SAMPLE_BITS + TAP_BITS)


def frames_at(frames: int, rate: int, wanted: int) -> int:
    """Return how many frames a recording has at another rate."""
    return -(-frames * wanted // rate)


@lru_cache(maxsize=4)
def _taps(up: int, down: int) -> Floats:
    """Return whole numbers, float64 (phases, taps): of each phase what the frames around it are multiplied by."""
    edge = min(1.0, up / down)
    half = math.ceil(ZEROS / edge)
    cut = edge * ROLL_OFF
    # times: (phases, taps), in frames of the recording, from the wanted frame.
    times = np.arange(1 - half, half + 1)[None, :] - np.arange(up)[:, None] / up
    window = np.i0(BETA * np.sqrt(np.maximum(0.0, 1.0 - (times / half) ** 2))) / np.i0(BETA)
    taps = np.sinc(cut * times) * window
    found: Floats = np.rint(taps / taps.sum(axis=1, keepdims=True) * 2.0**TAP_BITS)
    return found
