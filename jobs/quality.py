"""Check what tables are expected to hold; a suite that fails stops `build` and `materialise`.

    ./spark-submit.sh jobs/quality.py --lake my_lake --suites conf/quality
    petrel quality --lake my_lake --suites conf/quality --after dimensions
    petrel quality --lake my_lake --suites conf/quality/media.toml --allow-failed "night shots of May are dark"
    petrel quality --lake my_lake --retire media="said by pictures.toml now"      # its file is gone: it stops nothing
    petrel quality --lake my_lake --html quality.html        # the last run of every suite, as one page

`petrel run` does it after each step, where the pipeline names suites. Needs petrel-lakehouse[quality].

Exit code 0: nothing stops a dataset; 3: an expectation that blocks does not hold; 1: it could not be checked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.common import main_of, pairs
from jobs.output import say, say_json
from lakehouse.errors import ConfigError
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.config import Config
    from lakehouse.lake import Lake
    from lakehouse.quality.suite import Suite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--suites", metavar="PLACE", help="file of a suite, or folder of such files")
    parser.add_argument("--after", default="", metavar="STEP", help="only the suites that are checked after this step")
    parser.add_argument(
        "--allow-failed", default="", metavar="REASON", help="record why failures of this run stop nothing"
    )
    parser.add_argument("--retire", action="append", default=[], metavar="SUITE=REASON",
                        help="record why a suite is checked no more: it stops nothing from then on")  # fmt: skip
    parser.add_argument("--html", metavar="FILE", type=Path, help="write the last run of every suite as one page")


def check(args: argparse.Namespace, config: Config) -> None:
    """Refuse what cannot be read, before any work."""
    if not (args.suites or args.html or args.retire):
        raise ConfigError("expected --suites, a file or folder of suites to check, --retire, one that is gone, or "
                          "--html, a report to write")  # fmt: skip
    pairs("--retire", args.retire)
    if args.allow_failed and not args.suites:
        raise ConfigError("--allow-failed: state with --suites which suites are checked")
    if args.suites:
        _suites(args)


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Run the step."""
    from lakehouse.quality.page import quality_page
    from lakehouse.quality.step import quality
    from lakehouse.quality.verdicts import last_run, last_runs, retire, said_of
    from loaders.stores.files import write_durably

    for name, reason in pairs("--retire", args.retire).items():
        yield retire(lake, name, reason)
    if args.suites:
        suites = _suites(args)
        yield quality(lake, suites, allow_failed=args.allow_failed)
        for row in (row for suite in suites for row in last_run(lake, suite.name)):
            if args.json:
                say_json(row)
            elif not row["passed"]:
                say(f"  {said_of(row)}")
    if args.html:
        rows = last_runs(lake)
        if not rows:
            raise ConfigError("no quality suite ever ran in this lake; state some with --suites")
        write_durably(args.html, quality_page(rows).encode())
        if args.json:
            say_json({"written": str(args.html)})
        else:
            say(f"quality report: {args.html}")


def _suites(args: argparse.Namespace) -> tuple[Suite, ...]:
    from lakehouse.quality.suite import load_suites

    found = load_suites(args.suites)
    chosen = tuple(suite for suite in found if args.after in ("", suite.after))
    if not chosen:
        steps = ", ".join(sorted({suite.after for suite in found}))
        raise ConfigError(f"{args.suites}: no suite is checked after `{args.after}`; there are some after: {steps}")
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
