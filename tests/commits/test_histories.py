"""Histories by lot of two branches and main: what each has is what a model of plain sets says it has."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from lakehouse.commits.branching import make_branch
from lakehouse.commits.history import common_ancestor
from lakehouse.commits.making import commit
from lakehouse.commits.naming import find_commit, newest_commit
from lakehouse.errors import ConfigError
from lakehouse.merging.conflicts import MergeConflictError
from lakehouse.merging.merge import conflicts_with, merge, revert
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from lakehouse.verification.places import line_home
from schemas.tables import OPINIONS
from tests.lanes import examples
from tests.making import opinion, small_lake

BRANCHES = ("main", "one", "two")
ABOUT = st.tuples(st.sampled_from("ab"), st.sampled_from(("human:ann", "human:bob")), st.sampled_from(("cat", "dog")))
POLICIES = st.sampled_from(("fail", "ours", "newest"))
STEPS = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(BRANCHES), st.lists(ABOUT, min_size=1, max_size=2)),
    st.tuples(st.just("merge"), st.sampled_from(BRANCHES), st.tuples(st.sampled_from(BRANCHES), POLICIES)),
    st.tuples(st.just("revert"), st.sampled_from(BRANCHES), st.integers(0, 3)),
)

Event = tuple[str, str, str]


@dataclass
class Model:
    """Commit -> the events that it has, and branch -> those it has now; an event is (name, actor, label)."""

    commits: dict[str, frozenset[Event]] = field(default_factory=dict)
    now: dict[str, frozenset[Event]] = field(default_factory=lambda: dict.fromkeys(BRANCHES, frozenset()))

    def conflicts(self, ours: frozenset[Event], theirs: frozenset[Event], base: frozenset[Event]) -> set[Event]:
        """Events of theirs that the same actor said otherwise on our side, both since `base`."""
        sides: list[dict[tuple[str, str], set[str]]] = [{}, {}]
        for said, side in zip((ours - base, theirs - base), sides, strict=True):
            for name, actor, label in said:
                side.setdefault((name, actor), set()).add(label)
        apart = {each for each in sides[0].keys() & sides[1].keys() if sides[0][each] != sides[1][each]}
        return {event for event in theirs - base if event[:2] in apart}


def said(lake) -> frozenset[Event]:
    text = "select subject_id, actor_id, label from silver.opinions"
    names = {opinion(name, "human:x", "x")["subject_id"]: name for name in "ab"}
    return frozenset((names[row["subject_id"]], row["actor_id"], row["label"]) for row in fetch(lake, text))


@settings(max_examples=examples(2, long=500), deadline=None)
@given(history=st.lists(STEPS, min_size=3, max_size=7))
def test_branches_have_what_a_model_of_sets_has(history):
    model = Model()
    with tempfile.TemporaryDirectory() as folder, small_lake(Path(folder) / "lake") as main:
        first = commit(main, "first")
        model.commits[first.commit_id] = frozenset()
        lakes = {"main": main}
        for name in BRANCHES[1:]:
            lakes[name] = main.on(line_home(main.home, make_branch(main, name).line))
        for number, (verb, name, what) in enumerate(history):
            main.clock.forward(minutes=1)
            apply(model, lakes, verb, name, what, number)
            for each, lake in lakes.items():
                assert said(lake) == model.now[each], (verb, name, what)
                model.commits.setdefault(newest_commit(lake.home).commit_id, model.now[each])


def apply(model, lakes, verb, name, what, number):
    lake = lakes[name]
    if verb == "say":
        insert_rows(lake, OPINIONS, [opinion(*each) for each in what], step="say")
        model.now[name] |= set(what)
        commit(lake, f"say {number}")
    elif verb == "revert":
        taken = newest_commit(lake.home)
        for _ in range(what):
            taken = find_commit(lake.home, taken.parents[0]) if taken.parents else taken
        if not taken.parents:
            return
        was, had = (model.commits[each] for each in (taken.parents[0], taken.commit_id))
        model.now[name] = (model.now[name] - (had - was)) | (was - had)
        revert(lake, taken.commit_id)
    elif what[0] != name:
        other, policy = what
        merged(model, lake, name, other, policy)
        whole = newest_commit(lake.home).tables
        merge(lake, other, policy=policy)  # twice is once
        assert newest_commit(lake.home).tables == whole


def merged(model, lake, name, other, policy):
    ours, theirs = newest_commit(lake.home), find_commit(lake.home, other)
    base = model.commits[common_ancestor(lake.home, ours, theirs).commit_id]
    mine, their = model.now[name], model.now[other]
    conflicts = model.conflicts(mine, their, base)
    listed = {event for each in conflicts_with(lake, other) for event in told(each)}
    assert listed == conflicts
    if conflicts and policy == "fail":
        try:
            merge(lake, other)
        except MergeConflictError:
            policy = "newest"
        else:
            raise AssertionError("a conflict was merged")
    merge(lake, other, policy=policy)
    come = their - base - (conflicts if policy == "ours" else set())
    model.now[name] = (mine - (base - their)) | come


def told(conflict):
    names = {opinion(name, "human:x", "x")["subject_id"]: name for name in "ab"}
    return [(names[row["subject_id"]], row["actor_id"], row["label"]) for row in conflict.theirs]


def test_what_the_model_leaves_out_is_refused(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        commit(lake, "first")
        make_branch(lake, "one")
        with pytest.raises(ConfigError, match="is the branch that is open"):
            merge(lake, "main")
