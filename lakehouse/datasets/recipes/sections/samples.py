"""[samples]: what one sample of a dataset is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from lakehouse.datasets.recipes.sections.choice import CHOICES, check_choices
from lakehouse.errors import RecipeError

OF = ("entities", "regions", "windows", "clips")
BORDERS = ("clip", "pad")
INCOMPLETE = ("drop", "pad")
WINDOW_LABELS = ("last", "first", "majority", "all")

MOST_MARGIN = 100.0
MOST_MARGIN_PX = 100_000
MOST_LENGTH = 100_000
MOST_SIDE = 16_384
LEAST_S = 1e-6
"""Seconds between frames, at least."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What one sample of a dataset is.

    Attributes:
        of: `entities`: each selected entity is one. `regions`: each region that the recipe's policy believes about a
            picture is one, with the region's label; its pixels are a crop of the picture. `windows`: stretches of a
            series of entities. `clips`: stretches of frames of each selected video, with the video's answer.
        margin: Of regions: what a crop has around its region, as a share of the region's width to the left and right
            and of its height above and below.
        margin_px: The same in px, on all sides, beside `margin`.
        square: Of regions: crops are as high as wide, by the longer side, about the same centre.
        border: Of regions: what becomes of a crop that reaches beyond its picture. `clip`: it ends there; a square is
            none any more. `pad`: what is beyond is black.
        min_side: Of regions: one that is narrower or lower within its picture than this, px, is left out as
            `region_too_small`.
        series: Of windows: group key whose entities with one value are a series; one of `split.group`, so that no
            window reaches from one split into another.
        order: Of windows: column of the selection or of entities_wide that orders a series: numbers or times.
        length: Of windows: entities in one. Of clips: frames.
        stride: Of windows and clips: entities of a series, or frames, from the beginning of one to that of the next;
            None: as many as one reaches over, so that none overlap.
        step: Of windows and clips: each is every so many entities of the series, or frames.
        step_s: Of clips, instead of `step`: so many seconds between frames, each the one that is shown then.
        stride_s: The same instead of `stride`, where there is `step_s`.
        size: Of clips: [height, width] of all frames, px, whatever their proportions; []: as shown.
        max_gap: Of windows: none reaches over a larger difference of `order` between neighbours, in seconds where these
            are times. None: any. What is left out for a reason of its own ends a window, too.
        incomplete: Of windows and clips: what becomes of one that its series or video ends before it is full. `drop`:
            it is left out as `incomplete_window` or `incomplete_clip`. `pad`: its last entity, or the video's last
            frame, is repeated.
        window_label: Of windows: the label of one is that of its `last` or `first` entity, or that of the `majority`
            of those that have one; `all`: each row of it has its own, and all must have one.
    """

    of: str = field(default="entities", metadata={CHOICES: OF})
    margin: float = 0.0
    margin_px: int = 0
    square: bool = False
    border: str = field(default="clip", metadata={CHOICES: BORDERS})
    min_side: float = 1.0
    series: str = ""
    order: str = ""
    length: int = 0
    stride: int | None = None
    step: int = 1
    step_s: float | None = None
    stride_s: float | None = None
    size: tuple[int, ...] = ()
    max_gap: float | None = None
    incomplete: str = field(default="drop", metadata={CHOICES: INCOMPLETE})
    window_label: str = field(default="last", metadata={CHOICES: WINDOW_LABELS})


KEYS = {
    "regions": ("margin", "margin_px", "square", "border", "min_side"),
    "windows": ("series", "order", "length", "stride", "step", "max_gap", "incomplete", "window_label"),
    "clips": ("length", "stride", "step", "step_s", "stride_s", "size", "incomplete"),
}
"""What samples are of -> the keys that say more."""


def check_samples(samples: Samples, where: str) -> None:
    """Refuse samples that cannot be.

    Raises:
        RecipeError: If a key is of other samples than `of` names, one is missing, or a number is out of range.
    """
    check_choices(samples, "samples", where)
    usual = Samples()
    for name in dict.fromkeys(name for names in KEYS.values() for name in names):
        owners = [of for of, names in KEYS.items() if name in names]
        if samples.of not in owners and getattr(samples, name) != getattr(usual, name):
            wanted = " or ".join(f'"{of}"' for of in owners)
            whose = " and ".join(owners)
            raise RecipeError(f"{where}: samples.{name} is of {whose}; write of = {wanted} under [samples]")
    if not 0 <= samples.margin <= MOST_MARGIN:
        raise RecipeError(f"{where}: samples.margin = {samples.margin}; it is a share from 0 to {MOST_MARGIN:g}")
    if not 0 <= samples.margin_px <= MOST_MARGIN_PX:
        raise RecipeError(f"{where}: samples.margin_px = {samples.margin_px}; it is from 0 to {MOST_MARGIN_PX}")
    if not (math.isfinite(samples.min_side) and samples.min_side >= 0):
        raise RecipeError(f"{where}: samples.min_side = {samples.min_side}; it is a number of px from 0")
    if samples.of == "windows":
        _check_windows(samples, where)
    if samples.of == "clips":
        _check_clips(samples, where)


def _check_windows(samples: Samples, where: str) -> None:
    for name in ("series", "order"):
        if not getattr(samples, name):
            raise RecipeError(f"{where}: samples.{name} is missing: windows are of a series, and in an order")
    _check_stretch(samples, where, "window", "entities")
    if samples.max_gap is not None and not samples.max_gap >= 0:
        raise RecipeError(f"{where}: samples.max_gap = {samples.max_gap}; it is a difference from 0")


def _check_clips(samples: Samples, where: str) -> None:
    _check_stretch(samples, where, "clip", "frames")
    for name in ("step_s", "stride_s"):
        value = getattr(samples, name)
        if value is not None and not LEAST_S <= value < math.inf:
            raise RecipeError(f"{where}: samples.{name} = {value}; it is a number of seconds from {LEAST_S:g}")
    if samples.step_s is None and samples.stride_s is not None:
        raise RecipeError(f"{where}: samples.stride_s is without step_s; clips are in seconds by both, or in frames")
    if samples.step_s is not None and (samples.step != 1 or samples.stride is not None):
        raise RecipeError(f"{where}: samples.step_s is beside step or stride; clips are in seconds, or in frames")
    if samples.size and not (len(samples.size) == 2 and all(1 <= side <= MOST_SIDE for side in samples.size)):
        raise RecipeError(f"{where}: samples.size = {list(samples.size)}; it is [height, width], 1 to {MOST_SIDE} px")


def _check_stretch(samples: Samples, where: str, one: str, parts: str) -> None:
    if not 1 <= samples.length <= MOST_LENGTH:
        raise RecipeError(f"{where}: samples.length = {samples.length}; a {one} has 1 to {MOST_LENGTH:,} {parts}")
    for name in ("stride", "step"):
        value = getattr(samples, name)
        if value is not None and value < 1:
            raise RecipeError(f"{where}: samples.{name} = {value}; it is a number of {parts} from 1")
