"""Diff, merge and revert: what two people say on two branches comes together, once, all of it or nothing."""

from __future__ import annotations

import itertools
import json

import pytest

from jobs.cli import main as petrel
from lakehouse.audit.verify import verify
from lakehouse.care.maintain import maintain
from lakehouse.commits.branching import delete_branch, make_branch
from lakehouse.commits.naming import find_commit, pins_at
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import CheckFailedError, ConfigError, TableError
from lakehouse.lines import parted
from lakehouse.merging import applying
from lakehouse.merging import merge as merging
from lakehouse.merging.comparing import compare
from lakehouse.merging.conflicts import MergeConflictError
from lakehouse.merging.merge import conflicts_with, merge, revert
from lakehouse.query import fetch
from lakehouse.steps.step import step
from lakehouse.tables.insert import insert_rows
from lakehouse.verification.places import line_home
from schemas.tables import OPINIONS
from tests.making import START, add_entities, add_opinions, opinion, small_lake

HOLDS = "select subject_id, actor_id, label from current_opinions where op = 'assert' order by all"


def said(lake):
    return [(row["actor_id"], row["label"]) for row in fetch(lake, HOLDS)]


def say(lake, *rows):
    with step(lake, "say") as record:
        add_opinions(lake, [opinion(*row) if isinstance(row, tuple) else row for row in rows])
        record.writes += [write_again(lake)]


def write_again(lake):
    """Have the step know of its write: its rows are in already."""
    from lakehouse.commits.making import commit

    commit(lake, "said")
    return insert_rows(lake, OPINIONS, [], step="say")


@pytest.fixture
def two(tmp_path):
    """Main and a branch: both know a, b and c; ann and bob said something before they parted."""
    root = tmp_path / "lake"
    with small_lake(root) as main:
        add_entities(main, ["a", "b", "c"])
        say(main, ("a", "human:ann", "cat"), ("b", "human:bob", "dog"))
        make_branch(main, "relabel")
        with small_lake(root, 'lake.branch="relabel"') as branch:
            yield main, branch


def at(day):
    return START.replace(day=day)


def test_a_merge_unites_what_both_say_and_twice_is_once(two):
    main, branch = two
    add_entities(branch, ["d"])
    say(branch, ("c", "human:ann", "cat"), ("d", "human:ann", "eel"))
    say(main, ("c", "human:bob", "dog"))
    difference = compare(main, find_commit(main.home, "main"), find_commit(main.home, "relabel"))
    counted = {(each.side, each.table, each.what): each.added for each in difference.summary()}
    assert counted["one", "silver.opinions", "human:bob"] == 1
    assert counted["other", "silver.opinions", "human:ann"] == 2
    assert counted["other", "silver.entities", ""] == 1
    first = merge(main, "relabel")
    assert (first.counts["conflicts"], len(said(main))) == (0, 5)
    assert merge(main, "relabel").counts == {"come": 0, "gone": 0, "conflicts": 0, "left_out": 0}
    assert len(find_commit(main.home, "main").parents) == 2
    merge(branch, "main")
    assert digests(main) == digests(branch)
    assert {each.kind for each in verify(main)} <= {"object"}  # whose bytes nobody wrote in this test


def digests(lake):
    return {name: each.digest for name, each in find_commit(lake.home, "HEAD").tables.items()}


@pytest.mark.parametrize(("policy", "holds"), [
    ("ours", "ours"), ("theirs", "theirs"), ("newest", "theirs"), (lambda each: "ours", "ours"),
])  # fmt: skip
def test_conflicts_are_listed_and_settled(two, policy, holds):
    main, branch = two
    say(main, opinion("c", "human:ann", "ours", event_time=at(2)), ("a", "human:cid", "cat"))
    say(branch, opinion("c", "human:ann", "theirs", event_time=at(3)), ("a", "human:cid", "cat"))
    before = digests(main)
    with pytest.raises(MergeConflictError) as error:
        merge(main, "relabel")
    listed = [(each.kind, each.about["actor_id"]) for each in error.value.conflicts if each.kind == "opinion"]
    assert listed == [("opinion", "human:ann")]
    assert [str(each) for each in conflicts_with(main, "relabel")] == [str(each) for each in error.value.conflicts]
    assert digests(main) == before
    merge(main, "relabel", policy=policy)
    assert dict(said(main))["human:ann"] in ("cat", holds)
    assert [label for actor, label in said(main) if actor == "human:ann"].count(holds) == 1
    left_out = fetch(main, "select count(*) as n from silver.rejected where rule = 'merge_ours'")[0]["n"]
    assert left_out == (1 if holds == "ours" else 0)


