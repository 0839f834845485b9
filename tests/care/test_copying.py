"""copy-lake: the same lake at another address, whole or not at all, and nothing that was there is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jobs.cli import main as petrel
from lakehouse.care import copying
from lakehouse.config import load_config
from lakehouse.home import Home
from lakehouse.looking import looking
from lakehouse.place import COPYING, find_home, is_lake
from lakehouse.query import fetch
from lakehouse.tables.read import digest_at, head
from schemas.tables import ENTITIES, TABLES
from tests.making import add_entities, entity_id, small_lake


def at(address: str | Path) -> Home:
    return find_home(load_config(overrides=[f'lake.root="{address}"'], environ={}))


def digests(address: str | Path) -> dict[str, object]:
    with looking(load_config(overrides=[f'lake.root="{address}"'], environ={})) as lake:
        return {table.name: digest_at(lake, table, head(lake.home, table)) for table in TABLES}


def files(address: str | Path) -> dict[str, str]:
    listed = at(address).files.list()
    return {each.name: each.version for each in listed if not each.name.startswith(("_locks", "_runs/verified"))}


def copy(source: str | Path, target: str | Path) -> int:
    return petrel(["copy-lake", "--lake", str(source), "--to", str(target)])


def test_folder_to_bucket_to_folder_gives_the_same_lake_and_a_second_run_changes_nothing(lake, there, tmp_path, capsys):
    back = tmp_path / "back"
    assert copy(lake, there) == copy(there, back) == 0
    assert digests(lake) == digests(there) == digests(back)
    for address in (there, back):
        assert petrel(["verify", "--lake", str(address), *([] if address == there else ["--deep"])]) == 0
    own = {each for each in files(lake) if not each.startswith(("_runs/", "_tmp/")) and each != "_conditional"}
    own |= {each for each in files(lake) if each.startswith("_runs/") and each.count("/") == 1}
    for address, source in ((there, lake), (back, there), (back, lake)):
        before = files(address)
        assert {each for each in before if each in own} == own
        capsys.readouterr()
        assert copy(source, address) == 0
        assert ": nothing new; " in capsys.readouterr().out
        assert files(address) == before
    marks = [at(each).files.read_whole("_lake.json") for each in (lake, there, back)]
    assert len(set(marks)) == 3, "two copies have one id"
    assert petrel(["materialise", "--lake", str(back), "--dataset", "shapes"]) == 0
    assert "nothing new" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_a_copy_that_is_killed_is_no_lake_and_goes_on_from_where_it_was(
    place, lake, tmp_path, request, monkeypatch, capsys
):
    target = request.getfixturevalue("there") if place == "bucket" else tmp_path / "copy"
    real, brought = copying.transfer, []

    def dies(source, name, *args, **more):
        if len(brought) == 12:
            raise KeyboardInterrupt
        brought.append(name)
        return real(source, name, *args, **more)

    monkeypatch.setattr(copying, "transfer", dies)
    monkeypatch.setattr("lakehouse.care.transfer.AT_ONCE", 1)
    with pytest.raises(KeyboardInterrupt):
        _copy_lake(lake, target)
    assert not is_lake(at(target))
    assert COPYING in files(target)
    assert petrel(["status", "--lake", str(target)]) == 1
    assert "a copy of a lake was not finished there; run the same `petrel copy-lake` again" in capsys.readouterr().err
    assert petrel(["init", "--lake", str(target)]) == 1
    assert "a copy of a lake was not finished there" in capsys.readouterr().err
    first = list(brought)
    brought.clear()
    monkeypatch.setattr(copying, "transfer", real)
    done = _copy_lake(lake, target)
    assert is_lake(at(target))
    assert COPYING not in files(target)
    assert done.held >= len(first) == 12
    assert digests(target) == digests(lake)


def _copy_lake(source, target):
    with looking(load_config(overrides=[f'lake.root="{source}"'], environ={})) as lake:
        return copying.copy_lake(lake, at(target))


def test_a_copy_that_is_behind_is_brought_up_to_date_and_one_that_went_its_own_way_is_refused(tmp_path, capsys):
    source, target = tmp_path / "lake", tmp_path / "copy"

    def add(root, name):
        with small_lake(root) as lake:
            lake.files.put(f"objects/{entity_id(name)[:2]}/{entity_id(name)}", name.encode())
            add_entities(lake, [name])

    add(source, "a")
    assert copy(source, target) == 0
    add(source, "b")
    assert copy(source, target) == 0
    assert digests(target) == digests(source)
    add(target, "mine")
    assert copy(source, target) == 1
    assert "has version 4 of silver.entities, and" in capsys.readouterr().err
    add(source, "theirs")
    assert copy(source, target) == 1
    assert "another entry than in" in capsys.readouterr().err
    with small_lake(target) as lake:
        assert fetch(lake, "select count(*) as n from silver.entities") == [{"n": 3}]


def test_other_things_are_never_written_over(lake, tmp_path, capsys):
    other = tmp_path / "other"
    with small_lake(other):
        pass
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("all of it")
    for target, said in [
        (lake, "this is the lake itself"), (lake / "in", "lies inside the lake"), (full, "other things (thesis.txt)"),
        (other, "another entry than in"),
    ]:  # fmt: skip
        before = files(target) if target != lake / "in" else {}
        assert copy(lake, target) == 1
        assert said in capsys.readouterr().err
        assert before == (files(target) if target != lake / "in" else {})


def test_a_damaged_object_stops_the_copy_by_name_and_mended_it_goes_on(lake, tmp_path, capsys):
    target = tmp_path / "copy"
    path = min(each for each in (lake / "objects").rglob("*") if each.is_file())
    whole = path.read_bytes()
    for damage in (lambda: path.write_bytes(whole[:-1] + b"x"), path.unlink):
        damage()
        assert copy(lake, target) == 1
        assert f"objects/{path.parent.name}/{path.name}" in capsys.readouterr().err
        assert not is_lake(at(target))
        path.write_bytes(whole)
    assert copy(lake, target) == 0
    assert petrel(["verify", "--lake", str(target), "--deep"]) == 0


def test_what_is_committed_while_it_copies_is_in_the_next_one(tmp_path, monkeypatch):
    source, target = tmp_path / "lake", tmp_path / "copy"
    with small_lake(source) as lake:
        lake.files.put(f"objects/{entity_id('a')[:2]}/{entity_id('a')}", b"a")
        add_entities(lake, ["a"])
        real = copying.verify_log

        def meanwhile(place):
            if place.name == ENTITIES.name:
                add_entities(lake, ["late"])
            real(place)

        monkeypatch.setattr(copying, "verify_log", meanwhile)
        assert copy(source, target) == 0
        monkeypatch.setattr(copying, "verify_log", real)
        lake.files.put(f"objects/{entity_id('late')[:2]}/{entity_id('late')}", b"late")
    with small_lake(target) as lake:
        assert fetch(lake, "select entity_id from silver.entities") == [{"entity_id": entity_id("a")}]
    assert petrel(["verify", "--lake", str(target), "--deep"]) == 0
    assert copy(source, target) == 0
    assert digests(target) == digests(source)


def test_old_versions_that_a_pin_needs_come_along_and_removed_ones_do_not_stop_it(tmp_path):
    source, target = tmp_path / "lake", tmp_path / "copy"
    with small_lake(source) as lake:
        for number in range(6):
            name = f"{number}"
            lake.files.put(f"objects/{entity_id(name)[:2]}/{entity_id(name)}", name.encode())
            add_entities(lake, [name])
        pinned = head(lake.home, ENTITIES) - 2
    assert petrel(["maintain", "--lake", str(source), "--pin", "p", "--table", f"silver.entities={pinned}"]) == 0
    assert petrel(["maintain", "--lake", str(source), "--grace-days", "0"]) == 0
    assert copy(source, target) == 0
    with small_lake(target) as lake:
        assert fetch(lake, "select count(*) as n from silver.entities", pins={ENTITIES.name: pinned}) == [{"n": 4}]
        assert fetch(lake, "select count(*) as n from silver.entities") == [{"n": 6}]
    shutil.rmtree(source)
    assert petrel(["verify", "--lake", str(target), "--deep"]) == 0


def test_what_was_erased_is_not_copied_and_leaves_an_older_copy(tmp_path, capsys):
    source, old, new = tmp_path / "lake", tmp_path / "old", tmp_path / "new"
    with small_lake(source) as lake:
        for name in ("a", "secret"):
            lake.files.put(f"objects/{entity_id(name)[:2]}/{entity_id(name)}", name.encode())
            add_entities(lake, [name])
    assert copy(source, old) == 0
    assert petrel(["erase", "--lake", str(source), "--entity", entity_id("secret"), "--reason", "asked for"]) == 0
    assert copy(source, old) == copy(source, new) == 0
    assert "2 erased ones removed" in capsys.readouterr().out
    for target in (old, new):
        assert petrel(["verify", "--lake", str(target), "--deep"]) == 0
        with small_lake(target) as lake:
            assert fetch(lake, "select entity_id from silver.entities") == [{"entity_id": entity_id("a")}]
            assert not [each for each in lake.files.list() if entity_id("secret") in each.name]
        assert [each for each in files(target) if each.startswith("_erasures/")]
    written = files(old)
    assert copy(source, old) == 0
    assert files(old) == written
    assert petrel(["mend", "--lake", str(new), "--from", str(old), "--only", entity_id("secret")]) == 1
    assert "it was erased for privacy" in capsys.readouterr().out
