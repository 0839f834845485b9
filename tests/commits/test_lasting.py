"""What outlives branches and erasures: lines that were freed, rows that were erased, pins, what nobody committed."""

from __future__ import annotations

import pytest

import lakehouse as lh
from lakehouse.care.copying import copy_lake
from lakehouse.care.erase import erase
from lakehouse.care.maintain import maintain
from lakehouse.care.pins import set_pin
from lakehouse.commits.branching import delete_branch, make_branch
from lakehouse.commits.making import commit
from lakehouse.commits.naming import find_commit, parse_time
from lakehouse.commits.tagging import tag_commit
from lakehouse.errors import ConfigError, RejectedInputError, VersionUnavailableError
from lakehouse.home import forget_homes, home_of
from lakehouse.lines import BRANCH, line_folder, numbered
from lakehouse.merging.comparing import compare
from lakehouse.merging.merge import conflicts_with, merge, revert
from lakehouse.query import fetch
from lakehouse.steps.rejects import rejected_row
from lakehouse.tables.insert import insert_rows
from lakehouse.verification.places import line_home
from schemas.tables import ACTORS, REJECTED
from tests.care.test_erase import MARK, all_rows
from tests.commits.test_branches import branch, names
from tests.commits.test_commits import actors, write
from tests.ingestion.files import png, put, source
from tests.making import add_entities, add_opinions, entity_id, opinion, small_lake


def count(lake, table="silver.entities"):
    return fetch(lake, f"select count(*) as n from {table}")[0]["n"]


