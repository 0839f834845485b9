"""video_content: how a video looks and moves. Measured on up to 32 frames, whatever its length.

Frames are those of `VideoView.sampled`: evenly spread from the first on, RGB, upright, no side longer than 256 px.
Y is luma, 0.299 R + 0.587 G + 0.114 B, rounded; k counts the sampled frames.

    brightness   mean over k of mean(Y) / 255
    sharpness    median over k of the variance of the 4-neighbour Laplacian of Y, as of pictures; small: blurred
    motion       mean over successive k of mean(|Y(k+1) - Y(k)|) / 255; a still picture has 0
    scene cuts   successive k whose histograms of Y (32 bins, as shares) differ by more than 0.5 in half the sum of
                 absolute differences: cuts between two sampled frames count once

Of videos with more than 32 frames, motion and cuts are therefore between frames that are `video_sampling_s` apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.extractors.image_pixels import sharpness
from lakehouse.media.video_view import VideoView

CUT = 0.5
"""Share of the pixels that change their bin of brightness at a cut. Within a scene it is below 0.2 for most films."""

_BINS = 32


def measure_video_content(view: VideoView) -> Mapping[str, Value]:
    """Return the values of `VIDEO_CONTENT` for one video.

    Raises:
        RejectedInputError: If one of the sampled frames cannot be decoded, or it is beyond the limits.
    """
    times, frames = view.sampled
    luma = np.stack([np.asarray(Image.fromarray(frame).convert("L")) for frame in frames])  # (frames, height, width)
    count, size = len(luma), luma[0].size
    sharp = [value for one in luma if (value := sharpness(one)) is not None]
    found: dict[str, Value] = {
        "video_sampled_frames": count,
        "video_brightness": int(luma.sum(dtype=np.int64)) / (luma.size * 255),
        "video_sharpness": float(np.median(sharp)) if sharp else None,
    }
    if count > 1:
        steps = np.abs(np.diff(luma.astype(np.int16), axis=0)).sum(dtype=np.int64)
        # bins: (frames, bins)
        bins = np.array([np.bincount((one >> 3).ravel(), minlength=_BINS) for one in luma])
        moved = np.abs(np.diff(bins, axis=0)).sum(axis=1) / (2 * size)
        found |= {
            "video_sampling_s": float(times[-1] - times[0]) / (count - 1),
            "video_motion": int(steps) / ((count - 1) * size * 255),
            "video_scene_cuts": int(np.count_nonzero(moved > CUT)),
        }
    return found


VIDEO_CONTENT = Extractor(
    name="video_content",
    version=1,
    media_types=("video/",),
    function=measure_video_content,
    dimensions=(
        Dimension("video_sampled_frames", "integer", "Frames that were looked at, 1 to 32, evenly spread.", "1"),
        Dimension("video_sampling_s", "number", "Time between these frames, on average. No value: one frame.", "s"),
        Dimension("video_brightness", "number", "Mean luma of these frames, 0 (black) to 1.", "1"),
        Dimension("video_sharpness", "number", "Median over these frames of the variance of the Laplacian of luma, as "
                  "`sharpness`; small: blurred. No value: narrower than 3 px.", "1"),
        Dimension("video_motion", "number", "Mean absolute change of luma between successive ones of these frames, 0 "
                  "to 1. No value: one frame.", "1"),
        Dimension("video_scene_cuts", "integer", "Successive ones of these frames between which more than half of the "
                  "pixels change their bin of brightness (32 bins). No value: one frame.", "1"),
    ),
)
"""Version 1."""
