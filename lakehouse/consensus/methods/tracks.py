"""Tracks of several annotators fused: matched by class and overlap over all frames, then averaged frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.consensus.methods.clusters import objects
from lakehouse.consensus.methods.votes import Floats
from lakehouse.overlap.tracks import Track, track_iou

TOLERANCE = 1e-6
"""Of a box that lies on a line between two others, px."""


@dataclass(frozen=True, slots=True)
class Followed:
    """One object.

    Attributes:
        label: Its class; None where the tracks have none.
        track: Where it is; perhaps in no frame.
        members: Places of the tracks that it is made of.
        support: Weight of its annotators.
        iou: Mean overlap of the members with it.
    """

    label: str | None
    track: Track
    members: tuple[int, ...]
    support: float
    iou: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A shape of a track: `box` (x, y, w, h) in frames `first` to `last`, both included; where `moves`, on a line to
    the next piece, which begins in the frame after."""

    first: int
    last: int
    box: tuple[float, float, float, float]
    moves: bool


def fuse_tracks(
    tracks: Sequence[Track],
    labels: Sequence[str | None],
    owners: Sequence[str],
    weights: Sequence[float],
    *,
    min_iou: float = 0.5,
    matching: str = "greedy",
    threshold: float = 0.5,
) -> list[Followed]:
    """Return one track for each object that anybody followed, class by class.

    It is in the frames where more than a share `threshold` of its annotators have it, as the weighted mean of their
    left, top, right and bottom.

    Args:
        tracks: (N,).
        labels: Class of each; (N,).
        owners: Annotator of each; (N,).
        weights: Votes behind each one's annotator, above 0; (N,).
        min_iou: Overlap over all frames (`track_iou`) from which two tracks are of one object.
        matching: `greedy` or `hungarian`.
        threshold: Of the annotators' weight, 0 to 1.
    """
    def alike(places: list[int]) -> Floats:
        some = [tracks[n] for n in places]
        return track_iou(some, some)

    found = []
    for label, places in objects(labels, owners, alike, least=min_iou, matching=matching):
        members, own = [tracks[n] for n in places], np.array([weights[n] for n in places])
        track = _mean(members, own, threshold)
        shared = float(np.average(track_iou(members, [track])[:, 0], weights=own))
        found.append(Followed(label, track, tuple(places), float(own.sum()), shared))
    return found


def _mean(members: Sequence[Track], weights: Floats, threshold: float) -> Track:
    frames = np.unique(np.concatenate([each.frames for each in members]))
    total, corners = np.zeros(len(frames)), np.zeros((len(frames), 4))
    for each, weight in zip(members, weights.tolist(), strict=True):
        at = np.searchsorted(frames, each.frames)
        total[at] += weight
        corners[at, :2] += weight * each.boxes_F4[:, :2]
        corners[at, 2:] += weight * (each.boxes_F4[:, :2] + each.boxes_F4[:, 2:])
    kept = total > threshold * weights.sum()
    corners = corners[kept] / total[kept, None]
    return Track(frames[kept], np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1))


def pieces_of(track: Track) -> Iterator[Piece]:
    """Yield the fewest shapes that say where a track is, going from the first frame as far as each one reaches."""
    ends = [*(np.flatnonzero(np.diff(track.frames) > 1) + 1).tolist(), len(track.frames)]
    start = 0
    for end in ends:
        yield from _pieces(track, start, end)
        start = end


def _pieces(track: Track, start: int, end: int) -> Iterator[Piece]:
    """Yield the pieces of frames that follow one another: places start to end, the end excluded."""
    boxes, frames = track.boxes_F4, track.frames
    while start < end:
        step = boxes[start + 1] - boxes[start] if start + 1 < end else np.zeros(4)
        far = np.abs(boxes[start:end] - boxes[start] - np.arange(end - start)[:, None] * step).max(axis=1)
        off = np.flatnonzero(far > TOLERANCE)
        until = start + int(off[0]) if len(off) else end
        x, y, w, h = boxes[start].tolist()
        if np.abs(step).max() <= TOLERANCE:
            yield Piece(int(frames[start]), int(frames[until - 1]), (x, y, w, h), moves=False)
            start = until
        else:
            # The last place on the line is where the next piece begins.
            yield Piece(int(frames[start]), int(frames[until - 1]) - 1, (x, y, w, h), moves=True)
            start = until - 1
