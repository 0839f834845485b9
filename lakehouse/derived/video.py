"""Frames and clips of a video as bytes: decoded in the process that opens videos, and stored without loss.

Legend: T frames, H and W rows and columns of one.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from lakehouse.media.contained import look
from lakehouse.media.limits import VideoLimits
from lakehouse.media.video_cut import Cut
from loaders.publishing.crops import LEVEL

FRAME_TYPE, CLIP_TYPE = "image/png", "application/x-npy"
"""Media types of what is made."""

BYTES_OF_PIXEL = 2
"""About what a pixel of a photograph takes as PNG: it is not known before it is made."""


NPY_HEADER = 128
"""Bytes before the values of an array with four axes, as numpy writes it."""


def frame_png(data: bytes, cut: Cut, limits: VideoLimits) -> bytes:
    """Return a frame of a video as PNG: RGB of 8 bits, upright.

    Args:
        data: The video.
        cut: Parameters of the frame.
        limits: What counts as hostile.

    Raises:
        RejectedInputError: As for `lakehouse.media.contained.look`; no_frame where there is none such.
    """
    return as_png(look(data, limits, want="cut", cut=cut).frames[0])


def clip_npy(data: bytes, cut: Cut, limits: VideoLimits) -> bytes:
    """Return frames of a video as `.npy`: uint8, (T, H, W, 3), upright RGB; raises as `frame_png`."""
    found = io.BytesIO()
    np.save(found, look(data, limits, want="cut", cut=cut).frames, allow_pickle=False)
    return found.getvalue()


def as_png(pixels_HWC: npt.NDArray[np.uint8]) -> bytes:
    """Return pixels as PNG."""
    found = io.BytesIO()
    Image.fromarray(pixels_HWC).save(found, "png", compress_level=LEVEL)
    return found.getvalue()


def frame_bytes(height: int, width: int) -> int:
    """Return about how many bytes a frame takes."""
    return height * width * BYTES_OF_PIXEL


def clip_bytes(shape_THWC: Sequence[int]) -> int:
    """Return how many bytes a clip takes."""
    return NPY_HEADER + math.prod(shape_THWC)
