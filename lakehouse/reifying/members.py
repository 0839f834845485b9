"""Which object a group of members is: ids that stay while members come, go, merge and part. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

TRACK, POSITION = "track", "position"
"""Roles: a track is seen in a video, a position is where something was recorded."""


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One member of an object.

    Attributes:
        age: What orders members: the oldest founds an object.
        member_id: The entity it is in: the video, the picture.
        part: What of that entity, as canonical JSON; '' for all of it.
        frame_start: First frame, from 0; None for all but tracks.
        frame_end: Last frame, included.
        seen_at: When it was recorded; None where nobody knows.
    """

    age: int
    member_id: str
    part: str = ""
    frame_start: int | None = None
    frame_end: int | None = None
    seen_at: datetime | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What it is, whatever is said of its interval."""
        return self.member_id, self.part


@dataclass(frozen=True, slots=True)
class Assigned:
    """What the objects are now.

    Attributes:
        objects: Object -> members, oldest first.
        superseded: Object that has no members any more -> the one that has most of them now; None: nobody has.
    """

    objects: Mapping[str, tuple[Member, ...]]
    superseded: Mapping[str, str | None]


def assigned(
    groups: Sequence[Sequence[Member]],
    held: Mapping[tuple[str, str], str],
    ages: Mapping[str, int],
    found: Callable[[Member, int], str],
) -> Assigned:
    """Return which object each group is.

    A group is the oldest object that any of its members belonged to; where several groups ask for one object, that
    with the oldest member gets it. A group that gets none founds an object, whose id is of its oldest member.

    Args:
        groups: Members that are one thing, group by group; each member in one group.
        held: Member -> object, as it was.
        ages: Object -> age; equal ones are ordered by id.
        found: From the oldest member of a group, and how often its object was taken already, to an id.

    Returns:
        Objects, and those of `held` that have no group now.
    """
    ordered = sorted(tuple(sorted(group)) for group in groups if group)
    ids: dict[str, tuple[Member, ...]] = {}
    founding = []
    for group in ordered:
        claimed = {held[each.key] for each in group if each.key in held} - ids.keys()
        if claimed:
            ids[min(claimed, key=lambda name: (ages.get(name, 0), name))] = group
        else:
            founding.append(group)
    for group in founding:
        times = 0
        while (name := found(group[0], times)) in ids:
            times += 1
        ids[name] = group
    now = {each.key: name for name, group in ids.items() for each in group}
    superseded: dict[str, str | None] = {}
    for name in sorted(set(held.values()) - ids.keys()):
        heirs = Counter(now[key] for key, owner in held.items() if owner == name and key in now)
        superseded[name] = min(heirs, key=lambda heir: (-heirs[heir], heir)) if heirs else None
    return Assigned(ids, superseded)
