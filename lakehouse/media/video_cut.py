"""Which frames of a video a frame or a clip of it is: the parameters of both, and the numbers they come to. Pure.

    frame   {"index": 7}                                    the frame with this number, from 0 in the order of showing
            {"time_s": 1.5}                                 the frame that is shown at this moment, s from the first
    clip    {"start": 0, "length": 16, "step": 2}           `length` frames: number `start`, and every `step`-th from it
            {"start_s": 1.5, "length": 16, "step_s": 0.1}   those that are shown at moments `step_s` apart

A clip also states `height` and `width`, px: its frames are as large, resized where the video is not. What it asks for
behind the end of the video is the last frame; a frame that is asked for there is an error.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from loaders.decoding.verdict import DecodeError, frames_at

Cut = Mapping[str, float]


def frame_numbers(cut: Cut, times: npt.NDArray[np.float64], end_s: float) -> list[int]:
    """Return the numbers of the frames of a cut.

    Args:
        cut: Parameters of a frame or a clip.
        times: When each frame of the video is shown, s from the first; increasing.
        end_s: When the last one ends.

    Raises:
        DecodeError: If the video has no such frame, rule `no_frame`; of a clip only where it begins behind the end.
    """
    count = len(times)
    if "index" in cut:
        return [_within(int(cut["index"]), count)]
    if "time_s" in cut:
        return [_shown_at(float(cut["time_s"]), times, end_s)]
    steps = np.arange(int(cut["length"]))
    if "start_s" in cut:
        _shown_at(float(cut["start_s"]), times, end_s)
        numbers = frames_at(times, np.float64(cut["start_s"]) + steps * np.float64(cut["step_s"]))
    else:
        numbers = _within(int(cut["start"]), count) + steps * int(cut["step"])
    return [int(each) for each in np.minimum(numbers, count - 1)]


def size_of(cut: Cut) -> tuple[int, int] | None:
    """Return height and width of the frames of a cut; None: those of the video as it is shown."""
    return (int(cut["height"]), int(cut["width"])) if "height" in cut else None


def _within(number: int, count: int) -> int:
    if not 0 <= number < count:
        raise DecodeError(f"frame {number:,} is asked of a video of {count:,}", rule="no_frame")
    return number


def _shown_at(moment: float, times: npt.NDArray[np.float64], end_s: float) -> int:
    if not 0 <= moment <= end_s:
        raise DecodeError(f"a moment at {moment:g} s of a video that ends at {end_s:g} s", rule="no_frame")
    return int(frames_at(times, np.array([moment]))[0])
