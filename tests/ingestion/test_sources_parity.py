"""Both engines land the same of archives, shards, databases and items: the same rows, to the hash."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from lakehouse.ingestion.land import land
from lakehouse.ingestion.land_items import land_items
from lakehouse.query import fetch
from lakehouse.serving.capture import capture
from tests.ingestion.files import png, put, source
from tests.ingestion.packed import tar, zipped
from tests.lanes import examples
from tests.parity.world import opened

TABLES = ("bronze.landed_files", "bronze.containers", "bronze.raw_records")


def told(lake, drop):
    receipts = []
    for _ in range(examples(1, long=2)):
        receipts += [
            land(lake, source(drop / "packed", name="packed", form="archives")),
            land(lake, source(drop / "clinic.sqlite", name="clinic", form="database",
                              options={"table": "scans", "cursor": ["id"], "key": ["id"]})),
            land_items(lake, "made", [("a", b"a", {"b": 1})]),
            *capture(lake, source(drop / "served", name="served", form="capture", options={"question": "animal"})),
        ]  # fmt: skip
    rows = {name: fetch(lake, f"select row_hash from {name} order by row_hash") for name in TABLES}
    events = fetch(lake, "select * from served_events order by event_id")
    return [receipt.counts for receipt in receipts], rows, events


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_every_form_comes_to_the_same_on_both_engines(tmp_path):
    drop = tmp_path / "drop"
    put(drop, "packed/x.tar", tar([("1.png", png(1)), ("../up.png", b"1"), ("a.zip", b"2")]))
    put(drop, "packed/y.zip", zipped([("2.png", png(2)), ("1.png", png(1))]))
    put(drop, "packed/z.tar", tar([("3.png", png(3)), ("4.png", png(4))])[:1400])
    put(drop, "served/inputs/e1.png", png(1))
    put(drop, "served/a.jsonl", b'{"event_id": "e1", "part": "prediction", "model": "net@3", "label": "cat"}\n'
                                b'{"event_id": "e2", "part": "metadata"}\n')  # fmt: skip
    with closing(sqlite3.connect(drop / "clinic.sqlite")) as connection, connection:
        connection.execute("create table scans (id integer primary key, picture blob)")
        connection.executemany("insert into scans values (?, ?)", [(number, png(number)) for number in range(3)])
    found = {}
    for engine in ("embedded", "spark"):
        with opened(tmp_path / engine, engine) as lake:
            found[engine] = told(lake, drop)
    assert found["spark"] == found["embedded"]
    counts, rows, events = found["embedded"]
    assert counts[0] == {"seen": 7, "stored": 4, "duplicate": 1, "refused": 2, "unchanged": 0}
    assert [len(each) for each in rows.values()] == [12, 2, 8]
    assert [(event["event_id"], event["num_inputs"], event["num_predictions"]) for event in events] == [
        ("e1", 1, 1), ("e2", 0, 0)
    ]  # fmt: skip
