"""Leak groups as connected components, and where each has its place: pure functions over statements.

A component's place hangs on its *anchor*, its oldest member. New members, new keys and repeated statements never
change who is oldest, so nobody moves. Only two groups that both existed before and turn out to be one can: the
joined group then has the place of the older one, and `joins` names them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Statement(NamedTuple):
    """Something said that an entity belongs to a group; `first_version` is the entity's age, smaller is older."""

    entity_id: str
    value: str
    first_version: int


class Component(NamedTuple):
    """What an entity belongs to.

    Attributes:
        group_id: The smallest value, by code point, of the component: its name.
        anchor_id: Its oldest entity, of several equally old ones the smallest id: its place.
    """

    group_id: str
    anchor_id: str


class Join(NamedTuple):
    """Groups that existed apart and are one now.

    Attributes:
        groups: Names of what was apart, oldest first: values, or the id of an entity that had no value.
        links: (entity, its values) of those that hold two of them together; empty where only a chain of new ones does.
    """

    groups: tuple[str, ...]
    links: tuple[tuple[str, tuple[str, ...]], ...]


def components(stated: Iterable[Statement]) -> dict[str, Component]:
    """Return the component of every entity of which anything is stated.

    Pure, and the same for any order of the statements: two values of one entity connect everything of both.
    """
    parents: dict[str, str] = {}
    value_of: dict[str, str] = {}
    ages: dict[str, tuple[int, str]] = {}

    def root(value: str) -> str:
        while parents.setdefault(value, value) != value:
            parents[value] = parents[parents[value]]
            value = parents[value]
        return value

    for entity, value, first_version in stated:
        one, other = sorted((root(value), root(value_of.setdefault(entity, value))))
        parents[other] = one
        ages[entity] = (first_version, entity)
    oldest: dict[str, tuple[int, str]] = {}
    for entity, value in value_of.items():
        group = root(value)
        oldest[group] = min(oldest.get(group, ages[entity]), ages[entity])
    return {entity: Component(root(value), oldest[root(value)][1]) for entity, value in value_of.items()}


def joins(before: Iterable[Statement], after: Iterable[Statement], *, version: int) -> dict[str, Join]:
    """Return the joined components by anchor: those with several parts that existed apart before.

    Args:
        before: What was stated then.
        after: What is stated now: all of that, and more.
        version: The newest age that there was then; an entity without a statement was a group of its own.
    """
    old, new = list(before), list(after)
    was, are = components(old), components(new)
    part_of_value = {value: was[entity] for entity, value, _ in old}
    ages = {entity: (first_version, entity) for entity, _, first_version in new}
    touched: dict[str, set[Component]] = {}
    values: dict[str, set[str]] = {}
    for entity, value, first_version in new:
        values.setdefault(entity, set()).add(value)
        mine = touched.setdefault(entity, set())
        if first_version <= version:
            mine.add(was.get(entity, Component(entity, entity)))
        if value in part_of_value:
            mine.add(part_of_value[value])
    parts: dict[str, set[Component]] = {}
    links: dict[str, list[str]] = {}
    for entity, mine in touched.items():
        parts.setdefault(are[entity].anchor_id, set()).update(mine)
        if len(mine) > 1:
            links.setdefault(are[entity].anchor_id, []).append(entity)
    return {
        anchor: Join(
            tuple(each.group_id for each in sorted(found, key=lambda each: ages[each.anchor_id])),
            tuple((entity, tuple(sorted(values[entity]))) for entity in sorted(links.get(anchor, []))),
        )
        for anchor, found in parts.items()
        if len(found) > 1
    }
