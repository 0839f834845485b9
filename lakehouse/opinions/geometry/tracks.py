"""What the regions of tracks say of each frame: stated shapes, and those between them on a line."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lakehouse.opinions.reading.answer import Region

LINEAR = "linear"
"""Value of `attrs["interpolation"]` of a region that moves on a line to the next shape of its track."""


def frames_of(regions: Iterable[Region]) -> Iterator[tuple[int, Region]]:
    """Yield (frame, region) for each frame that a region holds in, region after region; frames count from 0.

    A region without `frame_start` is of no frame and yields nothing. Of one that moves, `frame_start` and `frame_end`
    of what is yielded are its frame, and what says that it moves is left out.
    """
    for shape in shapes_of([each for each in regions if each.frame_start is not None]):
        yield from shape


def shapes_of(regions: Sequence[Region]) -> list[Iterator[tuple[int, Region]]]:
    """Return `frames_of` region by region, frame by frame as it is asked for; each has its `frame_start`."""
    following = _following(regions)
    return [_frames(each, following.get(place)) for place, each in enumerate(regions)]


def _frames(region: Region, following: Region | None) -> Iterator[tuple[int, Region]]:
    start = region.frame_start or 0
    end = start if region.frame_end is None else region.frame_end
    to = following if (region.attrs or {}).get("interpolation") == LINEAR else None
    for frame in range(start, end + 1):
        yield frame, _at(region, to, frame, start)


def _following(regions: Sequence[Region]) -> dict[int, Region]:
    """Return place of a region -> the next shape of its track."""
    tracks: dict[str, list[int]] = {}
    for place, each in enumerate(regions):
        if each.track_id is not None:
            tracks.setdefault(each.track_id, []).append(place)
    found = {}
    for places in tracks.values():
        ordered = sorted(places, key=lambda place: regions[place].frame_start or 0)
        found.update({one: regions[other] for one, other in itertools.pairwise(ordered)})
    return found


def _at(region: Region, to: Region | None, frame: int, start: int) -> Region:
    attrs = {name: text for name, text in (region.attrs or {}).items() if name != "interpolation"} or None
    held = dataclasses.replace(region, frame_start=frame, frame_end=frame, attrs=attrs)
    if to is None or frame == start or to.frame_start is None:
        return held
    share = (frame - start) / (to.frame_start - start)
    changes: dict[str, object] = {
        name: _between(getattr(region, name), getattr(to, name), share) for name in ("x", "y", "w", "h")
    }
    if region.angle or to.angle:
        # The shorter way round.
        turn = ((to.angle or 0.0) - (region.angle or 0.0) + 180.0) % 360.0 - 180.0
        changes["angle"] = (region.angle or 0.0) + turn * share
    if region.points is not None and to.points is not None and len(region.points) == len(to.points):
        changes["points"] = tuple(_point(a, b, share) for a, b in zip(region.points, to.points, strict=True))
    return dataclasses.replace(held, **changes)  # type: ignore[arg-type]


def _between(one: float | None, other: float | None, share: float) -> float | None:
    return one if one is None or other is None else one + (other - one) * share


def _point(
    one: Mapping[str, float | int | None], other: Mapping[str, float | int | None], share: float
) -> dict[str, float | int | None]:
    return {**one, "x": _between(one["x"], other["x"], share), "y": _between(one["y"], other["y"], share)}
