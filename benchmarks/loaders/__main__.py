"""Petrel, the limits and its peers side by side.

    python -m benchmarks.loaders --setup                  # make the environments of all peers (once, about a minute)
    python -m benchmarks.loaders                          # 5 rounds of everything, then the order audit
    python -m benchmarks.loaders --only photos256 --peers lancedb,petastorm --rounds 5 --out photos.json
    python -m benchmarks.loaders --quick                  # one short round: does everything run?
    python -m benchmarks.loaders --audit-only

Petrel and the limits are always measured. `--peers ''` measures nothing else.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.loaders.audit import audit, render_audit
from benchmarks.loaders.environments import set_up
from benchmarks.loaders.machine import machine_facts
from benchmarks.loaders.plan import ENVIRONMENTS, PEERS, REFERENCE_LIMIT, chosen
from benchmarks.loaders.rounds import Pace, measure
from benchmarks.loaders.table import render
from benchmarks.loaders.workloads import WORKLOADS, make_data

_QUICK = Pace(warm_s=1.0, least_s=0.3, cap_s=1.5, look_s=1.5)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for and print the tables."""
    args = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if args.setup is not None:
        failures = set_up(args.setup or ENVIRONMENTS)
        for name, reason in failures.items():
            logging.error("%s: %s", name, reason)
        return 1 if failures else 0
    results: dict[str, Any] = {"machine": machine_facts(), "command": sys.argv[1:]}
    if results["machine"]["load_before"] > 1:
        logging.warning("the machine is busy (load %.1f): rates mean little", results["machine"]["load_before"])
    tables = []
    if not args.audit_only:
        data = {name: make_data(WORKLOADS[name]) for name in args.only}
        pace = _QUICK if args.quick else Pace()
        lines = measure(chosen(args.only, args.peers), data, rounds=1 if args.quick else args.rounds, pace=pace, seed=7)
        results |= {
            "pace": asdict(pace),
            "data": {name: {"sha256": each.sha256, "source_bytes": each.source_bytes} for name, each in data.items()},
            "lines": [{**asdict(line), "name": line.setting.name} for line in lines],
        }
        tables.append(render(lines, data))
    if args.audit_only or not args.no_audit:
        answers = audit(args.peers, make_data(WORKLOADS["audit"]), seed=7)
        results["audit"] = answers
        tables.append(render_audit(answers))
    results["table"] = "\n".join(tables)
    if args.out:
        args.out.write_text(json.dumps(results, indent=1))
    sys.stdout.write(results["table"])
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loaders", description="Loaders side by side.")
    parser.add_argument("--setup", nargs="*", metavar="ENVIRONMENT", help="make environments (all if none is named)")
    parser.add_argument("--only", type=_names(REFERENCE_LIMIT), default=list(REFERENCE_LIMIT), metavar="WORKLOAD,...")
    parser.add_argument("--peers", type=_names(PEERS), default=list(PEERS), metavar="PEER,...")
    parser.add_argument("--rounds", type=int, default=5, help="times that every setting is measured (5)")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--no-audit", action="store_true", help="leave out the order audit")
    parser.add_argument("--audit-only", action="store_true", help="nothing but the order audit")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write all figures as JSON")
    args = parser.parse_args(argv)
    args.peers = list(dict.fromkeys(["petrel", *args.peers]))
    return args


def _names(known: Sequence[str] | dict[str, str]) -> Any:
    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(known)}")
        return names

    return parse


if __name__ == "__main__":
    sys.exit(main())
