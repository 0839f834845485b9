"""How Spark is set up, with and without a JVM."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse.errors import EnvironmentProblemError
from lakehouse.spark import session as sparkconf
from lakehouse.spark.session import build_session, in_one_process, on_this_machine, prepare_environment, spark_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ARCHIVES = (Path("/cache/a.jar"), Path("/cache/b.jar"))


@pytest.fixture
def _archives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparkconf, "jar_paths", lambda profile: ARCHIVES)
    monkeypatch.setattr(sparkconf, "archive_options", lambda jars: [])


@pytest.mark.parametrize(
    ("master", "one_process", "this_machine"),
    [
        ("local", True, True),
        ("local[*]", True, True),
        ("local[4,2]", True, True),
        ("local-cluster[2,1,1024]", False, True),
        ("spark://head:7077", False, False),
        ("yarn", False, False),
    ],
)
def test_masters_are_told_apart(master: str, one_process: bool, this_machine: bool) -> None:
    assert (in_one_process(master), on_this_machine(master)) == (one_process, this_machine)


@pytest.mark.usefixtures("_archives")
def test_in_one_process_the_archives_are_on_the_class_path() -> None:
    settings = spark_settings("local[2]")

    assert settings["spark.driver.extraClassPath"] == os.pathsep.join(str(path) for path in ARCHIVES)
    assert "spark.jars" not in settings
    assert settings["spark.ui.enabled"] == "false"
    assert settings["spark.driver.memory"] == "2g"


@pytest.mark.usefixtures("_archives")
def test_a_cluster_gets_the_archives_and_keeps_its_own_sizes() -> None:
    settings = spark_settings("yarn")

    assert settings["spark.jars"] == "/cache/a.jar,/cache/b.jar"
    assert settings.keys() & {"spark.driver.memory", "spark.driver.host", "spark.ui.enabled"} == set()


@pytest.mark.usefixtures("_archives")
@pytest.mark.parametrize("master", ["local[*]", "local-cluster[2,1,1024]", "yarn"])
def test_everywhere_rows_mean_the_same(master: str) -> None:
    settings = spark_settings(master)

    assert settings["spark.sql.session.timeZone"] == "UTC"
    assert settings["spark.sql.ansi.enabled"] == "true"
    assert settings["spark.sql.extensions"] == "io.delta.sql.DeltaSparkSessionExtension"


@pytest.mark.usefixtures("_archives")
def test_a_driver_on_the_cluster_is_told_no_file_and_no_interpreter_of_this_machine() -> None:
    environ: dict[str, str] = {}
    prepare_environment(environ, "yarn", driver_here=False)

    assert "log4j2" not in spark_settings("yarn", driver_here=False)["spark.driver.defaultJavaOptions"]
    assert "log4j2" in spark_settings("yarn")["spark.driver.defaultJavaOptions"]
    assert environ == {}


def test_variables_that_are_set_stay_as_they_are() -> None:
    environ = {"PYSPARK_PYTHON": "./env/bin/python"}
    prepare_environment(environ, "local[2]")

    assert environ == {
        "PYSPARK_PYTHON": "./env/bin/python",
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def test_without_pyspark_the_error_ends_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)

    with pytest.raises(EnvironmentProblemError, match="the Spark engine needs pyspark") as caught:
        build_session("no spark")

    assert str(caught.value).endswith("run: pip install 'petrel-lakehouse[spark]'")


@pytest.mark.spark
def test_a_running_session_is_used_and_gets_our_meaning_of_rows(spark: SparkSession) -> None:
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")

    again = build_session("somebody else", master="local[7]")

    assert again.sparkContext is spark.sparkContext
    assert again.sparkContext.master == "local[2]"
    assert again.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.sparkContext.uiWebUrl is None


@pytest.mark.spark
def test_a_row_that_breaks_a_constraint_is_refused_without_noise(
    spark: SparkSession, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "table"
    spark.range(3).write.format("delta").save(str(path))
    spark.sql(f"alter table delta.`{path}` add constraint small check (id < 10)")

    with pytest.raises(Exception, match="small"):
        spark.range(20).write.format("delta").mode("append").save(str(path))

    assert spark.read.format("delta").load(str(path)).count() == 3
    assert capfd.readouterr().err == ""
