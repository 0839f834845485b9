"""Whatever the order in which answers arrive, how often and by how many writers: one state."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys

import pytest

from lakehouse.lake import Lake
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.opinions.step import record_opinions
from lakehouse.query import fetch
from lakehouse.views.opinions import current_opinions_sql
from schemas.opinions import OPINIONS
from tests.lanes import examples
from tests.making import entity_id
from tests.opinions.making import csv_source, versions

NAMES = ("cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.jpg")
STATE = "eaa3c788eb2d8fd0d02d4519112e1c57ad3db5b08198ca15f764ecc1dd89fd59"
"""What `events` come to, in whatever order and batches."""

LATE = [name for name in OPINIONS.column_names if name not in ("ingest_time", "ingest_seq", "batch_id", "row_hash")]


def state(lake: Lake) -> str:
    """A hash of what holds now, without when and with which import it came."""
    rows = fetch(lake, f"select {', '.join(LATE)} from current_opinions")
    lines = sorted(json.dumps(row, sort_keys=True, default=str) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def events() -> list[dict[str, object]]:
    """Answers with times: double ones, edits, an abstention, votes, several actors, a retraction of each."""
    found: list[dict[str, object]] = []
    for place, name in enumerate(NAMES):
        for day in range(1, 5):
            label = ("cat", "dog", "lynx")[(place + day) % 3]
            found.append({"entity_id": entity_id(name), "label": label, "actor": f"human:{'ab'[day % 2]}",
                          "event_time": f"2025-01-0{day}T00:00:00Z"})  # fmt: skip
        found += [
            {"entity_id": entity_id(name), "op": "abstain", "actor": "human:c", "event_time": "2025-01-05T00:00:00Z"},
            {"entity_id": entity_id(name), "label": "cat", "actor": "pool:p", "slot": "cat", "votes": 7,
             "event_time": "2025-01-05T00:00:00Z"},
        ]  # fmt: skip
    return [*found, *found[::3]]


def test_fifty_orders_of_arrival_give_one_state(photos):
    # The events as one import makes them, retractions of some of them, then in every order into the table itself.
    record_opinions(photos, events(), source="desk", question="animal")
    rows = fetch(photos, "select * from silver.opinions order by opinion_id")
    targets = rows[::5]
    retractions = [
        {"entity_id": row["subject_id"], "op": "retract", "actor": row["actor_id"], "slot": row["slot"],
         "target_opinion_id": row["opinion_id"], "event_time": "2025-01-09T00:00:00Z"} for row in targets
    ]  # fmt: skip
    record_opinions(photos, retractions, source="desk", question="animal")
    expected = state(photos)
    made = fetch(photos, "select * from silver.opinions")
    text = current_opinions_sql()
    found = set()
    for seed in range(examples(50, long=50)):
        shuffled = made[:]
        random.Random(seed).shuffle(shuffled)
        arrived = photos.engine.from_arrow(_table(shuffled))
        ids = fetch(photos, text, inputs={"silver.opinions": arrived})
        found.add(json.dumps(sorted(row["opinion_id"] for row in ids)))
    assert found == {json.dumps(sorted(row["opinion_id"] for row in fetch(photos, "select * from current_opinions")))}
    assert expected == state(photos)


@pytest.mark.parametrize("seed", range(3))
def test_answers_with_times_written_one_batch_at_a_time_in_any_order_give_one_state(photos, seed):
    told = events()
    random.Random(seed).shuffle(told)
    for start in range(0, len(told), 12):
        record_opinions(photos, told[start : start + 12], source="desk", question="animal")
    assert state(photos) == STATE


def test_a_triple_import_and_two_overlapping_exports_add_each_answer_once(photos, tmp_path):
    header, lines = "subject,label,at\n", [f"{n}.jpg,{label},2025-01-0{n}\n" for n, label in enumerate("abcd", 1)]
    named = {"options": {"columns": {"time": "at"}}}
    for _ in range(3):
        import_opinions(photos, csv_source(tmp_path / "all.csv", header + "".join(lines[:3]), **named))
    before = versions(photos)
    import_opinions(photos, csv_source(tmp_path / "first.csv", header + "".join(lines[:2]), **named))
    assert versions(photos) == before
    receipt = import_opinions(photos, csv_source(tmp_path / "second.csv", header + "".join(lines[1:]), **named))
    assert (receipt.counts["new"], receipt.counts["same"]) == (1, 2)
    assert fetch(photos, "select count(*) as n, count(distinct opinion_id) as ids from silver.opinions") == [
        {"n": 4, "ids": 4}
    ]


PROGRAM = """
import json, sys
from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.opinions.step import record_opinions
root, source = sys.argv[1:]
config = load_config(overrides=[f"lake.root={json.dumps(root)}", "engine.workers=1"], environ={})
rows = json.loads(sys.stdin.readline())
with open_lake(config) as lake:
    for start in range(0, len(rows), 12):
        record_opinions(lake, rows[start : start + 12], source=source, question="animal")
"""


def test_two_writers_at_once_give_the_state_of_one(photos):
    running = []
    for seed, source in enumerate(("desk", "other desk")):
        told = events()
        random.Random(seed).shuffle(told)
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(photos.root), source], stdin=subprocess.PIPE,
                                   text=True, cwd=os.getcwd())  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.close()
        running.append(process)
    assert [process.wait(timeout=240) for process in running] == [0, 0]
    rows = fetch(photos, "select opinion_id, ingest_seq from silver.opinions")
    assert len(rows) == len({row["opinion_id"] for row in rows}) == len({row["ingest_seq"] for row in rows}) == 24
    assert state(photos) == STATE


def _table(rows):
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=OPINIONS.arrow_schema)
