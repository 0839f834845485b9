"""The demo's digits in one lake: every step, by the embedded engine or on a Spark cluster of two machines.

    python -m tests.buckets.digits LAKE PIPELINE OUT                             embedded
    python -m tests.buckets.digits LAKE PIPELINE OUT --workers FOLDER            on a cluster

A program of its own, for the cluster needs a session of its own. Its workers are other processes, with a home, a
working folder and one for temporary files in FOLDER, which refuse to look at anything that the driver has: all that
lies in the folder of PIPELINE, in which the driver's home, cache and temporary files are too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from examples.demo.prepare import prepare_digits
from jobs import run
from lakehouse.cache import cache_root
from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.query import fetch
from lakehouse.tables.read import digest_at, head
from schemas.tables import TABLES
from tests.lanes import FEW_ROWS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse.lake import Lake
    from tests.buckets.server import Bucket

REPOSITORY = Path(__file__).resolve().parents[2]
MASTER = "local-cluster[2,1,1024]"
NOW = datetime(2026, 3, 1, tzinfo=UTC)

GUARD = """
import os, sys

def refuse(event, args, forbidden=os.environ["DRIVER_ONLY"]):
    if event in ("open", "os.listdir", "os.scandir", "os.mkdir") and str(args[0]).startswith(forbidden):
        raise PermissionError(f"a worker looked at {args[0]}, which only the driver has")

sys.addaudithook(refuse)
"""
"""`sitecustomize.py` of the workers."""


def prepare(bucket: Bucket, folder: Path, *, images: int, imports: int = 4) -> Path:
    """Put the digits into a bucket, labels and recipe into a folder; return the pipeline, with its first imports."""
    plan = prepare_digits(folder, limit=images)
    store = bucket.store()
    for name in ("images", "leftovers"):
        for path in sorted((folder / "data" / name).rglob("*.png")):
            store.put(f"drop/{path.relative_to(folder / 'data')}", path.read_bytes())
    text = plan.pipeline.read_text()
    for name in ("images", "leftovers"):
        text = text.replace(f'folder = "data/{name}"', f'folder = "{bucket.url}/drop/{name}"')
    *asked, last = text.split("[[opinions]]")
    rest = last[last.index("[[datasets]]") :]
    opinions = [*asked[1:], last[: last.index("[[datasets]]")]][:imports]
    plan.pipeline.write_text("[[opinions]]".join([asked[0], *opinions]) + rest)
    return plan.pipeline


def environment(bucket: Bucket, driver: Path) -> dict[str, str]:
    """Return the environment of the driver's process."""
    for name in ("home", "tmp"):
        (driver / name).mkdir(exist_ok=True)
    return {
        **os.environ, **bucket.environment(), "PYTHONPATH": str(REPOSITORY), "HOME": str(driver / "home"),
        "TMPDIR": str(driver / "tmp"), "PETREL_CACHE": str(cache_root()),  # where the Java archives are
    }  # fmt: skip


def facts_of(lake: Lake) -> dict[str, object]:
    """Return what two lakes with the same rows have in common."""
    return {
        "digests": {table.name: str(digest_at(lake, table, head(lake.home, table))) for table in TABLES},
        "datasets": fetch(lake, "select name, dataset_id, members_digest from gold.datasets order by name"),
        "contents": fetch(lake, "select folder, rows, content_digest from gold.materialisations order by folder"),
    }


def start_cluster(driver: Path, workers: Path) -> SparkSession:
    """Start Spark with two workers that do not see what the driver has."""
    import pyspark

    from lakehouse.engines import spark, spark_staging, spark_tables
    from lakehouse.spark.session import build_session

    for name in ("home", "tmp", "guard", "spark"):
        (workers / name).mkdir(parents=True, exist_ok=True)
    (workers / "guard" / "sitecustomize.py").write_text(GUARD)
    for each in Path(pyspark.__file__).parent.iterdir():
        if each.name != "work":  # where workers have their working folders
            (workers / "spark" / each.name).symlink_to(each)
    os.environ["SPARK_HOME"] = str(workers / "spark")
    theirs: Mapping[str, object] = {
        "HOME": workers / "home", "TMPDIR": workers / "tmp", "PETREL_CACHE": workers / "cache", "DRIVER_ONLY": driver,
        "PYTHONPATH": f"{workers / 'guard'}{os.pathsep}{REPOSITORY}",
    }  # fmt: skip
    # Nothing of the driver's disk is named to Spark, and even few rows are written by executors.
    for module in (spark_staging, spark_tables):
        module.location = _refused  # type: ignore[assignment]
    spark.SMALL_BYTES = -1
    # Half the processor time of jobs this small.
    quick = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
    settings = {f"spark.executorEnv.{name}": str(value) for name, value in theirs.items()}
    settings |= {"spark.driver.extraJavaOptions": quick, "spark.executor.extraJavaOptions": quick}
    settings |= FEW_ROWS
    return build_session("digits", master=MASTER, profile="s3", settings=settings)


def _refused(path: Path, *, pattern: bool = True) -> str:
    raise AssertionError(f"{path} of the driver was named to Spark")


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lake")
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=Path)
    parser.set_defaults(allow_failed="")  # what the command has beside
    args = parser.parse_args()
    engine = "embedded"
    if args.workers:
        start_cluster(args.pipeline.parent, args.workers)
        engine = "spark"
    copies = args.pipeline.parent / "copies"
    settings = [f'lake.root="{args.lake}"', f'lake.copies="{copies}"', "engine.workers=2", "engine.driver_mb=0"]
    config = load_config(overrides=settings, environ={})
    with open_lake(config, engine=engine, clock=lambda: NOW, create=True) as lake:
        steps = [[receipt.step, receipt.counts] for receipt in run.run(lake, args)]
        found = {"steps": steps, **facts_of(lake)}
    args.out.write_text(json.dumps(found, indent=1, default=str))


if __name__ == "__main__":
    sys.exit(main())
