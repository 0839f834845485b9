"""What a step of a small lake costs with Spark, warm: wall seconds and jobs of Spark's, beside the embedded engine.

    python -m benchmarks.spark                   # 1,800 tiny pictures and 800 opinions; about three minutes
    python -m benchmarks.spark --files 200

Every engine goes the whole way twice in one process, in lakes of its own: the first way starts the JVM, its Python
workers and the pool, and only the second is told of. `spark alone` is Spark with engine.driver_mb = 0: every relation,
however small, is worked on by Spark's jobs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from lakehouse.config import load_config
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.dimensions.step import dimensions
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.opening import open_lake
from lakehouse.opinions.step import OpinionSource, opinions
from lakehouse.steps.receipts import Receipt

PLANS = {"embedded": ("embedded", 64), "spark": ("spark", 64), "spark alone": ("spark", 0)}


def go(root: Path, folder: Path, engine: str, driver_mb: int) -> dict[str, tuple[float, int]]:
    """Go the whole way; returns step -> (wall seconds, jobs)."""
    steps: dict[str, Callable[[Lake], Receipt]] = {
        "land": lambda lake: land(lake, Source(name="tiny", folder=str(folder))),
        "entities": entities,
        "dimensions": dimensions,
        "opinions": lambda lake: opinions(
            lake,
            OpinionSource(
                format="csv",
                path=str(folder.with_suffix(".csv")),
                question="parity",
                actor="human:ann",
                source="tiny",
                name="labels",
                options={"columns": {"subject": "file", "label": "label"}},
            ),
        ),
        "build": lambda lake: build(lake, Recipe(name="tiny", question="parity")),
    }
    config = load_config(overrides=[f'lake.root="{root}"', f"engine.driver_mb={driver_mb}"], environ={})
    found = {}
    with open_lake(config, engine=engine, create=True) as lake:
        for name, run in steps.items():
            before = jobs() if engine == "spark" and lake.engine else 0
            seconds = run(lake).seconds
            found[name] = (seconds, jobs() - before if engine == "spark" else 0)
    return found


def jobs() -> int:
    """How many jobs the running session has had."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    return 0 if session is None else len(session.sparkContext.statusTracker().getJobIdsForGroup())


def main() -> int:
    """Measure and print one line a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1800)
    parser.add_argument("--opinions", type=int, default=800)
    parser.add_argument("--plans", default=",".join(PLANS), help="which, of: %(default)s")
    args = parser.parse_args()

    from tests import corpus

    found = {}
    with tempfile.TemporaryDirectory(prefix="petrel-spark-") as name:
        folder = Path(name, "tiny")
        corpus.small_images(folder, args.files)
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        rows = [f"{file},{('even', 'odd')[place % 2]}" for place, file in enumerate(files[: args.opinions])]
        folder.with_suffix(".csv").write_text("\n".join(["file,label", *rows]), encoding="utf-8")
        for plan in args.plans.split(","):
            for warmth in ("cold", "warm"):
                found[plan] = go(Path(name, f"{plan} {warmth}"), folder, *PLANS[plan])
    out = sys.stdout
    out.write(f"{args.files} files, {args.opinions} opinions; warm; wall seconds (jobs of Spark's)\n")
    for step in next(iter(found.values())):
        cells = [f"{plan} {seen[step][0]:6.2f} ({seen[step][1]:3})" for plan, seen in found.items()]
        out.write(f"{step:<12}{'   '.join(cells)}\n")
    out.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
