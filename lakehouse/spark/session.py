"""How Petrel sets Spark up: the only place where a Spark setting is written.

`spark-submit.sh` (by `lakehouse.spark.submit`), `petrel --engine spark`, notebooks and the tests all come here: by
`spark_settings` before the JVM starts and by `build_session` in Python.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.errors import EnvironmentProblemError
from lakehouse.spark.classarchive import archive_options
from lakehouse.spark.ivy import INSTALL_SPARK
from lakehouse.spark.jars import jar_paths
from lakehouse.spark.java import find_java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

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


def in_one_process(master: str) -> bool:
    """Tell whether driver and executors are one JVM: `local`, `local[4]`; not `local-cluster[2,1,1024]`."""
    return master == "local" or master.startswith("local[")


def on_this_machine(master: str) -> bool:
    """Tell whether everything runs here: `local[4]` and `local-cluster[2,1,1024]`."""
    return master.startswith("local")


def is_on_cluster() -> bool:
    """Tell whether Spark's workers are other processes than its driver; starts a session where a JVM waits for one.

    Without a session `build_session` makes one that is all in one process.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        return False
    session = SparkSession.getActiveSession()
    if session is None and "PYSPARK_GATEWAY_PORT" in os.environ:
        session = build_session("petrel")
    return session is not None and has_far_workers(session)


def has_far_workers(session: SparkSession) -> bool:
    """Tell whether the workers of a session are other processes than its driver, which may see other disks."""
    return not in_one_process(session.sparkContext.master or LOCAL_MASTER)


def spark_settings(master: str = LOCAL_MASTER, *, profile: str = "delta", driver_here: bool = True) -> dict[str, str]:
    """Return every setting that Petrel gives Spark.

    In one process they are tuned for a quick start and small data; sizes of a cluster are left to the cluster, and
    the Delta archives travel to it.

    Args:
        master: Where Spark runs, as spark-submit takes it.
        profile: Java archives to load, see `lakehouse.spark.jars`.
        driver_here: False for `--deploy-mode cluster`, where no file of this machine is to be named.

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
        "spark.ui.showConsoleProgress": "false",  # steps draw their own progress
    }
    options = ["-Ddelta.log.cacheSize=3"]
    if driver_here:
        options.append(f"-Dlog4j2.configurationFile={LOG4J_FILE.as_uri()}")
    if on_this_machine(master):
        settings |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.memory": "2g",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": str(min(max(os.cpu_count() or 1, 2), 16)),
            "spark.sql.sources.parallelPartitionDiscovery.parallelism": "5",
            "spark.sql.warehouse.dir": str(Path(tempfile.gettempdir()) / f"petrel-warehouse-{os.getuid()}"),
            "spark.databricks.delta.snapshotPartitions": "2",  # the default, 50, is 50 tasks to read a small log
        }
    if in_one_process(master):
        # On the class path rather than in spark.jars, whose own class loader keeps them out of the class archive.
        settings["spark.driver.extraClassPath"] = os.pathsep.join(jars)
        # Half the JVM's CPU seconds of a small job [12.4 of 24.2]: nothing runs long enough to earn C2 and G1 back.
        options += ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *archive_options(jars)]
        # With C1 alone Java keeps 48 MB of compiled code, sweeps it and compiles it again: 15 of 100 s of many queries.
        options.append("-XX:ReservedCodeCacheSize=240m")
    else:
        settings["spark.jars"] = ",".join(jars)
    return {**settings, "spark.driver.defaultJavaOptions": " ".join(options)}


def build_session(
    app_name: str, *, master: str | None = None, settings: Mapping[str, str] | None = None, profile: str = "delta"
) -> SparkSession:
    """Return the running Spark session, or start one.

    A session that runs already, or whose JVM `spark-submit.sh` has started, is used as it is, except for
    `SQL_SETTINGS`, which our rows rely on.

    Args:
        app_name: Name that Spark's own pages show.
        master: Where to run when this call starts Spark; None means `local[*]`.
        settings: Stronger than ours, when this call starts Spark.
        profile: Java archives to load when this call starts Spark, see `lakehouse.spark.jars`.

    Raises:
        EnvironmentProblemError: If pyspark, Java or the archives are missing, or the running session has no Delta.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise EnvironmentProblemError(f"the Spark engine needs pyspark ({error}); run: {INSTALL_SPARK}") from error

    # Each failing query would otherwise also be printed as kilobytes of JSON.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    session = SparkSession.getActiveSession()
    if session is None:
        session = _start(app_name, master, settings or {}, profile)
        atexit.register(session.stop)  # a cluster that is left without a word takes the job for a failed one
    for key, value in SQL_SETTINGS.items():
        if session.conf.get(key, None) != value:
            session.conf.set(key, value)
    _check_delta(session)
    return session


def _start(app_name: str, master: str | None, settings: Mapping[str, str], profile: str) -> SparkSession:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    if "PYSPARK_GATEWAY_PORT" in os.environ:  # spark-submit has started the JVM and told it all
        return SparkSession.builder.appName(app_name).getOrCreate()
    master = master or LOCAL_MASTER
    find_java()
    prepare_environment(os.environ, master)
    conf = SparkConf().setMaster(master).setAppName(app_name)
    conf.setAll(list({**spark_settings(master, profile=profile), **settings}.items()))
    return SparkSession.builder.config(conf=conf).getOrCreate()


def prepare_environment(environ: MutableMapping[str, str], master: str, *, driver_here: bool = True) -> None:
    """Set the variables that Spark reads instead of settings, those that are not set yet."""
    if driver_here:
        environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    if on_this_machine(master):
        # Workers must run this interpreter: Spark's own default is whatever `python3` comes first on PATH.
        environ.setdefault("PYSPARK_PYTHON", sys.executable)
        environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # the host's name need not resolve


def _check_delta(session: SparkSession) -> None:
    jvm = session._jvm
    try:
        loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()  # type: ignore[union-attr]
        jvm.java.lang.Class.forName(DELTA_EXTENSION, False, loader)  # type: ignore[union-attr]
    except Exception as error:
        raise EnvironmentProblemError(
            "this Spark session was started without Delta; start the program with: ./spark-submit.sh <your script>"
        ) from error
