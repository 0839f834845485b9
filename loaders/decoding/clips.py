"""Decoders of videos for `make_reader(decoders=...)`: which frames a sample gets, and how large.

    make_reader(folder, batch_size=8, shuffle=Shuffle(seed=1),
                decoders={"video": VideoClip(frames=16, size=112, frame_rate=8, place="random")})

`VideoClip` makes batches of one shape, (rows, frames, height, width, 3); with `VideoFrames` each sample has its own
number of frames, and the column is a list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from loaders.axes import Array, DType, Floats, Ints, Octets
from loaders.decoding.drawing import two_sides, uniform
from loaders.decoding.limits import MAX_VIDEO_BYTES
from loaders.decoding.video import open_video
from loaders.errors import DecodeError, FormatError

Place = Literal["first", "middle", "random"]
Short = Literal["hold", "loop", "error"]

_CLOCK_S = 1e-6
"""Clocks of containers round to a microsecond at best: a frame that begins so much later counts as begun."""


@dataclass(frozen=True, slots=True)
class VideoClip:
    """A stretch of fixed length of each video: RGB, uint8, upright.

    Attributes:
        frames: How many.
        size: Height and width of the result, or one number for both; the whole frame is resized, its shape not kept.
        stride: Every so many frames.
        frame_rate: Instead of `stride`: so many frames a second, each the one that is shown at its moment. Clips of
            videos of different rates then last equally long.
        place: Where the stretch lies: at the beginning, in the middle, or where the sample's seed says, in steps of one
            frame of the video.
        short: What follows the end of a video that is shorter: its last frame (`hold`), the clip from its beginning
            (`loop`), or a DecodeError (`error`).
    """

    frames: int
    size: int | tuple[int, int]
    stride: int = 1
    frame_rate: float | None = None
    place: Place = "middle"
    short: Short = "hold"
    shape: tuple[int, ...] = field(init=False)
    dtype: DType = field(init=False, default=np.dtype("uint8"))
    codec: str = field(init=False, default="video")

    def __post_init__(self) -> None:
        if self.frames < 1 or self.stride < 1:
            raise FormatError(f"frames and stride are at least 1, found {self.frames} and {self.stride}")
        _check_rate(self.frame_rate, self.stride)
        if self.place not in get_args(Place) or self.short not in get_args(Short):
            raise FormatError(
                f"place is one of {', '.join(get_args(Place))}, short one of {', '.join(get_args(Short))}; found "
                f"{self.place!r} and {self.short!r}"
            )
        object.__setattr__(self, "shape", (self.frames, *two_sides(self.size), 3))

    def numbers(self, times: Floats, *, seed: int) -> Ints:
        """Return which frames are taken of a video whose frames are shown at `times`; int64, (frames,).

        Raises:
            DecodeError: If it is too short and `short` is `error`.
        """
        count = len(times)
        steps = np.arange(self.frames)
        if self.frame_rate is None:
            reach = 1 + (self.frames - 1) * self.stride
            last = max(0, count - reach)
        else:
            reach_s = (self.frames - 1) / self.frame_rate
            last = max(0, int(np.searchsorted(times, times[-1] - reach_s + _CLOCK_S, side="right")) - 1)
        start = {"first": 0, "middle": last // 2, "random": int(uniform(seed, 0) * (last + 1))}[self.place]
        if self.frame_rate is None:
            numbers = start + steps * self.stride
            is_over = numbers >= count
        else:
            moments = times[start] + steps / self.frame_rate
            numbers = frames_at(times, moments)
            is_over = moments > times[-1] + _gap(times)
        if is_over.any() and self.short == "error":
            raise DecodeError(f"a video of {count:,} frames is too short for a clip of {self.frames}")
        inside = int(np.count_nonzero(~is_over))
        if self.short == "loop" and inside < self.frames:
            return numbers[steps % inside]
        return np.minimum(numbers, count - 1)

    def into(self, raw: memoryview, out: Octets, *, seed: int, max_pixels: int) -> None:
        """Decode a clip of `raw` into `out`, uint8 (frames, height, width, 3).

        Raises:
            DecodeError: If it is no video, damaged, too large or too short.
        """
        with open_video(raw, max_pixels=max_pixels) as video:
            out[...] = video.decode(self.numbers(video.times, seed=seed).tolist(), size=out.shape[1:3])


@dataclass(frozen=True, slots=True)
class VideoFrames:
    """Frames of each video from its beginning to its end, as many as there are: RGB, uint8, upright.

    Attributes:
        stride: Every so many frames.
        frame_rate: Instead of `stride`: so many frames a second, each the one that is shown at its moment.
        times: Instead of both: moments in s from the first frame, each with the frame that is shown then; one behind
            the end is a DecodeError.
        max_frames: No more than so many, evenly spread over those that there would be. None: all of them.
        size: Height and width of the result, or one number for both; None: as they are stored.
    """

    stride: int = 1
    frame_rate: float | None = None
    times: tuple[float, ...] | None = None
    max_frames: int | None = None
    size: int | tuple[int, int] | None = None
    shape: tuple[int | None, ...] = field(init=False)
    dtype: DType = field(init=False, default=np.dtype("uint8"))
    codec: str = field(init=False, default="video")
    most_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        if self.stride < 1 or (self.max_frames is not None and self.max_frames < 1):
            raise FormatError(f"stride and max_frames are at least 1, found {self.stride} and {self.max_frames}")
        _check_rate(self.frame_rate, self.stride)
        is_alone = self.stride == 1 and self.frame_rate is None
        if self.times is not None and not (is_alone and min(self.times, default=0) >= 0):
            raise FormatError(f"times are moments in s from 0, without stride and frame_rate; found {self.times}")
        height, width = (None, None) if self.size is None else two_sides(self.size)
        object.__setattr__(self, "shape", (None, height, width, 3))
        most = MAX_VIDEO_BYTES
        if height is not None and width is not None and self.max_frames is not None:
            most = min(most, self.max_frames * height * width * 3)
        object.__setattr__(self, "most_bytes", most)

    def numbers(self, times: Floats) -> Ints:
        """Return which frames are taken of a video whose frames are shown at `times`; int64.

        Raises:
            DecodeError: If one of the moments is behind the end.
        """
        end = times[-1] + _gap(times)
        if self.times is not None:
            moments = np.array(self.times, dtype=np.float64)
            if len(moments) and moments.max() > end:
                raise DecodeError(f"a moment at {moments.max():g} s of a video that ends at {end:g} s")
            numbers = frames_at(times, moments)
        elif self.frame_rate is not None:
            numbers = frames_at(times, np.arange(0, end, 1 / self.frame_rate))
        else:
            numbers = np.arange(0, len(times), self.stride)
        if self.max_frames is not None and len(numbers) > self.max_frames:
            numbers = numbers[np.arange(self.max_frames) * len(numbers) // self.max_frames]
        return numbers

    def decoded(self, raw: memoryview, *, seed: int, max_pixels: int) -> tuple[Array, None]:
        """Decode the frames of `raw`; uint8 (n, height, width, 3). `seed` has no say.

        Raises:
            DecodeError: If it is no video, damaged or too large.
        """
        with open_video(raw, max_pixels=max_pixels) as video:
            size = None if self.size is None else two_sides(self.size)
            return video.decode(self.numbers(video.times).tolist(), size=size), None


def frames_at(times: Floats, moments: Floats) -> Ints:
    """Return the frame that is shown at each moment, the first one before the beginning; int64, (moments,)."""
    return np.maximum(np.searchsorted(times, moments + _CLOCK_S, side="right") - 1, 0)


def _gap(times: Floats) -> float:
    """Return how long the last frame counts as shown: as long as a frame is on average, s."""
    return float(times[-1] / (len(times) - 1)) if len(times) > 1 else 0.0


def _check_rate(frame_rate: float | None, stride: int) -> None:
    if frame_rate is not None and not (frame_rate > 0 and stride == 1):
        raise FormatError(f"frame_rate is above 0 and stands instead of stride; found {frame_rate} and {stride}")