def test_a_policy_of_somebodys_own_that_fails_is_named_with_the_conflict(two, tmp_path, monkeypatch, capsys):
    main, branch = two
    say(main, ("c", "human:ann", "cat"))
    say(branch, ("c", "human:ann", "dog"))
    before = digests(main)
    (tmp_path / "my_rules.py").write_text("def choose(each): return each.about['colour']\ndef best(_): return 9")
    (tmp_path / "broken_rules.py").write_text("def choose(conflict) return")
    monkeypatch.syspath_prepend(str(tmp_path))
    for policy, told in (
        ("my_rules:choose", "my_rules:choose: KeyError: 'colour' for opinion: silver.opinions: actor_id human:ann"),
        ("my_rules:best", "expected ours, theirs or newest, found 9 for opinion"),
        ("my_rules:nothing", "there is no such function"), ("broken_rules:choose", "broken_rules:choose: SyntaxError"),
    ):  # fmt: skip
        assert petrel(["merge", "--lake", str(main.home.folder), "relabel", "--policy", policy]) == 1
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1
    assert digests(main) == before


def test_a_merge_that_is_killed_anywhere_is_finished_by_the_next_to_open_the_lake(two, monkeypatch):
    main, branch = two
    add_entities(branch, ["d", "e"])
    say(branch, ("d", "human:dan", "eel"), ("e", "human:eve", "elk"))
    root, whole = main.home.folder, None
    for place in itertools.count():
        calls = itertools.count()

        def dying(call, *args, calls=calls, place=place, **named):
            if next(calls) == place:
                raise KeyboardInterrupt
            return call(*args, **named)

        name = f"try{place}"
        make_branch(main, name, "main")
        with small_lake(root, f'lake.branch="{name}"') as lake:
            with monkeypatch.context() as patched:
                for where, each in ((applying, "insert"), (merging, "commit"), (applying, "remove_rows")):
                    call = getattr(where, each)
                    patched.setattr(where, each, lambda *args, call=call, **named: dying(call, *args, **named))
                try:
                    merge(lake, "relabel")
                    killed = False
                except KeyboardInterrupt:
                    killed = True
        with small_lake(root, f'lake.branch="{name}"') as lake:
            whole = whole or digests(branch)
            assert digests(lake) == whole
            assert not list(lake.files.list("_merges"))
        if not killed:
            break
    assert place > 3


def test_a_revert_takes_back_one_commit_and_keeps_later_ones(two):
    main, branch = two
    say(main, ("c", "human:ann", "wrong"))
    wrong = find_commit(main.home, "HEAD").commit_id
    say(main, ("c", "human:bob", "dog"))
    later = said(main)
    receipt = revert(main, wrong)
    assert said(main) == [each for each in later if each[1] != "wrong"]
    assert receipt.counts["gone"] > 0
    assert revert(main, wrong).counts == {"come": 0, "gone": 0}
    say(branch, ("b", "human:ann", "cow"))
    with pytest.raises(ConfigError, match="main does not have it"):
        revert(main, "relabel")


def test_a_revert_refuses_to_leave_rows_that_point_at_nothing(two):
    main, _ = two
    add_entities(main, ["d"])
    from lakehouse.commits.making import commit

    added = commit(main, "d")
    say(main, ("d", "human:ann", "eel"))
    before = digests(main)
    with pytest.raises(CheckFailedError, match=r"silver\.opinions stand on rows of silver\.entities"):
        revert(main, added.commit_id)
    assert digests(main) == before


