"""Transforms of videos that are there: frame, frames, clip, clips. What they make are references, stored nowhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lakehouse.deriving.transform import transform
from lakehouse.deriving.values import Frames, Reference
from lakehouse.media.clip_places import ClipRule, clip_places
from lakehouse.media.video_cut import frame_numbers

_INCOMPLETE = ("drop", "pad")


@transform(media_types=("video/",), takes="video", origin="real")
def frame(video: Frames, *, index: int = -1, time_s: float = -1.0) -> Reference:
    """Take one frame, by its number from 0, or by a moment in s from the first: the one that is shown then."""
    if (index < 0) == (time_s < 0):
        raise ValueError("frame: state index or time_s, from 0, and not both")
    return Reference("frame", {"index": index} if index >= 0 else {"time_s": time_s})


@transform(media_types=("video/",), takes="video", origin="real")
def frames(
    video: Frames, *, every: int = 1, every_s: float = 0.0, start_s: float = 0.0, stop_s: float = 0.0
) -> Iterator[Reference]:
    """Take every so many frames, or those that are shown every so many seconds; from start_s to before stop_s (0: end).

    A frame that is shown at several of these moments is taken once.
    """
    stop = min(stop_s, video.duration_s) if stop_s else video.duration_s
    if every < 1 or every_s < 0 or start_s < 0 or (every > 1 and every_s > 0):
        raise ValueError(
            f"frames: every is 1 and more, seconds are 0 and more, and every or every_s is stated, found {every}, "
            f"{every_s:g} and {start_s:g}"
        )
    if every_s:
        moments = start_s + np.arange(max(0, int(np.ceil((stop - start_s) / every_s - 1e-6)))) * every_s
        numbers = [frame_numbers({"time_s": float(each)}, video.times, video.duration_s)[0] for each in moments]
    else:
        within = np.flatnonzero((video.times >= start_s) & ((video.times < stop) | (stop_s == 0)))
        numbers = within[::every].tolist()
    for each in dict.fromkeys(numbers):
        yield Reference("frame", {"index": int(each)})


@transform(media_types=("video/",), takes="video", origin="real")
def clip(
    video: Frames, *, start: int = 0, start_s: float = 0.0, length: int = 16, step: int = 1, step_s: float = 0.0,
    height: int = 0, width: int = 0,
) -> Reference:  # fmt: skip
    """Take one clip: `length` frames from `start` on, each `step`-th; or from start_s on, step_s apart. It must fit."""
    if step_s:
        parameters = {"start_s": start_s, "length": length, "step_s": step_s}
        last, count = start_s + (length - 1) * step_s, video.duration_s
        is_over = last >= count
    else:
        begin = frame_numbers({"time_s": start_s}, video.times, video.duration_s)[0] if start_s else start
        parameters = {"start": begin, "length": length, "step": step}
        last, count = begin + (length - 1) * step, len(video.times)
        is_over = last >= count
    if is_over:
        raise ValueError(f"clip: its last frame would be at {last:g}, and the video ends at {count:g}")
    return Reference("clip", {**parameters, **_size(height, width)})


@transform(media_types=("video/",), takes="video", origin="real")
def clips(
    video: Frames, *, length: int = 16, step: int = 1, stride: int = 0, step_s: float = 0.0, stride_s: float = 0.0,
    incomplete: str = "drop", height: int = 0, width: int = 0,
) -> Iterator[Reference]:  # fmt: skip
    """Cut into clips of `length` frames, one every `stride` (0: none overlap); in seconds with step_s and stride_s.

    What the end cuts off is left out (`drop`), or filled with the last frame (`pad`).
    """
    if length < 1 or step < 1 or stride < 0 or step_s < 0 or stride_s < 0 or incomplete not in _INCOMPLETE:
        raise ValueError("clips: length and step are from 1, stride and seconds from 0, incomplete is drop or pad")
    if (stride_s and not step_s) or (step_s and (stride or step > 1)):
        raise ValueError("clips: step_s and stride_s are in seconds, step and stride in frames: state either")
    rule = ClipRule(length, step, stride or None, step_s or None, stride_s or None, pads=incomplete == "pad")
    for each in clip_places(rule, frames=len(video.times), duration_s=video.duration_s).whole:
        yield Reference("clip", {**each, **_size(height, width)})


def _size(height: int, width: int) -> dict[str, int]:
    if (height < 1) != (width < 1):
        raise ValueError(f"height and width are stated both or neither, found {height} and {width}")
    return {"height": height, "width": width} if height >= 1 else {}


VIDEO_PARTS = (frame, frames, clip, clips)
