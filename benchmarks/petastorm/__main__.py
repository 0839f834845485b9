"""Petrel's `loaders.petastorm` and Petastorm 0.13.1, the same programs on the same files.

    python -m benchmarks.loaders --setup petastorm         # Petastorm's environment, once
    python -m benchmarks.petastorm                         # everything, 5 rounds: about half an hour on 2 cores
    python -m benchmarks.petastorm --only rows,jpeg --settings dummy --rounds 9 --out rows.json
    python -m benchmarks.petastorm --quick                 # one short round, no search for the best setting
    python -m benchmarks.petastorm.opens                   # how many of 1,000 reads are short

Petastorm is first tried with every pool and 1, 2, 4 and 10 workers; the fastest is compared.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.loaders.machine import machine_facts
from benchmarks.petastorm.comparing import compare
from benchmarks.petastorm.sets import LAYOUTS
from benchmarks.petastorm.table import render
from benchmarks.petastorm.workloads import THEIRS, WORKLOADS


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for and print the tables."""
    args = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    facts = machine_facts()
    if facts["load_before"] > 1:
        logging.warning("the machine is busy (load %.1f): rates mean little", facts["load_before"])
    if args.quick:
        args.rounds, args.settings = 1, args.settings or ["dummy"]
    found = compare(
        args.only, args.files, rounds=args.rounds, least_s=0.3 if args.quick else 1.5, settings=args.settings
    )
    table = render(found)
    if args.out:
        results = {"machine": facts, "command": sys.argv[1:], "found": [asdict(one) for one in found], "table": table}
        args.out.write_text(json.dumps(results, indent=1))
    sys.stdout.write(table)
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.petastorm", description="Petrel and Petastorm.")
    parser.add_argument("--only", type=names(WORKLOADS), default=list(WORKLOADS), metavar="WORKLOAD,...")
    parser.add_argument("--files", type=names(LAYOUTS), default=list(LAYOUTS), metavar="WRITER,...")
    parser.add_argument("--settings", type=names(THEIRS), default=[], metavar="SETTING,...", help="of Petastorm")
    parser.add_argument("--rounds", type=int, default=5, help="times that both are measured (5)")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write all figures as JSON")
    return parser.parse_args(argv)


def names(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return a parser of names that are separated by commas."""

    def parse(text: str) -> list[str]:
        chosen = [name for name in text.split(",") if name]
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(known)}")
        return chosen

    return parse


if __name__ == "__main__":
    sys.exit(main())