def test_what_a_branch_took_back_goes_with_the_merge(two):
    main, _ = two
    say(main, ("c", "human:ann", "wrong"))
    make_branch(main, "clean")
    with small_lake(main.home.folder, 'lake.branch="clean"') as clean:
        revert(clean, "HEAD")
    say(main, ("c", "human:bob", "dog"))
    assert len(said(main)) == 4
    assert merge(main, "clean").counts["gone"] == 2  # the answer, and the label that came with it
    assert [label for _, label in said(main)].count("wrong") == 0
    assert len(said(main)) == 3


def test_a_dataset_built_on_a_branch_comes_with_pins_that_lead_there_and_recipes_go_by_commits(two):
    main, branch = two
    recipe = parse_recipe({"name": "all", "select": {"sql": "select entity_id from entities"}}, where="all")
    add_entities(branch, ["d"])
    built = build(branch, recipe)
    assert built.counts["considered"] == 4
    add_entities(main, ["x", "y"])
    merge(main, "relabel")
    assert build(main, recipe, pins=pins_at(main.home, "relabel")).details["dataset_id"] == built.details["dataset_id"]
    assert build(main, recipe, pins=pins_at(main.home, "main~2")).counts["considered"] == 3
    assert build(main, recipe).counts["considered"] == 6
    (row,) = fetch(main, "select pins_json from gold.datasets where dataset_id = $id",
                   params={"id": built.details["dataset_id"]})  # fmt: skip
    line, version = parted(json.loads(row["pins_json"])["silver.entities"])
    assert (line, version) == (2, find_commit(main.home, "relabel").tables["silver.entities"].version)
    delete_branch(main, "relabel")
    main.clock.forward(days=400)
    assert maintain(main).counts["branches_freed"] == 0  # the dataset needs it
    pins = {"silver.entities": line * 2**32 + version}
    assert fetch(main, "select count(*) as n from silver.entities", pins=pins) == [
        {"n": 4}
    ]  # fmt: skip
    found = [*verify(main), *verify(main, dataset=built.details["dataset_id"])]
    assert {each.kind for each in found} <= {"object"}  # whose bytes nobody wrote in this test


def test_a_merge_that_cannot_be_finished_says_so_and_is_taken_back(two, monkeypatch, capsys):
    main, _ = two
    root = str(main.home.folder)
    say(main, ("c", "human:ann", "wrong"))
    branch = main.on(line_home(main.home, make_branch(main, "clean").line))
    revert(branch, "HEAD")  # some rows go with the merge, and some come
    add_entities(branch, ["d"])
    say(branch, ("c", "human:bob", "dog"), ("d", "human:dan", "dog"))
    before = said(main), digests(main)
    with monkeypatch.context() as patched:
        call = applying.insert

        def dying(lake, table, *args, **named):
            done = call(lake, table, *args, **named)
            if table is OPINIONS:
                raise KeyboardInterrupt
            return done

        patched.setattr(applying, "insert", dying)
        with pytest.raises(KeyboardInterrupt):
            merge(main, "clean")
    monkeypatch.setattr(merging, "_planned", unplanned)
    assert petrel(["dimensions", "--lake", root]) == 1
    assert "petrel merge --abandon --branch main" in capsys.readouterr().err
    assert said(main) != before[0]
    assert petrel(["sql", "--lake", root, "--branch", "@main", "select 1"]) == 0
    assert petrel(["merge", "--lake", root]) == petrel(["merge", "--lake", root, "--abandon", "clean"]) == 1
    assert petrel(["merge", "--lake", root, "--abandon"]) == 0
    assert "2 come, 4 gone" in capsys.readouterr().out
    assert (said(main), digests(main)) == before
    assert petrel(["merge", "--lake", root, "--abandon"]) == 1
    monkeypatch.undo()
    main.files.put("_merges/x.json", b"{}")
    with pytest.raises(TableError, match=r"x\.json: tells of a merge .* is damaged"):
        merge(main, "clean")
    main.files.delete("_merges/x.json")
    assert merge(main, "clean").counts["come"] > 0
    assert ("human:bob", "dog") in said(main)
    assert {each.kind for each in verify(main)} <= {"object"}  # whose bytes nobody wrote in this test


def unplanned(*_):
    raise TableError("a file of it is damaged")
