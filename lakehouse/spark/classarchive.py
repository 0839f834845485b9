"""A class-data archive that lets Spark's JVM start in two thirds of the time.

    python -m lakehouse.spark.classarchive     # make it once, about 25 s and 200 MB in the user's cache

Java maps already parsed and verified classes from the archive instead of reading thousands of them from jars.
Measured with `local[*]` on 2 cores, a job that writes and reads one Delta table: 13.3 s without, 9.3 s with.
It belongs to one Java and one set of jars; where it does not fit, Java ignores it without a word, and so do we
when it cannot be made. Archives that nobody used for 30 days are removed when a new one is made.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lakehouse.cache import cache_root, mark_used, remove_unused
from lakehouse.errors import EnvironmentProblemError
from lakehouse.spark.ivy import INSTALL_SPARK, spark_package
from lakehouse.spark.jars import jar_paths
from lakehouse.spark.java import find_java

RECORD_VARIABLE = "PETREL_RECORD_CLASSES"
"""Path of the archive to write when the JVM ends; set only for the recording run."""

# What most jobs do: create, append, merge, read at a version, aggregate, run Python over Arrow batches.
RECORDING = """
import sys, tempfile
from pathlib import Path
from lakehouse.spark.session import build_session

def same(batches):
    yield from batches

spark = build_session("petrel-record-classes")
with tempfile.TemporaryDirectory() as folder:
    path = str(Path(folder) / "table")
    frame = spark.range(100).selectExpr("id", "cast(id as string) name", "current_timestamp() at", "array(id) many")
    frame.write.format("delta").save(path)
    frame.write.format("delta").mode("append").option("txnAppId", "a").option("txnVersion", "1").save(path)
    table = spark.read.format("delta").option("versionAsOf", 0).load(path)
    table.createOrReplaceTempView("t")
    spark.sql("select count(*), max(name), sha2(name, 256) h from t group by 3 order by 3 limit 3").toArrow()
    joined = spark.sql("select a.* from t a left anti join (select id from t where id > 50) b on a.id = b.id")
    staged = str(Path(folder) / "staged")
    joined.repartition(2).mapInArrow(same, joined.schema).write.parquet(staged)
    spark.read.parquet(staged).toArrow()
spark.stop()
"""


def archive_path(jars: Sequence[str]) -> Path | None:
    """Return where the archive for this Java, this pyspark and these jars belongs; None without pyspark."""
    try:
        core = next(iter(sorted(spark_package().glob("jars/spark-core_*.jar"))), None)
    except EnvironmentProblemError:
        return None
    if core is None:
        return None
    java = find_java()
    # Java compares times and sizes of all jars itself; this only keeps a new installation from reusing an old name.
    facts = (java.version, str(java.executable.resolve()), str(core), str(core.stat().st_mtime_ns), *jars)
    return cache_root() / "classes" / f"{hashlib.sha256(chr(0).join(facts).encode()).hexdigest()[:16]}.jsa"


def archive_options(jars: Sequence[str]) -> list[str]:
    """Return the Java options that use the archive, none where there is no archive."""
    recording = os.environ.get(RECORD_VARIABLE)
    if recording:
        return [f'-XX:ArchiveClassesAtExit="{recording}"', "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
    path = archive_path(jars)
    if path is None or not path.is_file():
        return []
    mark_used(path)
    return [f'-XX:SharedArchiveFile="{path}"', "-Xshare:auto", "-Xlog:cds=off", "-Xlog:class+path=off"]


def make_archive() -> Path:
    """Run a small Spark job that records the classes it loads; a second call finds the archive and does nothing.

    Raises:
        EnvironmentProblemError: If Java or pyspark is missing or the recording run failed.
    """
    target = archive_path([str(path) for path in jar_paths()])
    if target is None:
        raise EnvironmentProblemError(f"pyspark is not installed; run: {INSTALL_SPARK}")
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_unused(target.parent, "*.jsa")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".record-") as scratch:
        recorded = Path(scratch) / "classes.jsa"
        root = str(Path(__file__).parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        environ = {**os.environ, RECORD_VARIABLE: str(recorded), "PYTHONPATH": os.pathsep.join(paths)}
        done = subprocess.run(
            [sys.executable, "-c", RECORDING], env=environ, cwd=scratch, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=600, check=False,
        )  # fmt: skip
        # `run` came back because the JVM, too, closed its end of stderr: it has written what it had to write.
        if done.returncode != 0 or not _complete(recorded):
            raise EnvironmentProblemError(
                f"no class archive was made, Spark starts slower without it: {done.stderr.strip()[-300:]};"
                " to try again, run: python -m lakehouse.spark.classarchive"
            )
        recorded.rename(target)
    return target


def _complete(recorded: Path) -> bool:
    """Tell whether Java got to the end: it writes the header, which comes first in the file, last."""
    return recorded.is_file() and any(recorded.open("rb").read(4))


def main() -> int:
    """Make the archive if there is none; exit code 1 with the reason when that is impossible."""
    try:
        sys.stdout.write(f"{make_archive()}\n")
    except (EnvironmentProblemError, OSError, subprocess.SubprocessError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
