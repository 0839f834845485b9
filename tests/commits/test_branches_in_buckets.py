"""Branches of a lake in a bucket: as in a folder, from several machines; the bucket copies tables within itself."""

from __future__ import annotations

import pytest

from jobs.cli import main as petrel
from lakehouse.audit.verify import verify
from lakehouse.care.erase import erase
from lakehouse.care.maintain import maintain
from lakehouse.commits.branching import branch_list, delete_branch, make_branch
from lakehouse.commits.making import commit
from lakehouse.commits.naming import find_commit
from lakehouse.errors import VersionUnavailableError
from lakehouse.merging.comparing import compare
from lakehouse.merging.merge import conflicts_with, merge, revert
from lakehouse.query import fetch
from lakehouse.sql.contained import user_query
from lakehouse.verification.forked import ask_again
from tests.buckets.lakes import use
from tests.commits.test_branches import names
from tests.commits.test_commits import write
from tests.making import add_entities, add_opinions, entity_id, opinion, small_lake


@pytest.fixture
def address(bucket, tmp_path, monkeypatch):
    return use(bucket, tmp_path, monkeypatch)


@pytest.fixture
def machine(address, tmp_path):
    """Opens the lake, or a branch of it, with the copy of a machine that is named."""

    def opened(name, branch="main"):
        return small_lake(address, f'lake.copies="{tmp_path / name}"', f'lake.branch="{branch}"')

    return opened


def below(lake, folder):
    found = (each.name for each in lake.home.shared.files.list(folder))
    return [name for name in found if name.endswith(".parquet") and "_delta_log" not in name]


def test_writes_on_a_branch_and_on_main_do_not_meet_whichever_machine_makes_them(machine):
    with machine("here") as lake:
        write(lake, "ann")
        make_branch(lake, "one")
        assert below(lake, "_branches") == []
        write(lake, "main")
        with machine("there", "one") as there:
            assert names(there) == "a"
            with machine("here", "one") as one:
                write(one, "one")
                assert names(one) == "ao"
            write(there, "two")  # whose copy did not know yet that the branch has the table
            assert names(there) == "aot"
            make_branch(there, "two")
        with machine("here", "two") as two:
            write(two, "xenia")
            assert names(two) == "aotx"
            assert {each.kind for each in verify(two)} == set()
        assert names(lake) == "am"
        text = "select (select count(*) from silver.actors@one) as one, (select count(*) from silver.actors@two) as two"
        assert fetch(lake, text) == user_query(lake.home, text).to_pylist() == [{"one": 3, "two": 4}]
        assert [(each.name, each.tables) for each in branch_list(lake.home)][1:] == [("one", 1), ("two", 1)]


def test_two_machines_bring_their_branches_together(machine, address):
    with machine("here") as lake:
        add_entities(lake, ["a", "b"])
        add_opinions(lake, [opinion("a", "human:ann", "cat")])
        commit(lake, "first")
        make_branch(lake, "relabel")
    with machine("there", "relabel") as there:
        add_opinions(there, [opinion("b", "human:ann", "cat"), opinion("a", "human:bob", "cat")])
        commit(there, "a slip")
        add_opinions(there, [opinion("b", "human:cid", "cat")])
        commit(there, "cid's")
        revert(there, "HEAD")
    with machine("here") as lake:
        add_opinions(lake, [opinion("b", "human:ann", "cat"), opinion("a", "human:bob", "dog")])
        commit(lake, "ours")
        difference = compare(lake, find_commit(lake.home, "main"), find_commit(lake.home, "relabel"))
        assert difference.others["silver.opinions"].added.num_rows == 2
        assert [each.about["actor_id"] for each in conflicts_with(lake, "relabel") if each.kind == "opinion"] == [
            "human:bob"
        ]  # fmt: skip
        merge(lake, "relabel", policy="newest")
        assert fetch(lake, "select count(*) as n from silver.opinions") == [{"n": 4}]
        delete_branch(lake, "relabel")
        lake.clock.forward(days=400)
        assert maintain(lake).counts["branches_freed"] == 1
        assert below(lake, "_branches") == []
        ask_again(lake.home)
        with pytest.raises(VersionUnavailableError, match="no branch"), machine("there", "relabel"):
            pass
    assert petrel(["verify", "--lake", address]) == 1  # of objects, whose bytes nobody wrote in this test


def test_a_fork_that_was_killed_is_done_again_and_what_is_erased_leaves_every_branch(machine, monkeypatch):
    from loaders.stores.remote import RemoteFiles

    with machine("here") as lake:
        add_entities(lake, ["a", "b"])
        commit(lake, "first")
        make_branch(lake, "one")
        with machine("here", "one") as one:
            call, done = RemoteFiles.copy, []

            def killed(self, name, to):
                if len(done) == 2:
                    raise KeyboardInterrupt
                done.append(to)
                call(self, name, to)

            monkeypatch.setattr(RemoteFiles, "copy", killed)
            with pytest.raises(KeyboardInterrupt):
                add_entities(one, ["c"])
            monkeypatch.undo()
            with machine("there", "one") as there:
                assert fetch(there, "select count(*) as n from silver.entities") == [{"n": 2}]
                add_entities(there, ["c"])
            ask_again(one.home)
            assert fetch(one, "select count(*) as n from silver.entities") == [{"n": 3}]
        erase(lake, entities=[entity_id("a")], reason="asked")
        maintain(lake)
        with machine("there", "one") as there:
            assert fetch(there, "select count(*) as n from silver.entities") == [{"n": 2}]
            assert len(below(there, "_branches/2/tables/silver/entities")) == 2  # rewritten without it, and c's
