"""Two processes with 100 commits each to one table at once, of each pair of engines, in a folder and in a bucket.

Also: how long a killed holder of a lease delays the next one. COMMITS and PAIRS of the environment make it smaller.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter
from pathlib import Path

from benchmarks.buckets.__main__ import say
from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import head
from schemas.tables import ACTORS
from tests.buckets.server import Server
from tests.buckets.writer import go, start

COMMITS = int(os.environ.get("COMMITS", "100"))
PAIRS = os.environ.get("PAIRS", "embedded+embedded,embedded+spark,spark+spark").split(",")
LEASE_S = 3.0


def run(folder: Path, server: Server) -> bool:
    """Measure; True if nothing was lost or doubled."""
    bucket = server.make_bucket("writers")
    os.environ.update(bucket.environment())
    found = []
    for pair in PAIRS:
        for place in ("folder", "bucket"):
            address = str(folder / pair) if place == "folder" else f"{bucket.url}/{pair.replace('+', '-')}"
            found.append({"place": place, "engines": pair, **_pair(address, pair.split("+"), folder / "fresh")})
            say(f"{place} {pair}: {json.dumps(found[-1])}")
    delays = [_delay(f"{bucket.url}/delay-{number}", bucket.url, folder / "copies") for number in range(3)]
    told = ", ".join(f"{each:.2f}" for each in delays)
    say(f"killed holders of a lease of {LEASE_S:g} s delayed the next by {told} s")
    say(json.dumps({"writers": found, "delays_s": delays, "lease_s": LEASE_S}))
    return not any(each["lost"] or each["doubled"] for each in found)


def _pair(address: str, engines: list[str], fresh: Path) -> dict[str, object]:
    root, copies = f"lake.root={json.dumps(address)}", f"lake.copies={json.dumps(str(fresh.with_name('copies')))}"
    with open_lake(load_config(overrides=[root, copies]), create=True) as lake:
        before = head(lake.home, ACTORS)
    writers = [
        start(address, f"{engine}-{number}", COMMITS, options=["--engine", engine, "--set", copies])
        for number, engine in enumerate(engines)
    ]
    began = time.monotonic()
    told = go(writers, timeout_s=3600)
    seconds = time.monotonic() - began
    with open_lake(load_config(overrides=[root, f"lake.copies={json.dumps(str(fresh))}"])) as lake:
        rows = Counter(lake.read_table(ACTORS.name).column("actor_id").to_pylist())
        commits = head(lake.home, ACTORS) - before
    return {
        "commits": commits, "told": len(told), "lost": len(set(told) - set(rows)),
        "doubled": sum(rows.values()) - len(rows) + commits - len(told), "seconds": round(seconds, 1),
        "median_s": round(statistics.median(told.values()), 3), "slowest_s": round(max(told.values()), 2),
        "load": round(os.getloadavg()[0]),
    }  # fmt: skip


def _delay(address: str, url: str, copies: Path) -> float:
    """Return how much longer an append takes after a holder was killed than one before."""
    short = [
        f"stores.here.url={json.dumps(url)}", f"stores.here.lease_s={LEASE_S}",
        f"lake.copies={json.dumps(str(copies))}",
    ]  # fmt: skip
    with open_lake(load_config(overrides=[f"lake.root={json.dumps(address)}", *short]), create=True) as lake:

        def append(name: str) -> float:
            began = time.monotonic()
            insert_rows(lake, ACTORS, [{"actor_id": f"human:{name}", "kind": "human", "name": name}], step="delay")
            return time.monotonic() - began

        append("warm")
        usual = append("usual")
        holder = start(address, "gone", options=["--hold", *(word for each in short for word in ("--set", each))])
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        holder.stdout.readline()
        holder.kill()
        holder.communicate()
        return append("next") - usual
