"""Processes that write to one table at once, in a folder and in a bucket: nothing is lost or doubled."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.leases import leases
from lakehouse.tables.read import head
from schemas.tables import ACTORS
from tests.buckets.lakes import lake_at, use  # noqa: F401 - a fixture
from tests.buckets.writer import go, start

COMMITS = 10
LEASE_S = 3.0


def test_of_processes_that_commit_at_once_no_commit_is_lost_or_doubled(lake_at, tmp_path) -> None:  # noqa: F811
    before = made(lake_at)
    # The first two read one copy of the tables, the third has its own: two machines.
    elsewhere = ["--set", f"lake.copies={json.dumps(str(tmp_path / 'elsewhere'))}"]
    writers = [
        start(lake_at, name, COMMITS, options=options) for name, options in (("a", ()), ("b", ()), ("c", elsewhere))
    ]
    told = go(writers)
    assert len(told) == 3 * COMMITS
    rows, after = written(lake_at, tmp_path / "fresh")
    assert rows == Counter(dict.fromkeys(told, 1))
    assert after - before == 3 * COMMITS


def test_a_killed_holder_delays_others_by_its_lease_and_no_longer(bucket, tmp_path, monkeypatch) -> None:
    address = use(bucket, tmp_path, monkeypatch)
    made(address)
    short = [f"stores.here.url={json.dumps(bucket.url)}", f"stores.here.lease_s={LEASE_S}"]
    holder = start(address, "gone", options=["--hold", *(word for each in short for word in ("--set", each))])
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "held\n"
    with open_lake(load_config(overrides=[f"lake.root={json.dumps(address)}", *short])) as lake:
        ((name, held, _),) = leases(lake.files)
        time.sleep(1.5 * LEASE_S)  # longer than its lease: as long as it lives it keeps it
        ((_, still, _),) = leases(lake.files)
        assert (name, still.fence, still.owner) == (ACTORS.name, held.fence, held.owner)
        assert still.renewals > held.renewals
        holder.kill()
        holder.communicate()
        began = time.monotonic()
        assert (
            insert_rows(
                lake, ACTORS, [{"actor_id": "human:next", "kind": "human", "name": "next"}], step="test"
            ).rows_new
            == 1
        )
        waited_s = time.monotonic() - began
    assert waited_s < LEASE_S + 10
    assert json.loads(lake.files.read_whole(f"_locks/{ACTORS.name}.json"))["fence"] == held.fence + 1


def made(address: str) -> int:
    with open_lake(load_config(overrides=[f"lake.root={json.dumps(address)}"]), create=True) as lake:
        return head(lake.home, ACTORS)


def written(address: str, copies: Path) -> tuple[Counter[str], int]:
    """Return the keys of the table as somebody reads them who has no copy, and its version."""
    with open_lake(
        load_config(overrides=[f"lake.root={json.dumps(address)}", f"lake.copies={json.dumps(str(copies))}"])
    ) as lake:
        return Counter(lake.read_table(ACTORS.name).column("actor_id").to_pylist()), head(lake.home, ACTORS)
