"""Histories by lot of a lake's branches, beside a model of them in plain sets.

The model knows commits as (what it has, its parents, its ordinal) and each branch as what it has now. An event is
(op, name, actor, label): an answer, or what a merge wrote to take that answer back.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lakehouse.care.maintain import maintain
from lakehouse.commits.branching import delete_branch, make_branch
from lakehouse.commits.history import common_ancestor
from lakehouse.commits.making import commit
from lakehouse.commits.manifest import read_commit
from lakehouse.commits.naming import find_commit, newest_commit
from lakehouse.config import load_config
from lakehouse.errors import CheckFailedError, ConfigError
from lakehouse.merging.comparing import compare
from lakehouse.merging.conflicts import MergeConflictError
from lakehouse.merging.merge import conflicts_with, merge, revert
from lakehouse.opening import open_lake
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from lakehouse.verification.places import line_home
from schemas.tables import OPINIONS
from tests.making import Clock, begin_lake, entity_id, opinion

NAMES = {entity_id(name): name for name in "abc"}
ANSWERS = st.tuples(
    st.just("assert"), st.sampled_from("abc"), st.sampled_from(("human:ann", "human:bob")),
    st.sampled_from(("cat", "dog")),
)  # fmt: skip
POLICIES = st.sampled_from(("fail", "ours", "theirs", "newest"))
MOST = 4
"""Branches beside main."""

Event = tuple[str, str, str, str]
Events = frozenset[Event]


def said(lake) -> Events:
    """What a branch has, as the lake tells it."""
    text = (
        "select o.op, o.subject_id, o.actor_id, coalesce(o.label, t.label) as label from silver.opinions o "
        "left join silver.opinions t on t.opinion_id = o.target_opinion_id"
    )
    return frozenset((row["op"], NAMES[row["subject_id"]], row["actor_id"], row["label"]) for row in fetch(lake, text))


@dataclass
class Model:
    """What commits and branches have, and how commits hang together."""

    commits: dict[str, Events] = field(default_factory=dict)
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ordinals: dict[str, int] = field(default_factory=dict)
    now: dict[str, Events] = field(default_factory=dict)

    def before(self, commit_id: str) -> set[str]:
        """A commit and all before it."""
        found, waiting = set(), [commit_id]
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting += self.parents[each]
        return found

    def bases(self, one: str, other: str) -> set[str]:
        """The newest commits that both come from: several that are as new after merges across."""
        both = self.before(one) & self.before(other)
        newest = max(self.ordinals[each] for each in both)
        return {each for each in both if self.ordinals[each] == newest}


def standing(events: Events) -> Events:
    """Answers that no event among them takes back."""
    return frozenset(each for each in events if each[0] == "assert" and ("retract", *each[1:]) not in events)


def conflicts(mine: Events, their: Events) -> tuple[Events, Events]:
    """Answers of each side that the same actor gave otherwise on the other; of what came since they parted."""
    sides = []
    for events in (mine, their):
        by: dict[tuple[str, str], set[str]] = {}
        for _, name, actor, label in standing(events):
            by.setdefault((name, actor), set()).add(label)
        sides.append(by)
    apart = {each for each in sides[0].keys() & sides[1].keys() if sides[0][each] != sides[1][each]}
    one, other = (frozenset(each for each in standing(side) if each[1:3] in apart) for side in (mine, their))
    return one, other


def hanging(events: Events, going: Events) -> bool:
    """Whether something that stays takes back an answer that goes."""
    return any(each[0] == "retract" and ("assert", *each[1:]) in going for each in events - going)


class Histories(RuleBasedStateMachine):
    """Commit, branch, write, merge, revert and delete, in any order."""

    engine = "embedded"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="petrel-histories-"))
        begin_lake(self.folder / "lake")
        self.clock = Clock()
        overrides = [f'lake.root="{self.folder / "lake"}"', "engine.workers=1", "engine.driver_mb=0"]
        self.opened = open_lake(load_config(overrides=overrides, environ={}), engine=self.engine, clock=self.clock)
        self.main = self.opened.__enter__()
        self.model = Model()
        self.lakes = {"main": self.main}
        self.made = 0

    def teardown(self) -> None:
        """Close the lake and remove it."""
        self.opened.__exit__(None, None, None)
        shutil.rmtree(self.folder, ignore_errors=True)

    @initialize()
    def first(self) -> None:
        """A lake has one commit."""
        commit(self.main, "first")
        self.model.now["main"] = frozenset()
        self.learn("main", frozenset())

    def lot(self, number: int) -> str:
        """A branch by lot."""
        return sorted(self.lakes)[number % len(self.lakes)]

    def learn(self, name: str, before: Events) -> None:
        """Have the model know new commits of a branch: the newest has what it has now, one before what it had."""
        waiting = [(newest_commit(self.lakes[name].home), self.model.now[name])]
        while waiting:
            found, events = waiting.pop()
            if found.commit_id not in self.model.commits:
                self.model.commits[found.commit_id] = events
                self.model.parents[found.commit_id] = found.parents
                self.model.ordinals[found.commit_id] = found.ordinal
                waiting += [(read_commit(self.main.home, each), before) for each in found.parents[:1]]

    @rule(number=st.integers(0, 9), events=st.lists(ANSWERS, min_size=1, max_size=3), committed=st.booleans())
    def write(self, number, events, committed):
        """Somebody answers."""
        name = self.lot(number)
        lake = self.lakes[name]
        self.clock.forward(minutes=1)
        insert_rows(lake, OPINIONS, [opinion(*each[1:]) for each in events], step="say")
        self.model.now[name] |= frozenset(events)
        if committed:
            commit(lake, f"said {len(events)}")
            self.learn(name, self.model.now[name])

    @rule(number=st.integers(0, 9))
    def commit(self, number):
        """What is not committed yet is."""
        name = self.lot(number)
        commit(self.lakes[name], "asked for")
        self.learn(name, self.model.now[name])

    @precondition(lambda self: len(self.lakes) <= MOST)
    @rule(number=st.integers(0, 9), back=st.integers(0, 3))
    def branch(self, number, back):
        """A branch begins at what another has now, or at one of the commits before."""
        origin = self.lot(number)
        at, found = "HEAD", None
        for _ in range(back):
            found = found or newest_commit(self.lakes[origin].home)
            found = read_commit(self.main.home, found.parents[0]) if found.parents else found
            at = found.commit_id
        self.made += 1
        name = f"b{self.made}"
        made = make_branch(self.lakes[origin], name, at)
        self.lakes[name] = self.main.on(line_home(self.main.home, made.line))
        self.learn(origin, self.model.now[origin])
        self.model.now[name] = self.model.commits[made.began_at]

    @precondition(lambda self: len(self.lakes) > 1)
    @rule(number=st.integers(0, 9))
    def delete(self, number):
        """A branch is deleted if main has all of it, else only by who says so."""
        name = sorted(set(self.lakes) - {"main"})[number % (len(self.lakes) - 1)]
        newest = newest_commit(self.lakes[name].home).commit_id
        in_main = newest in self.model.before(newest_commit(self.main.home).commit_id)
        # What a branch wrote and took back again is no row of it, but its tables are others than those of its commit.
        if not in_main or self.model.commits[newest] != self.model.now[name]:
            with pytest.raises(ConfigError, match="merge it"):
                delete_branch(self.main, name)
            delete_branch(self.main, name, unmerged=True)
        else:
            delete_branch(self.main, name)
        with pytest.raises(ConfigError):
            find_commit(self.main.home, name)
        del self.lakes[name], self.model.now[name]

    @rule()
    def maintain(self):
        """Files are put together, and those that nothing needs go: a year later, nothing is to be missed."""
        self.clock.forward(days=400)
        maintain(self.main, few=0)

    @rule(number=st.integers(0, 9), back=st.integers(0, 3))
    def revert(self, number, back):
        """A commit of a branch is taken back, unless something stands on it."""
        name = self.lot(number)
        lake, mine = self.lakes[name], self.model.now[name]
        taken = newest_commit(lake.home)
        for _ in range(back):
            taken = read_commit(lake.home, taken.parents[0]) if taken.parents else taken
        if not taken.parents:
            with pytest.raises(ConfigError, match="it is the first"):
                revert(lake, taken.commit_id)
            self.learn(name, mine)
            return
        was, had = (self.model.commits[each] for each in (taken.parents[0], taken.commit_id))
        if hanging(mine, had - was):
            with pytest.raises(CheckFailedError, match="stand on rows"):
                revert(lake, taken.commit_id)
        else:
            revert(lake, taken.commit_id)
            self.model.now[name] = (mine - (had - was)) | (was - had)
        self.learn(name, mine)

    @precondition(lambda self: len(self.lakes) > 1)
    @rule(numbers=st.tuples(st.integers(0, 9), st.integers(0, 9)), policy=POLICIES)
    def merge(self, numbers, policy):
        """Two branches come together: conflicts are listed exactly, and twice is once."""
        name, other = (self.lot(each) for each in numbers)
        if name == other:
            return
        lake, mine, their = self.lakes[name], self.model.now[name], self.model.now[other]
        listed = {self.told(row) for each in conflicts_with(lake, other) for row in each.theirs}
        for each in (name, other):
            commit(self.lakes[each], "before the merge")
            self.learn(each, self.model.now[each])
        ours, theirs = newest_commit(lake.home).commit_id, newest_commit(self.lakes[other].home).commit_id
        base_id = common_ancestor(lake.home, read_commit(lake.home, ours), read_commit(lake.home, theirs)).commit_id
        assert base_id in self.model.bases(ours, theirs)
        if theirs in self.model.before(ours):
            assert merge(lake, other).counts == {"come": 0, "gone": 0, "conflicts": 0, "left_out": 0}
            return
        base = self.model.commits[base_id]
        one, two = conflicts(mine - base, their - base)
        assert listed == two
        difference = compare(lake, read_commit(lake.home, ours), read_commit(lake.home, theirs))
        changed = [(each[OPINIONS.name].added.num_rows, each[OPINIONS.name].removed.num_rows)
                   if OPINIONS.name in each else (0, 0) for each in (difference.ones, difference.others)]  # fmt: skip
        assert changed == [(len(side - base), len(base - side)) for side in (mine, their)]
        if two and policy == "fail":
            with pytest.raises(MergeConflictError) as error:
                merge(lake, other)
            assert {self.told(row) for each in error.value.conflicts for row in each.theirs} == two
            assert said(lake) == mine
            policy = "newest"
        if hanging(mine, base - their):
            with pytest.raises(CheckFailedError, match="stand on rows"):
                merge(lake, other, policy=policy)
            return
        merge(lake, other, policy=policy)
        come = their - base
        if policy == "ours":
            come -= two | {("retract", *each[1:]) for each in two}
        if policy == "theirs":
            come |= {("retract", *each[1:]) for each in one}
        self.model.now[name] = (mine - (base - their)) | come
        self.learn(name, mine)
        whole = newest_commit(lake.home)
        merge(lake, other, policy=policy)
        assert newest_commit(lake.home) == whole

    @staticmethod
    def told(row) -> Event:
        """The event of a row of a conflict."""
        return "assert", NAMES[row["subject_id"]], row["actor_id"], row["label"]

    @invariant()
    def branches_have_what_the_model_has(self):
        """Each branch has what the model says, and its newest commit is read as the model knows it."""
        for name, lake in self.lakes.items():
            assert said(lake) == self.model.now.get(name, frozenset()), name
            if name in self.model.now:
                at = f"select count(*) as n from silver.opinions@{name}"
                committed = self.model.commits[newest_commit(lake.home).commit_id]
                assert fetch(self.main, at) == [{"n": len(committed)}], name
