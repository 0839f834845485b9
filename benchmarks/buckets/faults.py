"""500 operations on a lake in a bucket that answers a fifth of the requests with a fault; what was lost or doubled.

OPERATIONS of the environment makes it smaller.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from benchmarks.buckets.__main__ import say
from lakehouse.audit.verify import verify
from tests.buckets.faults import Chance
from tests.buckets.operations import Operations
from tests.buckets.proxy import standing_before
from tests.buckets.server import Server

OPERATIONS = int(os.environ.get("OPERATIONS", "500"))
FAULTS = (
    Chance(("500", "503", "429", "reset", "lost", "late", "cut", "short", "html", "stale"), rate=0.19, seed=7),
    Chance(("slow", "dead", "drip"), rate=0.01, seed=8),
)


def run(folder: Path, server: Server) -> bool:
    """Work; True if nothing was lost or doubled."""
    with standing_before(server.endpoint) as proxy:
        bucket = server.make_bucket("faults").through(proxy.endpoint)
        os.environ.update(bucket.environment())
        done = Operations(f"{bucket.url}/lake", folder, [f"lake.copies={json.dumps(str(folder / 'copies'))}"])
        with done.open():
            proxy.forget()
        began = time.monotonic()
        with proxy.injecting(*FAULTS):
            done.work(OPERATIONS)
        seconds = time.monotonic() - began
        requests, struck = len(proxy.seen), proxy.struck()
        done.overrides = [f"lake.copies={json.dumps(str(folder / 'fresh'))}"]
        missing, doubled = done.missing_and_doubled()
        with done.open() as lake:
            damages = [str(each) for each in verify(lake)]
    for line in done.failed:
        say(f"run again after: {line}")
    rows = sum(map(len, done.expected.values()))
    faults = sum(struck.values())
    say(f"{OPERATIONS} operations, {requests} requests, {faults} faults ({faults / requests:.0%}): {dict(struck)}")
    lost, twice = (sum(map(len, each.values())) for each in (missing, doubled))
    again = len(done.failed)
    say(f"rows {rows}, lost {lost}, doubled {twice}, damages {len(damages)}, run again {again}, {seconds:.0f} s")
    say(json.dumps({
        "operations": OPERATIONS, "requests": requests, "faults": struck, "rows": rows, "lost": lost, "doubled": twice,
        "damages": damages, "run_again": again, "seconds": round(seconds, 1),
    }))  # fmt: skip
    return not (missing or doubled or damages)
