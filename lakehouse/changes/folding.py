"""What a virtual dataset holds: its changes one after the other, without those that were taken back. The pure part."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

REVERT = "revert"


@dataclass(frozen=True, slots=True)
class Change:
    """One row of gold.changesets, as far as it decides what is in.

    Attributes:
        number: From 1.
        op: add, drop or revert.
        reverts: Number that a revert takes back.
        entities_id: Set of entities that it names; None of a revert.
        tags: Its tags.
    """

    number: int
    op: str
    reverts: int | None = None
    entities_id: str | None = None
    tags: tuple[str, ...] = ()


def standing(changes: Iterable[Change]) -> list[Change]:
    """Return the changes that name entities and were not taken back, by number.

    A revert that is itself taken back takes nothing back.
    """
    gone: set[int] = set()
    for change in sorted(changes, key=lambda each: -each.number):
        if change.op == REVERT and change.number not in gone and change.reverts is not None:
            gone.add(change.reverts)
    return sorted(
        (each for each in changes if each.op != REVERT and each.number not in gone), key=lambda each: each.number
    )


def chosen(
    changes: Sequence[Change],
    *,
    only: Collection[int] = (),
    without: Collection[int] = (),
    tags: Collection[str] = (),
    upto: int = 0,
) -> list[Change]:
    """Return the standing changes among those that somebody chooses.

    Args:
        changes: All changes of a virtual dataset.
        only: Numbers of those that count; empty: all.
        without: Numbers of those that do not.
        tags: Those with any of these tags count; empty: all.
        upto: The last one that counts, reverts as well; 0: the newest.
    """
    known = [each for each in changes if not upto or each.number <= upto]
    return [
        each
        for each in standing(known)
        if (not only or each.number in only)
        and each.number not in without
        and (not tags or not set(tags).isdisjoint(each.tags))
    ]
