"""Commits of a whole lake: made by steps and by hand, named, read, and never written to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakehouse.commits.history import before
from lakehouse.commits.making import commit
from lakehouse.commits.naming import find_commit
from lakehouse.commits.tagging import tag_commit
from lakehouse.errors import ConfigError, ReadOnlyCommitError, VersionUnavailableError
from lakehouse.query import fetch
from lakehouse.reading.tables import read_table
from lakehouse.sql.contained import user_query
from lakehouse.steps.step import step
from lakehouse.tables.insert import insert_rows
from schemas.tables import ACTORS
from tests.making import START, Clock, add_entities, small_lake


def actors(*names):
    return [{"actor_id": f"human:{name}", "kind": "human", "name": name} for name in names]


def write(lake, *names):
    with step(lake, "test") as record:
        record.writes.append(insert_rows(lake, ACTORS, actors(*names), step="test"))


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A lake to which ann came, then (an hour later) bob, and then cid without a step."""
    root, clock = tmp_path_factory.mktemp("told") / "lake", Clock()
    with small_lake(root, clock=clock) as lake:
        write(lake, "ann")
        tag_commit(lake, "first")
        clock.forward(hours=1)
        write(lake, "bob")
        insert_rows(lake, ACTORS, actors("cid"), step="test")
        yield lake


def test_steps_commit_what_they_changed_and_nothing_else(told):
    with step(told, "idle"):
        pass
    assert [each.message for each in before(told.home, find_commit(told.home, "HEAD"))] == [
        "test: 1 silver.actors", "test: 1 silver.actors"
    ]  # fmt: skip


def test_a_table_is_read_as_commit_tag_branch_and_time_have_it(told):
    short = find_commit(told.home, "first").commit_id[:6]
    names = ("first", short, "{2026-01-01T00:30}", "HEAD~1", "main", "{2026-01-01}")
    assert [read_table(told, f"silver.actors@{name}").num_rows for name in names] == [1, 1, 1, 1, 2, 2]
    joined = "select count(*) as n from silver.actors anti join silver.actors@first using (actor_id)"
    assert fetch(told, joined) == [{"n": 2}]
    assert user_query(told.home, joined).to_pylist() == [{"n": 2}]


def test_views_and_their_columns_are_read_at_a_commit_too(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        with step(lake, "test") as record:
            record.counts["n"] = 0
        add_entities(lake, ["a"])
        commit(lake, "one")
        add_entities(lake, ["b"])
        text = "select count(*) as n from entities_wide@HEAD where entities_wide.size_bytes > 0 -- @nobody"
        assert fetch(lake, text) == [{"n": 1}]
        assert user_query(lake.home, text).to_pylist() == [{"n": 1}]
        told = user_query(lake.home, "select '@x' as x, count(*) as n from entities")
        assert told.to_pylist() == [{"x": "@x", "n": 2}]


@pytest.mark.parametrize(("name", "error", "words"), [
    ("firts", ConfigError, "did you mean `first`"), ("{yesterday}", ConfigError, "is no time"),
    ("{2020-01-01}", VersionUnavailableError, "the first commit"), ("HEAD~9", VersionUnavailableError, "not so many"),
    ("aaaaaaaa", ConfigError, "no commit, tag or branch"),
])  # fmt: skip
def test_a_name_of_nothing_is_an_error_that_helps(told, name, error, words):
    with pytest.raises(error, match=words):
        find_commit(told.home, name)


def test_committing_by_hand_takes_all_there_is_and_twice_is_once(tmp_path):
    with small_lake(tmp_path / "lake", 'lake.author="Ada"') as lake:
        write(lake, "ann")
        insert_rows(lake, ACTORS, actors("bob"), step="test")
        first = commit(lake, "both")
        assert (first.author, first.tables["silver.actors"].rows, first.step) == ("Ada", 2, "")
        assert commit(lake, "again") == first
        with pytest.raises(ConfigError, match="there is one of this name"):
            [tag_commit(lake, "x") for _ in range(2)]
        with pytest.raises(ConfigError, match="expected a letter"):
            tag_commit(lake, "abcdef12")


def test_a_lake_as_a_commit_has_it_is_read_and_not_written(told):
    root = told.home.folder
    with small_lake(root, 'lake.branch="@first"') as lake:
        assert fetch(lake, "select name from silver.actors") == [{"name": "ann"}]
        with pytest.raises(ReadOnlyCommitError, match="make a branch"):
            write(lake, "dan")
        with pytest.raises(ReadOnlyCommitError):
            insert_rows(lake, ACTORS, actors("dan"), step="test")
    assert find_commit(told.home, "first").made_at == START.astimezone(UTC).isoformat() == datetime(
        2026, 1, 1, tzinfo=UTC
    ).isoformat()  # fmt: skip
