"""Tables of SQLite and of a real PostgreSQL as a source: every row once, however a run ends; no password anywhere."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing

import pytest

from lakehouse.errors import ConfigError, IngestError
from lakehouse.ingestion.database import land as database_land
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.query import fetch
from tests.ingestion.files import landed, png, source, stored_objects
from tests.ingestion.servers import postgres
from tests.lanes import examples
from tests.making import small_lake

psycopg = pytest.importorskip("psycopg")

ROWS = "select payload from bronze.raw_records where kind = 'row' order by payload"


class Place:
    """A database that tests write to."""

    def __init__(self, url):
        self.url = url
        self.is_server = "://" in url

    def do(self, text, *params):
        if self.is_server:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(text.replace("?", "%s").replace("BLOB", "BYTEA"), params or None)
        else:
            with closing(sqlite3.connect(self.url)) as connection, connection:
                connection.execute(text, params)


@pytest.fixture(scope="module")
def server():
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    if request.param == "sqlite":
        found = Place(str(tmp_path / "clinic.sqlite"))
    else:
        found = Place(request.getfixturevalue("server"))
        found.do("DROP TABLE IF EXISTS scans")
    found.do("CREATE TABLE scans (id INTEGER PRIMARY KEY, day INTEGER, patient TEXT, picture BLOB)")
    for number in range(1, 6):
        add(found, number, day=number // 2)
    return found


def add(place, number, *, day, patient="ann"):
    place.do("INSERT INTO scans VALUES (?, ?, ?, ?)", number, day, patient, png(number))


def scans(place, **options):
    options = {"table": "scans", "cursor": ["day"], "key": ["id"]} | options
    return source(place.url, form="database", options=options, group_keys={"patient": "patient"})


def told(receipt):
    return {name: receipt.counts[name] for name in ("rows", "new", "same", "seen", "stored")}


def test_a_table_lands_and_a_second_time_nothing_is_new(place, lake):
    first = land(lake, scans(place))
    assert told(first) == {"rows": 5, "new": 5, "same": 0, "seen": 5, "stored": 5}
    rows = [json.loads(row["payload"]) for row in fetch(lake, ROWS)]
    picture = {"sha256": hashlib.sha256(png(1)).hexdigest(), "size_bytes": len(png(1))}
    assert rows[0] == {"id": 1, "day": 0, "patient": "ann", "picture": picture}
    assert set(stored_objects(lake).values()) == {png(number) for number in range(1, 6)}
    row = landed(lake, "path, uri, container_uri, sidecar_json, group_keys")[0]
    assert (row["path"], row["group_keys"]) == ("1/picture", [("patient", "ann")])
    assert row["uri"] == f"{row['container_uri']}!/1/picture"
    assert json.loads(row["sidecar_json"]) == rows[0]
    again = land(lake, scans(place))
    assert told(again) == {"rows": 2, "new": 0, "same": 2, "seen": 2, "stored": 0}  # those that share the last day
    assert (first.rows_new, again.rows_new) == (12, 0)  # records, files, the layout and the place
    assert entities(lake).counts["stored"] == 5


def test_rows_that_share_the_last_value_of_the_cursor_are_not_lost(place, lake):
    land(lake, scans(place))
    add(place, 6, day=2)
    add(place, 7, day=3)
    assert told(land(lake, scans(place))) == {"rows": 4, "new": 2, "same": 2, "seen": 4, "stored": 2}


def test_wherever_a_run_is_killed_every_row_is_there_once_after_the_next(place, tmp_path, monkeypatch):
    written = database_land.insert_rows, database_land.keep_stored
    chosen = scans(place, rows_per_commit=3)
    # Two writes of two portions, before and after each.
    for stop in (3,) if place.is_server else examples((2, 3, 6), long=range(1, 9)):
        calls = []

        def stopping(write, stop=stop, calls=calls):
            def wrapped(*args, **options):
                calls.append(1)
                if len(calls) == stop:
                    raise KeyboardInterrupt
                done = write(*args, **options)
                calls.append(1)
                if len(calls) == stop:
                    raise KeyboardInterrupt  # the rows are in, and nobody was told
                return done

            return wrapped

        with small_lake(tmp_path / f"lake_{stop}") as lake:
            with monkeypatch.context() as patched:
                patched.setattr(database_land, "insert_rows", stopping(written[0]))
                patched.setattr(database_land, "keep_stored", stopping(written[1]))
                with pytest.raises(KeyboardInterrupt):
                    land(lake, chosen)
            land(lake, chosen)
            assert sorted(json.loads(row["payload"])["id"] for row in fetch(lake, ROWS)) == [1, 2, 3, 4, 5]
            assert sorted(row["path"] for row in landed(lake)) == [f"{number}/picture" for number in range(1, 6)]
            assert told(land(lake, chosen))["new"] == 0


def test_a_row_that_changed_is_another_record_and_one_without_a_cursor_is_told(place, lake):
    land(lake, scans(place))
    place.do("UPDATE scans SET patient = 'bob', day = 9 WHERE id = 1")
    add(place, 8, day=None)
    receipt = land(lake, scans(place))
    assert (receipt.counts["new"], receipt.counts["without_cursor"]) == (1, 1)
    assert {note.rule for note in receipt.notes} == {"without_cursor"}
    assert len(fetch(lake, ROWS)) == 6


@pytest.mark.parametrize("value", ["2026-01-01", float("inf")])
def test_a_value_behind_which_nothing_would_come_stops_it(lake, tmp_path, value):
    """Of SQLite a column holds any type, and texts sort behind all numbers: later rows would never be read."""
    with closing(sqlite3.connect(tmp_path / "one.sqlite")) as database, database:
        database.execute("CREATE TABLE scans (id INTEGER, day REAL)")
        database.execute("INSERT INTO scans VALUES (1, 1), (2, 1.5)")
    options = {"table": "scans", "cursor": ["day"], "key": ["id"]}
    chosen = source(tmp_path / "one.sqlite", form="database", options=options)
    assert land(lake, chosen).counts["new"] == 2
    with closing(sqlite3.connect(tmp_path / "one.sqlite")) as database, database:
        database.execute("INSERT INTO scans VALUES (3, ?)", [value])
    with pytest.raises(IngestError, match="cursor day: (values of several types, real and text|inf, and nothing)"):
        land(lake, chosen)
    with closing(sqlite3.connect(tmp_path / "one.sqlite")) as database, database:
        database.execute("UPDATE scans SET day = 2 WHERE id = 3")
    assert land(lake, chosen).counts["new"] == 1


def test_overlap_finds_what_a_slow_transaction_committed_late(place, lake):
    land(lake, scans(place))
    add(place, 9, day=1)
    assert land(lake, scans(place)).counts["new"] == 0
    assert land(lake, scans(place, overlap=1)).counts["new"] == 1


def test_a_cursor_of_several_columns_and_a_query(place, lake):
    query = "SELECT id, day, patient FROM scans WHERE id > 1"
    chosen = scans(place, table="", query=query, cursor=["day", "id"])
    assert told(land(lake, chosen)) == {"rows": 4, "new": 4, "same": 0, "seen": 0, "stored": 0}
    assert told(land(lake, chosen)) == {"rows": 1, "new": 0, "same": 1, "seen": 0, "stored": 0}


def test_columns_that_went_or_changed_stop_it_with_what_was_expected_and_found(place, lake):
    land(lake, scans(place))
    place.do("ALTER TABLE scans ADD COLUMN site TEXT")
    assert "new_columns" in {note.rule for note in land(lake, scans(place)).notes}
    place.do("ALTER TABLE scans DROP COLUMN site")
    before = len(fetch(lake, ROWS))
    with pytest.raises(IngestError, match=r"expected .*site text.*found id .*picture|expected .*site TEXT.*found"):
        land(lake, scans(place))
    with pytest.raises(IngestError, match="has no column colour: expected colour, day, id"):
        land(lake, scans(place, cursor=["colour", "day"]))
    assert len(fetch(lake, ROWS)) == before
    land(lake, source(place.url, form="database", drop="later", options=scans(place).options))


def test_what_cannot_be_read_is_said_without_a_secret(lake, tmp_path, server, monkeypatch):
    monkeypatch.setenv("CLINIC_PASSWORD", "hunter2")
    options = {"table": "nowhere", "cursor": ["id"], "key": ["id"], "password_env": "CLINIC_PASSWORD"}
    with pytest.raises(IngestError, match="nowhere") as told_of:
        land(lake, source(server, form="database", options=options))
    assert "hunter2" not in str(told_of.value)
    with pytest.raises(ConfigError, match="NO_SUCH"):
        land(lake, source(server, form="database", options=options | {"password_env": "NO_SUCH"}))
    (tmp_path / "no.sqlite").write_bytes(b"not a database, whatever it says" * 40)
    with pytest.raises(IngestError, match="not a database"):
        land(lake, source(tmp_path / "no.sqlite", form="database", options=options))
    with pytest.raises(IngestError, match="no file"):
        land(lake, source(tmp_path / "none.sqlite", form="database", options=options))


@pytest.mark.parametrize(("url", "said"), [
    ("postgresql://ann:secret@host/db", "holds no password"),
    ("postgresql://ann@host/db?password=secret", "holds no password"), ("mysql://host/db", "no database that is read"),
])  # fmt: skip
def test_an_address_with_a_password_is_refused_and_not_repeated(url, said):
    with pytest.raises(ConfigError, match=said) as told_of:
        source(url, form="database", options={"table": "t", "cursor": ["id"], "key": ["id"]})
    assert "secret" not in str(told_of.value)


def test_every_type_of_a_server_is_kept_as_text_that_says_it(server, lake):
    place = Place(server)
    place.do("DROP TABLE IF EXISTS kinds")
    place.do("CREATE TABLE kinds (at timestamptz primary key, exact numeric, real_number float8, doc jsonb, "
             "list int[], day date, unique_id uuid, is_on boolean, nothing text)")  # fmt: skip
    place.do("INSERT INTO kinds VALUES ('2024-01-31T12:00:00.000001Z', 1.10, 'NaN', '{\"a\": [1, null]}', '{1,2}', "
             "'2024-02-29', '12345678-1234-5678-1234-567812345678', true, null)")  # fmt: skip
    chosen = source(server, form="database", options={"table": "public.kinds", "cursor": ["at"], "key": ["at"]})
    land(lake, chosen)
    (row,) = [json.loads(each["payload"]) for each in fetch(lake, ROWS)]
    assert row.pop("at").startswith("2024-01-31T12:00:00.000001")
    assert row == {"exact": "1.10", "real_number": "NaN", "doc": {"a": [1, None]}, "list": [1, 2], "day": "2024-02-29",
                   "unique_id": "12345678-1234-5678-1234-567812345678", "is_on": True, "nothing": None}  # fmt: skip
    assert told(land(lake, chosen))["new"] == 0
