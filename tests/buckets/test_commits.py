"""A commit to a bucket whose answers are lost, and a copy of a log that is fetched only in part."""

from __future__ import annotations

import json
import math

import pytest

from lakehouse.config import load_config
from lakehouse.errors import LockLostError, UnknownCommitError
from lakehouse.opening import open_lake
from lakehouse.tables import insert as inserting
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import head
from lakehouse.verification.copies import refresh
from lakehouse.verification.entries import versions_in
from lakehouse.verification.places import place_of
from loaders.errors import DeadlineError, StorageError
from schemas.tables import ACTORS
from tests.buckets.faults import Fault
from tests.buckets.lakes import use


@pytest.fixture
def opened(shaky, tmp_path, monkeypatch):
    """A function that opens the lake behind the proxy; what is told to it is stronger than the defaults."""
    address = use(shaky, tmp_path, monkeypatch)

    def opened(*overrides: str, copies: str = "copies"):
        places = [f"lake.root={json.dumps(address)}", f"lake.copies={json.dumps(str(tmp_path / copies))}"]
        few = [f"stores.here.url={json.dumps(shaky.url)}", "stores.here.tries=2"]
        return open_lake(load_config(overrides=[*places, *few, *overrides]), create=True)

    return opened


def add(lake, *names):
    rows = [{"actor_id": f"human:{name}", "kind": "human", "name": name} for name in names]
    return insert_rows(lake, ACTORS, rows, step="test")


def names_in(lake):
    return sorted(lake.read_table(ACTORS.name).column("name").to_pylist())


def test_a_commit_whose_answer_never_came_is_whole_and_is_not_made_twice(opened, proxy):
    with opened() as lake:
        with proxy.injecting(Fault("lost", times=math.inf, method="PUT", path="/_delta_log/")):
            with pytest.raises(
                UnknownCommitError, match=r"actors: whether version 2 was committed is not known.*s3://"
            ):
                add(lake, "ann")
        assert add(lake, "ann").rows_new == 0
        assert names_in(lake) == ["ann"]
    with opened(copies="others") as other:
        assert names_in(other) == ["ann"]


def test_the_files_of_a_commit_that_arrives_late_are_there(opened, monkeypatch):
    with opened() as lake:
        put, late = lake.files.put_if_absent, []

        def silent(name, content):
            if "/_delta_log/" not in name:
                return put(name, content)
            late.append((name, content))
            raise DeadlineError("no answer")

        monkeypatch.setattr(lake.files, "put_if_absent", silent)
        with pytest.raises(UnknownCommitError):
            add(lake, "ann")
        monkeypatch.undo()
        put(*late[0])
        assert add(lake, "ben").rows_new == 1
    with opened(copies="others") as other:
        assert names_in(other) == ["ann", "ben"]


def test_one_lost_answer_of_a_commit_is_noticed_by_nobody(opened, proxy):
    with opened() as lake:
        for kind in ("lost", "late"):
            with proxy.injecting(Fault(kind, method="PUT", path="/_delta_log/")):
                assert add(lake, kind).rows_new == 1
            assert proxy.struck()[kind] == 1
        assert (names_in(lake), head(lake.home, ACTORS)) == (["late", "lost"], 3)


def test_a_log_that_was_fetched_in_part_has_no_gap_and_is_fetched_on(opened, proxy):
    with opened() as lake, opened(copies="others") as other:
        for number in range(5):
            add(lake, str(number))
        place = place_of(other.home, ACTORS)
        assert versions_in(place.log) == [0, 1]
        with proxy.injecting(Fault("503", times=math.inf, path=f"{3:020}.json")):
            with pytest.raises(StorageError):
                refresh(place)
        assert versions_in(place.log) == [0, 1, 2]
        assert names_in(other) == ["0", "1", "2", "3", "4"]


def test_what_a_box_on_the_way_answers_is_not_kept_in_the_copy(opened, proxy):
    with opened() as lake, opened(copies="others") as other:
        add(lake, "ann")
        with proxy.injecting(Fault("html", path="2.json"), Fault("html", path=".parquet")):
            assert names_in(other) == ["ann"]
        assert proxy.struck()["html"] == 2


def test_a_writer_that_lost_its_lock_takes_it_again(opened, monkeypatch, caplog):
    with opened() as lake:
        real, calls = inserting._insert_held, []

        def held_up(*given, **named):
            calls.append(named["lock"].fence)
            if len(calls) == 1:
                raise LockLostError("the lock was lost")
            return real(*given, **named)

        monkeypatch.setattr(inserting, "_insert_held", held_up)
        assert add(lake, "ann").rows_new == 1
        assert calls[1] == calls[0] + 1
        assert "lock lost table=silver.actors" in caplog.text
