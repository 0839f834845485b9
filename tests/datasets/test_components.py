"""Leak groups: whoever was placed stays there, whatever comes later, unless two old groups are truly one."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from lakehouse.datasets.placing.components import Component, Join, Statement, components, joins
from lakehouse.datasets.placing.grouping import STATED, grouped, sha256_of_rows
from lakehouse.datasets.placing.groups import digest_of_rows


def stated(*lines: str) -> list[Statement]:
    """Statements from lines like `1 a P Q`: entity a of age 1 has the values P and Q."""
    rows = []
    for line in lines:
        age, entity, *values = line.split()
        rows += [Statement(entity, value, int(age)) for value in values]
    return rows


def test_values_of_one_entity_join_everything_of_both():
    found = components(stated("1 a P", "1 b Q", "2 c P Q", "3 d R"))
    assert found == dict.fromkeys("abc", Component("P", "a")) | {"d": Component("R", "d")}


def test_the_place_is_that_of_the_oldest_and_the_name_the_smallest_value():
    assert components(stated("2 a P", "1 z Q P", "1 y P")) == dict.fromkeys("azy", Component("P", "y"))


def test_the_order_of_statements_does_not_matter():
    rows = stated("3 a P Q", "1 b Q R", "2 c S", "4 d S R", "5 e T", "6 f T U")
    for seed in range(50):
        assert components(random.Random(seed).sample(rows, len(rows))) == components(rows)


def test_a_key_that_sorts_before_all_others_moves_nobody():
    before = components(stated("1 a P", "1 b P"))
    after = components(stated("1 a P A", "1 b P", "2 c A"))
    assert {entity: after[entity].anchor_id for entity in before} == {"a": "a", "b": "a"}
    assert joins(stated("1 a P", "1 b P"), stated("1 a P A", "1 b P", "2 c A"), version=1) == {}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], ["1 a P", "2 b P"], {}),
        (["1 a P"], ["1 a P", "2 b P", "2 c P"], {}),
        (["1 a P", "1 b Q"], ["1 a P", "1 b Q P"], {"a": Join(("P", "Q"), (("b", ("P", "Q")),))}),
        (["1 a Q", "1 b P"], ["1 a Q", "1 b P", "2 c P Q"], {"a": Join(("Q", "P"), (("c", ("P", "Q")),))}),
        (["1 a P"], ["1 a P", "1 b P"], {"a": Join(("P", "b"), (("b", ("P",)),))}),
        ([], ["1 a P", "1 b P"], {"a": Join(("a", "b"), ())}),
        (["1 a P", "1 b Q"], ["1 a P", "1 b Q", "2 c P R", "2 d R Q"], {"a": Join(("P", "Q"), ())}),
    ],
    ids=["new and one old", "only new ones", "a new key of an old one", "a new one with two keys",
         "an old one without a key", "two old ones without", "a chain of new ones"],
)  # fmt: skip
def test_only_groups_that_both_existed_are_joined_and_are_named(before, after, expected):
    assert joins(stated(*before), stated(*after), version=1) == expected


def deliveries(seed: int, number: int) -> list[list[tuple[str, str | None]]]:
    """Deliveries of (entity, key or None): new files, the same again under the same, another or no key."""
    chance = random.Random(seed)
    found: list[list[tuple[str, str | None]]] = []
    for _ in range(number):
        drop = []
        for _ in range(chance.randint(1, 6)):
            entity = f"{chance.randrange(40):02}" if chance.random() < 0.4 else f"{chance.randrange(10**9):09}"
            drop.append((entity, None if chance.random() < 0.3 else f"K{chance.randrange(25)}"))
        found.append(drop)
    return found


def reachable(start: str, rows: list[Statement]) -> set[str]:
    """The model: walk from entity to value to entity until nothing is new."""
    seen, todo = set(), [start]
    while todo:
        entity = todo.pop()
        if entity not in seen:
            seen.add(entity)
            values = {row.value for row in rows if row.entity_id == entity}
            todo += [row.entity_id for row in rows if row.value in values]
    return seen


def test_over_ten_thousand_random_deliveries_nobody_moves_unless_two_old_groups_are_joined():
    moved = joined = delivered = 0
    for seed in range(1_250):
        ages: dict[str, int] = {}
        keys: dict[tuple[str, str], None] = {}
        before: list[Statement] = []
        for version, drop in enumerate(deliveries(seed, 8)):
            delivered += 1
            for entity, key in drop:
                ages.setdefault(entity, version)
                if key is not None:
                    keys[entity, key] = None
            after = [Statement(entity, key, ages[entity]) for entity, key in keys]
            was, now = components(before), components(after)
            found = joins(before, after, version=version - 1)
            for entity, age in ages.items():
                if age == version:
                    continue
                place = now[entity].anchor_id if entity in now else entity
                if place != (was[entity].anchor_id if entity in was else entity):
                    moved += 1
                    assert place in found
            for anchor in found:
                joined += 1
                old = {entity for entity in reachable(anchor, after) if ages[entity] < version}
                assert len({frozenset(reachable(entity, before)) for entity in old}) == len(found[anchor].groups) > 1
                assert anchor == min(old, key=lambda entity: (ages[entity], entity))
            before = after
    assert delivered == 10_000
    assert min(moved, joined) > 300  # the deliveries are such that it matters


@pytest.mark.parametrize("seed", range(20))
def test_columns_tell_the_same_components_as_statements_one_by_one(seed):
    random_ = random.Random(seed)
    ages = {f"e{number}": random_.randrange(4) for number in range(random_.randrange(1, 60))}
    values = ["é|\"\\", "\x01 ", "𝄞", "﹆", *(f"g{number}" for number in range(40))]
    rows = [
        Statement(entity, random_.choice(values), ages[entity])
        for entity in random_.sample(sorted(ages), len(ages)) for _ in range(random_.choice((1, 1, 1, 2)))
    ]  # fmt: skip
    expected = sorted((entity, *component) for entity, component in components(rows).items())
    found = grouped(pa.Table.from_pylist([row._asdict() for row in rows], schema=STATED))
    assert list(zip(*found.to_pydict().values(), strict=True)) == expected
    assert sha256_of_rows(found) == digest_of_rows(expected)
    assert sha256_of_rows(found.slice(0, 0)) == digest_of_rows([])
