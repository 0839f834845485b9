"""What an answer says that a format has no place for: told from the fields that the format does hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from lakehouse.opinions.formats.writer import Said
from lakehouse.opinions.reading.answer import Region

Loss = tuple[str, str]

TOLD = ("confidence", "probs", "votes", "event_time", "reason", "slot", "value_ref")
"""Fields of an answer whose loss is told; who said it, its id and its raw record are lost in every such format."""

OTHERS = (
    "region_id", "score", "angle", "part_sizes", "area", "t_start", "t_end", "frame_start", "frame_end", "channel",
    "char_start", "char_end", "track_id", "parent_region_id", "iscrowd",
)  # fmt: skip
"""Fields of a region whose loss is told; those of its geometry go with its kind."""


def lost_fields(said: Said, *, answer: Collection[str] = (), region: Collection[str] = ()) -> Iterator[Loss]:
    """Yield one loss for each field of an answer and of its regions that says something and has no place.

    Args:
        said: The answer.
        answer: Fields of an answer that the format holds.
        region: Fields of a region that it holds.
    """
    found = said.answer
    for name in TOLD:
        value = getattr(found, name)
        if name not in answer and value not in (None, "", {}, ()) and not (name == "votes" and value == 1):
            yield name, f"{said.subject.name}: {name} = {value}"
    for each in said.regions:
        for name in OTHERS:
            value = getattr(each, name)
            # A score, a time or a frame of 0 says something.
            says = value is not None and value is not False
            if name not in region and says and not (name == "area" and _is_plain_area(each)):
                yield name, f"{said.subject.name}: {name} = {value} of a {each.kind}"


def other_kinds(said: Said, kinds: Collection[str]) -> Iterator[Loss]:
    """Yield one loss for each region of a kind that the format does not hold."""
    for each in said.regions:
        if each.kind not in kinds:
            yield each.kind, f"{said.subject.name}: a {each.kind} is no {' and no '.join(kinds)}"


def lost_attributes(said: Said, held: Collection[str]) -> Iterable[Loss]:
    """Yield one loss for each attribute of a region that the format does not hold."""
    for each in said.regions:
        for name, value in (each.attrs or {}).items():
            if name not in held:
                yield "attrs", f"{said.subject.name}: {name} = {value} of a {each.kind}"


def _is_plain_area(region: Region) -> bool:
    # The area of a box that anybody can work out is no loss.
    return region.kind == "box" and region.area == (region.w or 0) * (region.h or 0)
