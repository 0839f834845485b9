"""What `spark-submit.sh` makes of a command line."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lakehouse.errors import EnvironmentProblemError
from lakehouse.spark import pack, submit
from lakehouse.spark.pack import pack_code
from lakehouse.spark.submit import parse

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = str(REPOSITORY / "spark-submit.sh")

JOB = """
import sys
import pyarrow as pa
from lakehouse.spark.session import build_session

spark = build_session("job")

def where(batches):
    import lakehouse
    for batch in batches:
        yield pa.record_batch([pa.array([lakehouse.__file__] * batch.num_rows)], names=["file"])

frame = spark.range(100).repartition(4)
frame.write.format("delta").mode("append").save(sys.argv[1])
files = {row.file for row in frame.mapInArrow(where, "file string").distinct().collect()}
rows = spark.read.format("delta").load(sys.argv[1]).count()
zone = spark.conf.get("spark.sql.session.timeZone")
print(rows, zone, spark.sparkContext.uiWebUrl, all(".zip/" in file for file in files))
sys.exit(3)
"""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects the command that would be run in place of this process."""
    words: list[str] = []
    monkeypatch.setattr(submit, "find_java", lambda: None)
    ours = {"local[*]": {}}
    monkeypatch.setattr(submit, "spark_settings", lambda master, **_: ours.get(master, {"spark.jars": "/a.jar"}))
    monkeypatch.setattr(submit, "pack_code", lambda: Path("/petrel.zip"))
    monkeypatch.setattr(submit, "spark_home", lambda: Path("/spark"))
    monkeypatch.setattr(os, "execve", lambda path, argv, environ: words.extend(argv))
    return words


def test_options_before_the_script_are_spark_submits_and_the_rest_the_jobs() -> None:
    given = parse(["--s3", "--master", "yarn", "--name=x", "--verbose", "job.py", "--master", "mine", "--s3"])

    assert (given.s3, given.master) == (True, "yarn")
    assert given.options == ["--master", "yarn", "--name", "x", "--verbose"]
    assert given.job == ["job.py", "--master", "mine", "--s3"]


def test_a_local_job_gets_no_zip_and_runs_on_all_cores(command: list[str]) -> None:
    submit.main(["job.py"])

    assert command == ["/spark/bin/spark-submit", "--master", "local[*]", "job.py"]


def test_own_jars_and_files_are_joined_with_ours(command: list[str]) -> None:
    submit.main(["--master", "yarn", "--jars", "b.jar,c.jar", "--py-files=more.zip", "job.py"])

    assert command[command.index("--jars") + 1] == "b.jar,c.jar,/a.jar"
    assert command[command.index("--py-files") + 1] == "more.zip,/petrel.zip"
    assert "spark.jars=/a.jar" not in command


def test_a_job_on_a_cluster_that_names_a_bucket_gets_what_reads_it(command: list[str], monkeypatch) -> None:
    profiles = []
    monkeypatch.setattr(submit, "spark_settings", lambda master, *, profile, **_: profiles.append(profile) or {})
    for words in (
        ["--master", "yarn", "job.py", "--lake", "s3://bucket/lake"], ["--master", "yarn", "job.py", "--lake=s3://b/l"],
        ["--s3", "job.py"], ["job.py", "--lake", "s3://bucket/lake"], ["--master", "yarn", "job.py", "--lake", "/lake"],
    ):  # fmt: skip
        submit.main(words)
    assert profiles == ["s3", "s3", "s3", "delta", "delta"]


def test_own_settings_come_after_ours_so_that_they_win(command: list[str]) -> None:
    submit.main(["--master", "yarn", "--conf", "spark.jars=other.jar", "job.py"])

    assert command.index("spark.jars=/a.jar") < command.index("spark.jars=other.jar")


@pytest.mark.parametrize("argv", [[], ["--master"], ["--master", "yarn"]])
def test_a_command_line_without_a_job_shows_the_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert submit.main(argv) == 2
    assert "usage: ./spark-submit.sh" in capsys.readouterr().err


def test_another_spark_in_spark_home_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))

    with pytest.raises(EnvironmentProblemError, match="is not Spark 4.2.0, .* run: unset SPARK_HOME"):
        submit.spark_home()


def test_without_java_the_script_gives_the_command_that_installs_it(tmp_path: Path) -> None:
    for tool in ("bash", "dirname"):
        (tmp_path / tool).symlink_to(f"/bin/{tool}" if Path(f"/bin/{tool}").exists() else f"/usr/bin/{tool}")
    environ = {"PATH": str(tmp_path), "PETREL_PYTHON": sys.executable, "HOME": str(tmp_path)}

    done = subprocess.run([SCRIPT, "job.py"], env=environ, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("spark-submit.sh: Spark needs Java 17 or newer; JAVA_HOME is not set and there is no")
    assert done.stderr.endswith("run: sudo apt-get install --yes openjdk-17-jre-headless\n")


def test_the_zip_holds_all_packages_with_their_files_and_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PETREL_CACHE", str(tmp_path))

    first, second = pack_code(), pack_code()

    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
    assert first == second
    assert {name.split("/")[0] for name in names} == set(pack.PACKAGES)
    assert {"lakehouse/spark/jars.lock", "lakehouse/py.typed", "jobs/land.py"} <= set(names)
    assert [name for name in names if "__pycache__" in name] == []
    assert len(names) == len(set(names))


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize(("master", "from_zip"), [("local[2]", False), ("local-cluster[2,1,1024]", True)])
def test_a_job_writes_a_delta_table(master: str, from_zip: bool, tmp_path: Path, java_17: None) -> None:
    job = tmp_path / "job.py"
    job.write_text(JOB)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}

    done = subprocess.run(
        [SCRIPT, "--master", master, str(job), str(tmp_path / "table")],
        env={**environ, "PETREL_PYTHON": sys.executable}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.stdout.splitlines() == [f"100 UTC None {from_zip}"], done.stderr
    assert done.returncode == 3
    noise = [line for line in done.stderr.splitlines() if "incubator modules" not in line]
    assert noise == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.py", "table"]
