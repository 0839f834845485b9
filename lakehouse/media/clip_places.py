"""Where the clips of a video lie: as many as fit, one after the other, by frames or by seconds. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MICROSECONDS = 1_000_000
"""Moments are whole microseconds: sums of them are exact, and no clock of a container needs to be finer."""


MOST_CLIPS = 100_000
"""Of one video: more are a slip in a stride, and would fill memory before anybody sees them."""


@dataclass(frozen=True, slots=True)
class ClipRule:
    """How a video is cut into clips.

    Attributes:
        length: Frames of a clip.
        step: Each is every so many frames of the video.
        stride: Frames from the beginning of one clip to that of the next; None: as many as a clip reaches over, so that
            none overlap.
        step_s: Instead of `step`: so many seconds lie between the frames of a clip, each the one that is shown then.
        stride_s: The same of beginnings, where there is `step_s`.
        pads: Whether a clip that the video ends in is filled with the last frame. It is left out otherwise.
    """

    length: int
    step: int = 1
    stride: int | None = None
    step_s: float | None = None
    stride_s: float | None = None
    pads: bool = False


@dataclass(frozen=True, slots=True)
class ClipPlaces:
    """What becomes of a video.

    Attributes:
        whole: Parameters of each clip, as in `lakehouse.media.video_cut`, without its size.
        rest: The same of clips that the end of the video cuts off, and of which no other has all frames.
    """

    whole: tuple[dict[str, int | float], ...]
    rest: tuple[dict[str, int | float], ...]


def clip_places(rule: ClipRule, *, frames: int, duration_s: float) -> ClipPlaces:
    """Return the clips of a video.

    Args:
        rule: How it is cut.
        frames: That it has.
        duration_s: From its first frame to the end of its last: no moment from there on is in it.

    Raises:
        ValueError: If these are more than `MOST_CLIPS`; the message says how many, and which stride would do.
    """
    whole: list[dict[str, int | float]] = []
    rest: list[dict[str, int | float]] = []
    if rule.step_s is None:
        end, step, stride = frames, rule.step, rule.stride
    else:
        end, step = max(1, round(duration_s * MICROSECONDS)), round(rule.step_s * MICROSECONDS)
        stride = None if rule.stride_s is None else round(rule.stride_s * MICROSECONDS)
    starts = range(0, end, stride or rule.length * step)
    if len(starts) > MOST_CLIPS:
        raise ValueError(_too_many(rule, len(starts), end))
    taken: set[int] = set()
    for start in starts:
        moments = range(start, min(end, start + rule.length * step), step)
        if len(moments) < rule.length and taken.issuperset(moments):
            continue
        taken.update(moments)
        found = whole if len(moments) == rule.length or rule.pads else rest
        found.append(_parameters(rule, start, step))
    return ClipPlaces(tuple(whole), tuple(rest))


def _too_many(rule: ClipRule, count: int, end: int) -> str:
    least = -(-end // MOST_CLIPS)
    if rule.step_s is None:
        key, said, enough, length = "stride", f"{rule.stride or rule.length * rule.step}", f"{least}", f"{end:,} frames"
    else:
        stride_s = rule.length * rule.step_s if rule.stride_s is None else rule.stride_s
        key, said, enough = "stride_s", f"{stride_s:g}", f"{least / MICROSECONDS:g}"
        length = f"{end / MICROSECONDS:g} s"
    return (
        f"{count:,} clips of one video of {length}, at most {MOST_CLIPS:,}: one begins every {key} = {said}; {enough} "
        "and more would do"
    )


def _parameters(rule: ClipRule, start: int, step: int) -> dict[str, int | float]:
    if rule.step_s is None:
        return {"start": start, "length": rule.length, "step": step}
    return {"start_s": start / MICROSECONDS, "length": rule.length, "step_s": step / MICROSECONDS}