def test_a_branch_of_a_branch_that_was_freed_is_compared_and_merged(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        write(lake, "ann")
        make_branch(lake, "one")
        with branch(root, "one") as one:
            write(one, "one")
            make_branch(one, "two")
        with branch(root, "two") as two:
            write(two, "two")
        was = find_commit(lake.home, "one").pins[ACTORS.name]
        delete_branch(lake, "one", unmerged=True)
        lake.clock.forward(days=30)
        assert maintain(lake).counts["branches_freed"] == 1
        assert maintain(lake).counts["branches_freed"] == 0
        with pytest.raises(VersionUnavailableError, match="was a branch"):
            fetch(lake, "select * from silver.actors", pins={ACTORS.name: was})
        assert merge(lake, "two").counts["come"] == 2
        assert names(lake) == "aot"


def test_branches_are_compared_and_merged_after_an_erasure(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        add_entities(lake, ["a", "b", "c"])
        old = commit(lake, "abc").commit_id
        make_branch(lake, "one")
        with branch(root, "one") as one:
            add_entities(one, ["d"])
            commit(one, "d")
        add_entities(lake, ["e"])
        erase(lake, entities=[entity_id("a")], reason="asked")
        lake.clock.forward(days=30)
        maintain(lake)
        assert count(lake, "silver.entities@main") == 3  # an erasure is committed on every branch
        with pytest.raises(VersionUnavailableError, match="rows were erased between"):
            compare(lake, find_commit(lake.home, old), find_commit(lake.home, "one"))
        found = compare(lake, find_commit(lake.home, "main"), find_commit(lake.home, "one"))
        assert found.ones["silver.entities"].added.column("entity_id").to_pylist() == [entity_id("e")]
        assert found.others["silver.entities"].added.column("entity_id").to_pylist() == [entity_id("d")]
        assert merge(lake, "one").counts["come"] == 1
        assert count(lake) == 4


def test_what_was_erased_comes_back_by_no_revert_and_no_branch(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        add_entities(lake, ["a", "b"])
        old = commit(lake, "before").commit_id
        erase(lake, entities=[entity_id("a")], reason="asked")
        commit(lake, "erased")
        revert(lake, "HEAD")
        assert count(lake) == 1
        with pytest.raises(VersionUnavailableError, match="erased"):
            make_branch(lake, "old", old)


def test_a_branch_that_was_half_freed_stops_no_erasure_and_is_freed_by_the_next_run(tmp_path, monkeypatch):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        add_entities(lake, ["a", "b"])
        make_branch(lake, "one")
        with branch(root, "one") as one:
            add_entities(one, ["c"])
        delete_branch(lake, "one", unmerged=True)
        lake.clock.forward(days=30)

        def killed(folder, **how):
            (folder / BRANCH).unlink()
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("lakehouse.care.lines.shutil.rmtree", killed)
            with pytest.raises(KeyboardInterrupt):
                maintain(lake)
        forget_homes()  # as the next process finds it
        assert erase(lake, entities=[entity_id("a")], reason="asked").counts["rows"] == 1
        assert (root / line_folder(2)).is_dir()
        assert maintain(lake).counts["branches_freed"] == 1
        assert not (root / line_folder(2)).exists()
        assert maintain(lake).counts["branches_freed"] == 0


def test_a_deleted_branch_that_a_tag_keeps_forgets_what_is_erased(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        add_entities(lake, ["a", "b"])
        make_branch(lake, "one")
        with branch(root, "one") as one:
            add_entities(one, ["c"])
            tag_commit(one, "kept", commit(one, "c").commit_id)
        delete_branch(lake, "one", unmerged=True)
        erase(lake, entities=[entity_id("a")], reason="asked")
        maintain(lake)
        there = lake.on(line_home(lake.home, 2))
        assert count(there) == 2
        with pytest.raises(VersionUnavailableError, match="erased"):
            fetch(lake, "select * from silver.entities@kept")


def test_a_branch_with_rows_that_nobody_committed_is_not_deleted_as_merged(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        write(lake, "ann")
        make_branch(lake, "one")
        with branch(root, "one") as one:
            insert_rows(one, ACTORS, actors("bob"), step="test")
        with pytest.raises(ConfigError, match="merge it"):
            delete_branch(lake, "one")


def test_conflicts_are_listed_of_what_nobody_committed_too(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        add_entities(lake, ["a"])
        make_branch(lake, "one")
        with branch(root, "one") as one:
            add_opinions(one, [opinion("a", "human:ann", "cat")])
        add_opinions(lake, [opinion("a", "human:ann", "dog")])
        assert [each.kind for each in conflicts_with(lake, "one") if each.kind == "opinion"] == ["opinion"]


def test_a_pin_that_was_set_on_a_branch_keeps_the_files_of_main(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        for name in ("ann", "bob", "cid"):
            write(lake, name)
        maintain(lake, few=0)
        make_branch(lake, "one")
        with branch(root, "one") as one:
            set_pin(one, "mine", {ACTORS.name: 2})
        write(lake, "dan")
        maintain(lake, few=0)
        lake.clock.forward(days=400)
        maintain(lake, few=0)
        assert count(lake, "silver.actors") == 4
        assert fetch(lake, "select count(*) as n from silver.actors", pins={ACTORS.name: numbered(1, 2)}) == [{"n": 1}]


def test_what_a_revert_took_out_stays_for_tags_and_branches(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        write(lake, "ann")
        write(lake, "bob")
        tag_commit(lake, "kept")
        make_branch(lake, "one")
        revert(lake, "HEAD")
        lake.clock.forward(days=400)
        maintain(lake)
        assert names(lake) == "a"
        assert count(lake, "silver.actors@kept") == 2
        with branch(root, "one") as one:
            assert names(one) == "ab"


def test_a_branch_of_a_copy_gets_no_number_that_another_line_had(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        write(lake, "ann")
        make_branch(lake, "one")
        copy_lake(lake, home_of(tmp_path / "copy"))
        with pytest.raises(ConfigError, match="whole lake"), branch(tmp_path / "lake", "one") as one:
            copy_lake(one, home_of(tmp_path / "other"))
    with small_lake(tmp_path / "copy") as copy:
        assert make_branch(copy, "new").line == 3


def test_who_writes_to_a_branch_that_was_deleted_meanwhile_is_told(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        write(lake, "ann")
        make_branch(lake, "one")
        with branch(root, "one") as one:
            delete_branch(lake, "one")
            with pytest.raises(VersionUnavailableError, match="deleted while"):
                write(one, "bob")


def test_head_is_what_a_lake_was_opened_as_and_days_end_at_midnight(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        write(lake, "ann")
        tag_commit(lake, "first")
        write(lake, "bob")
        for name in ("HEAD", "a.", "a..b", "../x", "", "\u00e9", "a" * 65):
            with pytest.raises(ConfigError):
                tag_commit(lake, name)
    with branch(root, "@first") as first:
        assert find_commit(first.home, "HEAD") == find_commit(first.home, "first")
        assert make_branch(first, "there").began_at == find_commit(first.home, "first").commit_id
    assert parse_time("20260131") == parse_time("2026-01-31") > parse_time("2026-01-31T23:00-00:30")


def test_a_revert_says_what_does_not_come_back(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        write(lake, "ann")
        revert(lake, write_and_find(lake, "bob"))
        gone = find_commit(lake.home, "HEAD").commit_id
        write(lake, "bob")
        receipt = revert(lake, gone)
        assert (receipt.counts["come"], [note.rule for note in receipt.notes]) == (0, ["held silver.actors"])


def write_and_find(lake, name):
    write(lake, name)
    return find_commit(lake.home, "HEAD").commit_id


def test_what_was_told_of_the_erased_comes_back_by_no_revert_and_no_merge(tmp_path):
    """Sidecars, rejects and answers that wait name nobody's id; older versions have them until `maintain`."""
    root, drop = tmp_path / "lake", tmp_path / "drop"
    put(drop, f"{MARK}.png", png(1))
    put(drop, "records.csv", f"path,patient\n{MARK}.png,{MARK}\n".encode())
    records = source(drop, sidecar="records.csv", group_keys={"patient": "patient"})
    with small_lake(root) as lake:
        write(lake, "ann")
        make_branch(lake, "one")
        with branch(root, "one") as one:
            lh.land(one, records)
            lh.entities(one)
            (landed,) = fetch(one, "select landed_id from bronze.landed_files")
            reject = rejected_row("test", landed["landed_id"], RejectedInputError("bad", f"{MARK}.png is bad"))
            insert_rows(one, REJECTED, [reject], step="test")
            tag_commit(one, "old", commit(one, "a reject").commit_id)
            merge(lake, "one")
            revert(lake, "HEAD")
            assert MARK not in all_rows(lake)
            erase(one, group=("patient", MARK), reason="asked")
            revert(lake, "HEAD")
            revert(one, "HEAD")
            for there in (lake, one):
                merge(there, "old")
                assert MARK not in all_rows(there)
                assert count(there, "bronze.landed_files") == 0


def test_the_newest_commit_of_each_branch_stays_readable_and_a_compaction_is_no_change(tmp_path):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        for name in ("ann", "bob", "cid"):
            write(lake, name)
        make_branch(lake, "one")
        with branch(root, "one") as one:
            write(one, "one")
            merge(lake, "one")
            for _ in range(2):
                lake.clock.forward(days=400)
                maintain(lake, few=0)
                maintain(one, few=0)
        for name in ("main", "one"):
            assert count(lake, f"silver.actors@{name}") == 4
        delete_branch(lake, "one")
