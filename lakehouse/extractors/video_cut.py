"""video_cut: where in its video a frame or clip lies. It is known when this is derived, and nothing is decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lakehouse.extractors.extractor import Dimension, Extractor, Value


@dataclass(frozen=True, slots=True, eq=False)
class CutView:
    """What is known of a frame or clip.

    Attributes:
        numbers: Its frames, by their numbers in the video.
        times: When each frame of the video is shown, s from the first; float64.
        height: Of its frames, px.
        width: Of its frames, px.
    """

    numbers: Sequence[int]
    times: npt.NDArray[np.float64]
    height: int
    width: int


def measure_cut(view: CutView) -> Mapping[str, Value]:
    """Return the values of `VIDEO_CUT`."""
    return {
        "frame_index": view.numbers[0],
        "frame_time_s": float(view.times[view.numbers[0]]),
        "frame_count": len(view.numbers),
        "frame_width": view.width,
        "frame_height": view.height,
    }


VIDEO_CUT = Extractor(
    name="video_cut",
    version=1,
    media_types=("video/frame", "video/clip"),  # no file is of these: `derive` measures what it makes
    function=measure_cut,
    dimensions=(
        Dimension("frame_index", "integer", "Of a frame or clip that was derived: number of its first frame in the "
                  "video, from 0, in the order of showing.", "1"),
        Dimension("frame_time_s", "number", "When this frame is shown, from the video's first.", "s"),
        Dimension("frame_count", "integer", "Frames that it has: 1, of a clip its length.", "1"),
        Dimension("frame_width", "integer", "Width of its frames, upright.", "px"),
        Dimension("frame_height", "integer", "Height of its frames, upright.", "px"),
    ),
)
"""Version 1."""
