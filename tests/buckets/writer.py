"""A program that appends to a lake, commit after commit, beside others that do the same.

    python -m tests.buckets.writer LAKE NAME COMMITS [--engine spark] [--set stores.here.lease_s=3] [--hold]

It says `ready`, waits for a line on stdin, and prints a line for each commit that it was told is made: the key of its
row and its seconds. With `--hold` it takes the lock of the table instead, says `held`, and keeps it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.locks import lake_lock
from schemas.tables import ACTORS

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> int:
    """Write until all commits are made."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lake")
    parser.add_argument("name")
    parser.add_argument("commits", type=int)
    parser.add_argument("--engine", default="embedded")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--hold", action="store_true")
    args = parser.parse_args()
    config = load_config(overrides=[f"lake.root={json.dumps(args.lake)}", "engine.workers=1", *args.set])
    with open_lake(config, engine=args.engine) as lake:
        _ = lake.engine  # a JVM takes seconds: all begin at the same moment
        _say("ready")
        sys.stdin.readline()
        if args.hold:
            with lake_lock(lake, ACTORS.name):
                _say("held")
                threading.Event().wait()
        for number in range(args.commits):
            began = time.monotonic()
            key = f"human:{args.name}-{number}"
            done = insert_rows(lake, ACTORS, [{"actor_id": key, "kind": "human", "name": key}], step="writer")
            assert done.rows_new == 1, done
            _say(f"{key} {time.monotonic() - began:.3f}")
    return 0


def start(
    lake: str, name: str, commits: int = 0, *, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start one and return it when it is ready."""
    command = [sys.executable, "-m", "tests.buckets.writer", lake, name, str(commits), *options]
    started = subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=None if environment is None else dict(environment),
    )  # fmt: skip
    assert started.stdout is not None
    first = started.stdout.readline()
    if first != "ready\n":
        raise AssertionError(f"{name} said {first!r} and {started.communicate()[1][-2000:]}")
    return started


def go(writers: Sequence[subprocess.Popen[str]], *, timeout_s: float = 500.0) -> dict[str, float]:
    """Let writers begin, wait for their ends, and return key -> seconds of all commits that they were told are made.

    Raises:
        AssertionError: If one failed; the message is what it said.
    """
    for each in writers:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    told: dict[str, float] = {}
    for each in writers:
        said, complained = each.communicate(timeout=timeout_s)
        if each.returncode:
            raise AssertionError(f"exit code {each.returncode} after {said[-200:]!r}: {complained[-2000:]}")
        told |= {line.split()[0]: float(line.split()[1]) for line in said.splitlines()}
    return told


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
