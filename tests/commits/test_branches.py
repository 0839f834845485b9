"""Branches: isolated writes without a copy, on plain tables that every reader knows."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

import lakehouse as lh
from jobs.cli import main as petrel
from lakehouse.care.erase import erase
from lakehouse.care.maintain import maintain
from lakehouse.care.orphans import listed_objects, orphan_objects
from lakehouse.commits.branching import branch_list, delete_branch, make_branch
from lakehouse.commits.making import commit
from lakehouse.commits.naming import find_commit
from lakehouse.commits.tagging import tag_commit
from lakehouse.errors import ConfigError, TableError, VersionUnavailableError
from lakehouse.query import fetch
from lakehouse.sql.contained import user_query
from lakehouse.steps.step import step
from lakehouse.tables.insert import insert_rows
from lakehouse.verification.places import line_home
from schemas.tables import ACTORS
from tests.commits.test_commits import actors, write
from tests.ingestion.files import png, put, source
from tests.making import add_entities, add_opinions, entity_id, opinion, small_lake

NAMES = "select name from silver.actors order by name"


def names(lake):
    return "".join(row["name"][0] for row in fetch(lake, NAMES))


def branch(root, name):
    return small_lake(root, f'lake.branch="{name}"')


def test_writes_on_a_branch_and_on_main_do_not_meet(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        write(lake, "ann", "bob")
        make_branch(lake, "one")
        assert not list((root / "_branches/2").rglob("*.parquet"))
        write(lake, "main")
        with branch(root, "one") as one:
            assert names(one) == "ab"
            write(one, "one")
            make_branch(one, "two")
            write(one, "uno")
            assert names(one) == "abou"
        with branch(root, "two") as two:
            assert names(two) == "abo"
            write(two, "two")
            assert names(two) == "abot"
        assert names(lake) == "abm"
        text = (
            "select (select count(*) from silver.actors) as main, (select count(*) from silver.actors@one) as one, "
            "(select count(*) from silver.actors@two) as two, (select count(*) from silver.actors@two~1) as before"
        )
        assert fetch(lake, text) == user_query(lake.home, text).to_pylist() == [
            {"main": 3, "one": 4, "two": 4, "before": 3}
        ]  # fmt: skip
        assert [each.name for each in branch_list(lake.home)] == ["main", "one", "two"]
        for name in ("main", "one", "two"):
            assert petrel(["verify", "--lake", str(root), "--branch", name, "--deep"]) == 0


def test_a_fork_that_was_killed_is_done_again(tmp_path, monkeypatch):
    from lakehouse.tables import fork

    root = tmp_path / "lake"
    with small_lake(root) as lake:
        write(lake, "ann")
        make_branch(lake, "one")
    linked = []

    def killed(source, target):
        if len(linked) == 2:
            raise KeyboardInterrupt
        linked.append(target)
        target.hardlink_to(source)
        return True

    with branch(root, "one") as one:
        monkeypatch.setattr(fork, "_link", killed)
        with pytest.raises(KeyboardInterrupt):
            write(one, "two")
        monkeypatch.undo()
        assert names(one) == "a"
        write(one, "two")
        assert names(one) == "at"


def test_maintain_keeps_what_a_branch_or_a_tag_needs_and_frees_what_only_a_deleted_branch_had(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        write(lake, "ann")
        write(lake, "bob")
        make_branch(lake, "one")
        with branch(root, "one") as one:
            write(one, "one")
            tag_commit(one, "kept")
        write(lake, "cid")
        lake.clock.forward(days=400)
        maintain(lake, few=0)
        lake.clock.forward(days=400)
        maintain(lake, few=0)
        with branch(root, "one") as one:
            assert names(one) == "abo"
        assert names(lake) == "abc"
        with pytest.raises(ConfigError, match="merge it"):
            delete_branch(lake, "one")
        delete_branch(lake, "one", unmerged=True)
        lake.clock.forward(days=400)
        maintain(lake)
        assert fetch(lake, "select count(*) as n from silver.actors@kept") == [{"n": 3}]
        assert petrel(["tag", "--delete", "kept", "--lake", str(root)]) == 0
        assert maintain(lake).counts["branches_freed"] == 1
        assert not list((root / "_branches").glob("*/tables"))
        with pytest.raises(VersionUnavailableError, match="no branch"), branch(root, "one"):
            pass
        make_branch(lake, "three")
        assert {each.line for each in branch_list(lake.home)} == {1, 3}  # a number is never given twice


def test_branches_begin_at_what_a_lake_has_and_at_old_commits(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        write(lake, "ann")
        insert_rows(lake, ACTORS, actors("bob"), step="test")
        make_branch(lake, "now")
        make_branch(lake, "old", "HEAD~1")
        assert find_commit(lake.home, "now").message == "what was not committed yet"
        for name, expected in (("now", "ab"), ("old", "a")):
            with branch(root, name) as there:
                assert names(there) == expected
        for name in ("now", "main", "no name", "abcdef"):
            with pytest.raises(ConfigError):
                make_branch(lake, name)


def test_erasing_takes_rows_from_every_branch_and_maintain_their_files(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        with step(lake, "test") as record:
            add_entities(lake, ["a", "b"])
            record.counts["entities"] = 2
        make_branch(lake, "one")
        make_branch(lake, "two")
        with branch(root, "one") as one:
            add_opinions(one, [opinion("a", "human:ann", "cat")])
            done = erase(lake, entities=[entity_id("a")], reason="asked")
            assert {note.rule for note in done.notes} >= {"branch one", "branch two"}
            left = "select (select count(*) from silver.entities) as e, (select count(*) from silver.opinions) as o"
            assert fetch(one, left) == [{"e": 1, "o": 0}]
        with branch(root, "two") as two:
            assert fetch(two, left) == [{"e": 1, "o": 0}]
        maintain(lake)
        files = {each.name for each in (root / "_branches").rglob("silver/entities/*.parquet")}
        assert len(files) == 2  # one each, without the row


def test_erasing_takes_receipts_that_name_a_file_from_every_branch(tmp_path):
    root, drop = tmp_path / "lake", tmp_path / "drop"
    with small_lake(root) as lake:
        put(drop, "ann-smith.png", png(1))
        lh.land(lake, source(drop))
        lh.entities(lake)
        commit(lake, "landed")
        make_branch(lake, "one")
        with branch(root, "one") as one:
            one.files.put("_runs/x.json", b'{"notes": ["ann-smith.png has no label"]}')
            one.files.put("_runs/y.json", b'{"notes": ["another has none"]}')
        ids = [row["entity_id"] for row in fetch(lake, "select entity_id from silver.entities")]
        erase(lake, entities=ids, reason="asked")
        with branch(root, "one") as one:
            left = {each.name for each in one.files.list("_runs")}
        assert "_runs/y.json" in left
        assert "_runs/x.json" not in left


def test_an_object_that_only_a_branch_or_a_tag_names_is_no_orphan(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        write(lake, "ann")
        make_branch(lake, "one")
        with branch(root, "one") as one:
            add_entities(one, ["a"])
            one.files.put(f"objects/{entity_id('a')[:2]}/{entity_id('a')}", b"a")
            one.files.put(f"objects/{entity_id('b')[:2]}/{entity_id('b')}", b"b")

        def orphans():
            listed = listed_objects(lake.home)
            return [each.name[-64:] for each in orphan_objects(lake, listed, before=datetime.now(UTC))]

        assert orphans() == [entity_id("b")]
        tag_commit(lake, "kept", commit(lake.on(line_home(lake.home, 2)), "with a").commit_id)
        delete_branch(lake, "one", unmerged=True)
        assert orphans() == [entity_id("b")]
        assert petrel(["tag", "--delete", "kept", "--lake", str(root)]) == 0
        assert sorted(orphans()) == sorted([entity_id("a"), entity_id("b")])


def test_a_branch_whose_first_write_misses_a_file_says_which(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        write(lake, "ann")
        make_branch(lake, "one")
        with branch(root, "one") as one:
            write(lake, "bob")
            assert names(one) == "a"  # verified: what goes now is missed by nobody before the links are made
            lost = [each for each in (root / "tables/silver/actors").glob("*.parquet")]
            for each in lost:
                each.rename(each.with_suffix(".lost"))
            with pytest.raises(TableError, match=r"silver\.actors: .*parquet.*branch one begins with it"):
                write(one, "two")
            for each in lost:
                each.with_suffix(".lost").rename(each)
            write(one, "two")
            assert names(one) == "at"


def test_a_first_write_to_a_branch_that_is_freed_meanwhile_says_so(tmp_path, monkeypatch):
    from lakehouse.tables import fork

    root = tmp_path / "lake"
    with small_lake(root) as lake:
        write(lake, "ann")
        make_branch(lake, "one")
        with branch(root, "one") as one:
            call = fork._link

            def freed(source, target):
                shutil.rmtree(root / "_branches/2", ignore_errors=True)
                return call(source, target)

            monkeypatch.setattr(fork, "_link", freed)
            with pytest.raises(VersionUnavailableError, match="branch one .* was deleted"):
                write(one, "two")
