"""Files arrive while `petrel watch` is killed again and again: is each of them landed exactly once?

    python -m benchmarks.watching                       # 500 files, 10 kills, embedded engine
    python -m benchmarks.watching --engine spark        # the same by a streaming query of Spark

Files are moved to their place or written where they are, and every tenth one is overwritten. Kills are `kill -9` of the
watch and of all that it started. The exit code is 1 if a file is missing, doubled, landed half, or is no entity.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from tests.recovery.arriving import Arriving


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("embedded", "spark"), default="embedded")
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=16)
    args = parser.parse_args()
    chance, began = random.Random(args.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        stream = Arriving(Path(folder) / "lake", Path(folder) / "drop", engine=args.engine)
        each = args.files // (args.kills + 1)
        stream.arrive(args.files - each * args.kills, chance=chance)
        for _ in range(args.kills):
            stream.watch_and_kill(after_lines=chance.randint(1, 4), arrive=each, chance=chance)
        stream.end()
        faults = stream.faults()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        figures = {
            "engine": args.engine, "written": sum(map(len, stream.whole.values())), "files": len(stream.whole),
            "kills": stream.killed, **faults,
            "seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        }  # fmt: skip
        sys.stdout.write(json.dumps(figures) + "\n")
    return 1 if any(faults.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
