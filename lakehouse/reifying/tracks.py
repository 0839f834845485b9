"""Tracks of one video, by several people and models: which of them follow one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.consensus.objects import tracks_of
from lakehouse.overlap.tracks import track_iou
from lakehouse.reifying.members import Member
from schemas.canonical import canonical_json


def track_groups(answers: Sequence[Mapping[str, Any]], *, min_iou: float) -> list[list[Member]]:
    """Return the tracks of one video, those of one thing together.

    Pairs of tracks of different answers are joined in the order of their overlap over all frames (`track_iou`), as long
    as no answer has two tracks in a group: what one person told apart stays apart.

    Args:
        answers: Of one subject: subject_id, question_id, actor_id, slot, ingest_seq, regions (those with `track_id`
            and the kind box are looked at).
        min_iou: Overlap from which two tracks may be of one thing, above 0 to 1.

    Raises:
        RejectedInputError: bad_track, too_many_frames: see `tracks_of`.
    """
    shapes = [
        (place, region)
        for place, answer in enumerate(answers)
        for region in answer["regions"] or ()
        if is_shape(region)
    ]
    drawn = [
        (_member(answers[place], str(first["track_id"]), track.frames), track)
        for place, first, track in tracks_of(shapes)
    ]
    drawn.sort(key=lambda each: each[0])
    members = [member for member, _ in drawn]
    owners = [member.part.partition(',"track"')[0] for member in members]
    group = list(range(len(members)))
    held = [{owner} for owner in owners]
    for one, other in _pairs([track for _, track in drawn], owners, min_iou):
        into, gone = sorted((group[one], group[other]))
        if into == gone or held[into] & held[gone]:
            continue
        held[into] |= held[gone]
        group = [into if each == gone else each for each in group]
    found: dict[int, list[Member]] = {}
    for member, name in zip(members, group, strict=True):
        found.setdefault(name, []).append(member)
    return list(found.values())


def is_shape(region: Mapping[str, Any]) -> bool:
    """Return whether a region is a box of a track."""
    return region["track_id"] is not None and region["kind"] == "box"


def _member(answer: Mapping[str, Any], track: str, frames: Any) -> Member:
    # Not the opinion: a correction speaks of the same track. The track comes last, see `owners`.
    part = canonical_json({"actor": answer["actor_id"], "slot": answer["slot"], "track": track})
    return Member(int(answer["ingest_seq"]), answer["subject_id"], part, int(frames.min()), int(frames.max()))


def _pairs(tracks: list[Any], owners: Sequence[str], min_iou: float) -> list[tuple[int, int]]:
    if not tracks:
        return []
    overlap = track_iou(tracks, tracks)
    near = np.argwhere(np.triu(overlap >= min_iou, 1)).tolist()
    return [(a, b) for _, a, b in sorted((-float(overlap[a, b]), a, b) for a, b in near if owners[a] != owners[b])]
