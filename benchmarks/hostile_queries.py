"""Queries that mean harm, each run as `petrel sql` would: contained in its memory and time, the lake as it was?

    python -m benchmarks.hostile_queries                   # all of tests/sql/attacks.sql and resource_attacks.sql
    python -m benchmarks.hostile_queries --timeout 3 --memory-mb 700 --at-once 2

Files, network, settings, attach, copy, install, pragma and functions of the machine, which the gate refuses; bombs of
memory and time, quadratic joins, regular expressions, nesting, long literals, arrays and clauses of ours, which end at
a limit. A baseline: the same query process with `select 1`. The exit code is 1 if one of them answers, takes more
memory than its limit or more than a second longer, or if a file of the lake is another afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import re
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lakehouse.config import SqlConfig
from lakehouse.errors import PetrelError, QueryRefusedError
from lakehouse.sql import user_query
from tests.making import add_entities, add_opinions, opinion, small_lake

TEXTS = Path(__file__).parents[1] / "tests" / "sql"
MADE = (
    "select " + "(" * 20_000 + "1" + ")" * 20_000,
    "select " + "- " * 30_000 + "1",
    "select '" + "x" * 70_000 + "' as x",
    "select 1 where " + " or ".join(f"{i} = {i + 1}" for i in range(4_000)),
    "select " + "[" * 5_000 + "1" + "]" * 5_000,
    "with " + ", ".join(f"t{i} as (select * from t{i - 1}, t{i - 1} b)" if i else "t0 as (select 1 as a)"
                        for i in range(40)) + " select count(*) from t39",
    "select x" + "[0, 1]" * 2_000 + " from (select 1 as x)",
    "select " + "case when true then " * 5_000 + "1" + " end" * 5_000,
)  # fmt: skip
"""What is too long or too deep to be kept as text. Some are harmless, and may answer."""


def main() -> int:
    """Run them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--timeout", type=float, default=3.0)
    parser.add_argument("--memory-mb", type=int, default=700)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="of what the gate refuses, take each so many-th alone")
    args = parser.parse_args()
    limits = SqlConfig(timeout_s=args.timeout, memory_mb=args.memory_mb)
    peaks = _Peaks()
    logging.getLogger("lakehouse.sql.contained").addHandler(peaks)
    logging.getLogger("lakehouse.sql.contained").setLevel(logging.INFO)
    kept = [text for name, every in (("attacks", args.every), ("resource_attacks", 1)) for text in
            (TEXTS / f"{name}.sql").read_text(encoding="utf-8").strip().split("\n\n")[::every]]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "lake"
        with small_lake(root) as lake:
            add_entities(lake, ["one", "two", "three"])
            add_opinions(lake, [opinion("one", "human:ann", "cat")])
        before = _digest(root)

        def ask(text: str) -> tuple[str, float]:
            begun = time.perf_counter()
            try:
                user_query(root, text, limits=limits)
                found = "answered"
            except QueryRefusedError:
                found = "refused"
            except PetrelError as error:
                told = str(error)
                found = "time" if "--timeout" in told else "memory" if "--memory-mb" in told else "failed"
            return found, time.perf_counter() - begun

        start = min(ask("select 1 as one")[1] for _ in range(3))
        with ThreadPoolExecutor(args.at_once) as pool:
            ended = list(pool.map(ask, [*kept, *MADE]))
        changed = _digest(root) != before
    answered = [text[:80] for text, (how, _) in zip(kept, ended, strict=False) if how == "answered"]
    longest = max(seconds for _, seconds in ended)
    line = {
        "queries": len(ended), "ended": dict(Counter(how for how, _ in ended)), "answered_of_the_corpus": answered,
        "select_1_s": round(start, 2), "longest_s": round(longest, 2), "limit_s": args.timeout,
        "peak_mb": max(peaks.found), "limit_mb": args.memory_mb, "lake_unchanged": not changed,
    }  # fmt: skip
    sys.stdout.write(json.dumps(line) + "\n")
    return int(bool(answered) or changed or longest > args.timeout + 1 or max(peaks.found) > args.memory_mb)


class _Peaks(logging.Handler):
    """Gathers what the processes took, MB."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take the number of a line."""
        self.found += [int(each) for each in re.findall(r"peak_mb=(\d+)", record.getMessage())]


def _digest(root: Path) -> str:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    told = [(str(path.relative_to(root)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    return hashlib.sha256(repr(told).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
