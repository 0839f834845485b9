"""Histories by lot: what each branch has is what a model of plain sets says, and merges are as sets unite."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.stateful import run_state_machine_as_test

from lakehouse.commits.branching import make_branch
from lakehouse.commits.making import commit
from lakehouse.commits.naming import newest_commit
from lakehouse.errors import ConfigError
from lakehouse.merging.merge import merge
from lakehouse.tables.insert import insert_rows
from lakehouse.verification.places import line_home
from schemas.tables import OPINIONS
from tests.commits.histories import ANSWERS, Histories, conflicts, said
from tests.lanes import examples
from tests.making import opinion, small_lake

SAID = st.lists(ANSWERS, min_size=1, max_size=3)


def test_branches_have_what_a_model_of_sets_has():
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=examples(4, long=500), stateful_step_count=examples(8, long=12), deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


def parted(main, *sides):
    """Branches that begin at main's newest commit, each with answers of its own."""
    lakes = [main.on(line_home(main.home, make_branch(main, f"side{number}").line)) for number in range(len(sides))]
    for lake, answers in zip(lakes, sides, strict=True):
        insert_rows(lake, OPINIONS, [opinion(*each[1:]) for each in answers], step="say")
        commit(lake, "said")
    return lakes


def again(lake, name):
    """A branch that begins at the newest commit of another."""
    return lake.on(line_home(lake.home, make_branch(lake, name).line))


def content(lake):
    return {name: each.digest for name, each in newest_commit(lake.home).tables.items()}


@settings(max_examples=examples(2, long=50), deadline=None)
@given(one=SAID, other=SAID)
def test_a_merge_that_keeps_both_sides_is_commutative_and_idempotent(one, other):
    with tempfile.TemporaryDirectory() as folder, small_lake(Path(folder) / "lake") as main:
        commit(main, "first")
        a, b = parted(main, one, other)
        ab, ba = again(a, "ab"), again(b, "ba")
        merge(ab, "side1", policy="newest")
        merge(ba, "side0", policy="newest")
        assert said(ab) == said(ba) == frozenset(one) | frozenset(other)
        assert content(ab) == content(ba)
        whole = newest_commit(ab.home)
        for name in ("side0", "side1"):
            merge(ab, name, policy="fail")
        assert newest_commit(ab.home) == whole
        assert merge(ab, "ba").counts["come"] == 0
        assert content(ab) == content(ba)


@settings(max_examples=examples(2, long=50), deadline=None)
@given(one=SAID, two=SAID, three=SAID)
def test_merges_of_what_does_not_conflict_are_associative(one, two, three):
    sides = [frozenset(each) for each in (one, two, three)]
    assume(not any(conflicts(sides[a], sides[b])[0] for a, b in ((0, 1), (0, 2), (1, 2))))
    with tempfile.TemporaryDirectory() as folder, small_lake(Path(folder) / "lake") as main:
        commit(main, "first")
        a, b, _ = parted(main, *sides)
        left, right, inner = again(a, "left"), again(a, "right"), again(b, "inner")
        merge(left, "side1")
        merge(left, "side2")
        merge(inner, "side2")
        merge(right, "inner")
        assert said(left) == said(right) == sides[0] | sides[1] | sides[2]
        assert content(left) == content(right)


def test_what_the_model_leaves_out_is_refused(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        commit(lake, "first")
        make_branch(lake, "one")
        with pytest.raises(ConfigError, match="is the branch that is open"):
            merge(lake, "main")
