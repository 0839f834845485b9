"""How Petrel sets Spark up: the only place where a Spark setting is written.

`spark-submit.sh`, `petrel --engine spark`, notebooks and the tests all come here, by `spark_settings` before the JVM
starts and by `build_session` in Python.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.errors import EnvironmentProblemError
from lakehouse.jars import jar_paths
from lakehouse.java import find_java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

LOCAL_MASTER = "local[*]"
DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
LOG4J_FILE = Path(__file__).with_name("log4j2.properties")

SQL_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # a bad cast is an error, as in DuckDB
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # INT96 is nanoseconds, others read it differently
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "256",  # the default, 10,000 rows of images, is gigabytes
}
"""What rows mean and how they travel; may be set on a running session."""


def is_local(master: str) -> bool:
    """Tell whether driver and executors are one JVM (`local`, `local[4]`; not `local-cluster[...]`)."""
    return master == "local" or master.startswith("local[")


def spark_settings(*, local: bool, profile: str = "delta") -> dict[str, str]:
    """Return every setting that Petrel gives Spark.

    Args:
        local: One JVM on this machine: tuned for a quick start and small data. Otherwise sizes are left to the
            cluster, and the Delta archives travel to the executors.
        profile: Java archives to load, see `lakehouse.jars`.

    Raises:
        EnvironmentProblemError: If Java or the archives are missing.
    """
    jars = [str(path) for path in jar_paths(profile)]
    settings = {
        **SQL_SETTINGS,
        "spark.sql.extensions": DELTA_EXTENSION,
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.catalogImplementation": "in-memory",  # tables are paths; no metastore_db in the working folder
        "spark.databricks.delta.v2.enableMode": "NONE",  # the second connector only reads, and is new
        "spark.python.worker.reuse": "true",
        "spark.ui.showConsoleProgress": "false",  # steps draw their own progress
        "spark.driver.defaultJavaOptions": " ".join(_java_options(local=local, jars=jars)),
    }
    if not local:
        return {**settings, "spark.jars": ",".join(jars)}
    cores = os.cpu_count() or 1
    return {
        **settings,
        # On the class path rather than in spark.jars, whose own class loader keeps them out of the class archive.
        "spark.driver.extraClassPath": os.pathsep.join(jars),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": str(min(max(cores, 2), 16)),
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "5",
        "spark.sql.warehouse.dir": str(Path(tempfile.gettempdir()) / f"petrel-warehouse-{os.getuid()}"),
        "spark.databricks.delta.snapshotPartitions": "2",  # the default, 50, is 50 tasks to read a small log
    }


def build_session(app_name: str, *, master: str | None = None) -> SparkSession:
    """Return the running Spark session, or start one.

    Under `spark-submit.sh` the JVM is there already and what it was given wins over the settings here. A session
    that somebody else started is used as it is, except for `SQL_SETTINGS`, which our rows rely on.

    Args:
        app_name: Name that Spark's own pages show.
        master: Where to run; None means what spark-submit was told, else `local[*]`.

    Raises:
        EnvironmentProblemError: If pyspark, Java or the archives are missing, or the running session has no Delta.
    """
    try:
        from pyspark import SparkConf
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise EnvironmentProblemError(
            f"the Spark engine needs pyspark ({error}); run: pip install 'petrel-lakehouse[spark]'"
        ) from error

    # Each failing query would otherwise also be printed as kilobytes of JSON.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    session = SparkSession.getActiveSession()
    if session is None:
        # Workers must run this interpreter: Spark's own default is whatever `python3` comes first on PATH.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        conf = SparkConf()
        given = master or conf.get("spark.master", None) or LOCAL_MASTER
        if "PYSPARK_GATEWAY_PORT" not in os.environ:  # no JVM yet: it will look for Java by itself
            find_java()
            if given.startswith("local"):
                os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        conf.setMaster(given)
        conf.setIfMissing("spark.app.name", app_name)
        for key, value in spark_settings(local=is_local(given)).items():
            conf.setIfMissing(key, value)
        session = SparkSession.builder.config(conf=conf).getOrCreate()
    for key, value in SQL_SETTINGS.items():
        if session.conf.get(key, None) != value:
            session.conf.set(key, value)
    _check_delta(session)
    return session


def _java_options(*, local: bool, jars: list[str]) -> list[str]:
    options = [f"-Dlog4j2.configurationFile={LOG4J_FILE.as_uri()}", "-Ddelta.log.cacheSize=3"]
    if local:
        from lakehouse.classarchive import archive_options

        # Half the JVM's CPU seconds of a small job [12.4 of 24.2]: nothing runs long enough to earn C2 and G1 back.
        options += ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *archive_options(jars)]
    return options


def _check_delta(session: SparkSession) -> None:
    jvm = session._jvm
    try:
        loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()  # type: ignore[union-attr]
        jvm.java.lang.Class.forName(DELTA_EXTENSION, False, loader)  # type: ignore[union-attr]
    except Exception as error:
        raise EnvironmentProblemError(
            "this Spark session was started without Delta; start the program with: ./spark-submit.sh <your script>"
        ) from error
