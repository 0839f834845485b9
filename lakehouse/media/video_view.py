"""What an extractor sees of a video: its facts, and a stated sample of its frames, opened and decoded once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from lakehouse.media.contained import Seen, look
from lakehouse.media.limits import DEFAULT_VIDEO_LIMITS, VideoLimits
from lakehouse.media.previews import LONGEST_PX, as_png
from lakehouse.media.video import VideoFacts, facts_of
from lakehouse.media.view import EntityView

SAMPLED_FRAMES = 32
"""Frames that are looked at, evenly spread, however long a video is."""

SAMPLED_PX = 256
"""Longer side to which they are reduced."""


class VideoView(EntityView):
    """One video, opened when first asked.

    Extractors share the view: treat what it hands out as read-only.

    Args:
        data: The encoded video.
        media_type: As for `EntityView`.
        limits: What counts as hostile.
    """

    def __init__(self, data: bytes, *, media_type: str = "video/*", limits: VideoLimits = DEFAULT_VIDEO_LIMITS) -> None:
        super().__init__(data, media_type=media_type)
        self.limits = limits

    @cached_property
    def facts(self) -> VideoFacts:
        """Facts of the video; its first frame is decoded.

        Raises:
            RejectedInputError: With one of the rules of `lakehouse.media.video`.
        """
        # Without another look if frames were looked at before.
        seen = self._sampled if "_sampled" in self.__dict__ else look(self.data, self.limits, want="nothing")
        return facts_of(seen.header, self.media_type, self.limits)

    @property
    def sampled(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
        """When up to 32 frames, from the first on, are shown, s, (n,); and these, (n, H, W, 3).

        Frame i of n is frame i * frames // n of the video, or the last key frame before it if that is none of those
        before; RGB, uint8, upright, reduced so that the longer side is at most 256 px.

        Raises:
            RejectedInputError: As for `facts`.
        """
        return self._sampled.times, self._sampled.frames

    @cached_property
    def _sampled(self) -> Seen:
        return look(self.data, self.limits, want="sample", most=SAMPLED_FRAMES, longest=SAMPLED_PX)


def preview_video(data: bytes, media_type: str, limits: VideoLimits) -> bytes:
    """Return the frame in the middle of a video as a PNG, its longer side at most 512 px.

    Raises:
        RejectedInputError: As for `VideoView.facts`.
    """
    (pixels,) = look(data, limits, want="middle", longest=LONGEST_PX).frames
    return as_png(Image.fromarray(pixels))

