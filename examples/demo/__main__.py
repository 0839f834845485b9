"""The whole path on real files: land, measure, label, build, materialise, train, predict, evaluate.

    python -m examples.demo                              scikit-learn's handwritten digits, below .demo/digits
    python -m examples.demo --data ../photos             your folder: ImageFolder, images + CSV of opinions, Pascal VOC
    python -m examples.demo --engine embedded            without Spark; spark: with Spark only

Every step runs in this process on the embedded engine, up to the model and its report. With Java 17 and pyspark they
then run as one spark-submit job into a second lake, and the two must agree. A second run finds nothing to do, and says
so.

Exit code 0: done, and the model passed its gates; 3: it did not; 1: something went wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from examples.demo.digits import NUM_DIGITS
from examples.demo.flow import run_demo
from examples.demo.plan import DEMO_FOLDER, Plan
from examples.demo.prepare import name_of, prepare_digits, prepare_folder
from examples.demo.steps import why_no_spark
from jobs.common import guarded
from jobs.output import say
from lakehouse.errors import EnvironmentProblemError

ENGINES = ("embedded", "spark", "both")


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="FOLDER", help="a folder of images (default: the digits)")
    parser.add_argument("--engine", choices=ENGINES, help="default: both where Java 17 and pyspark are, else embedded")
    parser.add_argument("--lake", metavar="PLACE", help="folder or URL of the lake (default: lake in the demo's)")
    parser.add_argument("--home", metavar="FOLDER", help=f"folder of the demo (default: {DEMO_FOLDER}/<name>)")
    parser.add_argument("--images", type=int, default=NUM_DIGITS, help="only the first digits, for a quick look")
    parser.add_argument("--verbose", action="store_true", help="errors with their whole history")
    args = parser.parse_args(argv)
    return guarded(lambda: _demo(args), verbose=args.verbose)


def _demo(args: argparse.Namespace) -> int:
    started = time.monotonic()
    plan = _plan(args)
    say(f"Demo {plan.name}: {plan.found}; everything lies in {plan.home}")
    lake = (args.lake or str(plan.home / "lake")).rstrip("/")
    spark_lake = f"{lake}-spark"
    missing = None if args.engine == "embedded" else why_no_spark()
    if missing is not None and args.engine is not None:
        raise EnvironmentProblemError(missing)
    if missing is not None:
        say(f"Left out the run on Spark: {missing}")
    engine = args.engine or ("embedded" if missing else "both")
    lakes = {"embedded": {"embedded": lake}, "spark": {"spark": spark_lake}}
    return run_demo(plan, lakes.get(engine, lakes["embedded"] | lakes["spark"]), started=started)


def _plan(args: argparse.Namespace) -> Plan:
    if args.data is None:
        return prepare_digits(Path(args.home or DEMO_FOLDER / "digits"), limit=args.images)
    data = Path(args.data)
    return prepare_folder(data, Path(args.home or DEMO_FOLDER / name_of(data)), name=name_of(data))


if __name__ == "__main__":
    sys.exit(main())
