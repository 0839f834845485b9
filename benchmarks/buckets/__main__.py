"""What a lake in a bucket costs and survives, on a real S3 server on loopback: parts, each for itself.

    python -m benchmarks.buckets                          # everything
    python -m benchmarks.buckets --only writers,faults
    python -m benchmarks.buckets --list

Every part says in its first lines what it does; it prints lines, and the last one is JSON. Exit code 1 where a part
found what must not be: a commit that was lost or doubled.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from pathlib import Path

PARTS = ("writers", "faults", "kills", "unchanged", "transfer")
"""Modules of this package with `run(folder, server) -> bool`, in the order in which they run."""


def main() -> int:
    """Run parts and return 1 if one found something wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, of: %(default)s")
    parser.add_argument("--list", action="store_true", help="print the parts and what they do")
    args = parser.parse_args()
    names = args.only.split(",")
    if unknown := sorted(set(names) - set(PARTS)):
        parser.error(f"no part {', '.join(unknown)}; known: {', '.join(PARTS)}")
    parts = {name: importlib.import_module(f"benchmarks.buckets.{name}") for name in names}
    if args.list:
        for name, part in parts.items():
            say(f"{name}: {(part.__doc__ or '').splitlines()[0]}")
        return 0

    from tests.buckets.programs import find_program
    from tests.buckets.server import serving

    program = find_program()
    if program is None:
        parser.error("no S3 server is ready; to build it: make s3-server")
    whole = True
    with tempfile.TemporaryDirectory(prefix="petrel-buckets-") as folder:
        with serving(program, Path(folder, "server")) as server:
            for name, part in parts.items():
                say(f"== {name} ({program}; load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores)")
                place = Path(folder, name)
                place.mkdir()
                whole &= part.run(place, server)
    return 0 if whole else 1


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
