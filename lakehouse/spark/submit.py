"""What `spark-submit.sh` does: add Petrel's settings, archives and code to a spark-submit command, and become it.

    python -m lakehouse.spark.submit [--s3] [options of spark-submit] jobs/land.py [options of the job]

Options given by hand win over ours; `--jars` and `--py-files` are joined with ours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.errors import EnvironmentProblemError
from lakehouse.spark.ivy import spark_package
from lakehouse.spark.java import find_java
from lakehouse.spark.pack import pack_code
from lakehouse.spark.session import LOCAL_MASTER, in_one_process, prepare_environment, spark_settings

USAGE = "usage: ./spark-submit.sh [--s3] [options of spark-submit] jobs/STEP.py [options of the job]"
OPTIONS_WITHOUT_VALUE = {"--help", "-h", "--supervise", "--usage-error", "--verbose", "-v", "--version"}
JOINED = ("--jars", "--py-files")
S3 = ("s3://", "s3a://")
SPARK_VERSION = "4.2.0"
"""What the locked Delta archives are built for."""


@dataclass
class Submission:
    """A command line of ours, taken apart."""

    s3: bool = False
    """Load what `s3a://` needs; on a cluster, a word of the job that is an address in S3 says so too."""
    master: str = LOCAL_MASTER
    driver_here: bool = True
    """False for `--deploy-mode cluster`."""
    joined: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in JOINED})
    """Files of `--jars` and `--py-files`."""
    options: list[str] = field(default_factory=list)
    """All other options of spark-submit, as given."""
    job: list[str] = field(default_factory=list)
    """The script and its arguments, as given; empty when there is none."""


def parse(argv: Sequence[str]) -> Submission:
    """Take a command line apart; everything behind the first word that is no option belongs to the job."""
    given = Submission()
    words = list(argv)
    while words:
        if not words[0].startswith("-"):
            given.job = words
            break
        name, equals, value = words.pop(0).partition("=")
        if name == "--s3":
            given.s3 = True
            continue
        if name in OPTIONS_WITHOUT_VALUE:
            given.options.append(name)
            continue
        if not equals:
            if not words:
                raise ValueError(f"{name} needs a value; {USAGE}")
            value = words.pop(0)
        if name in given.joined:
            given.joined[name] += value.split(",")
            continue
        if name == "--master":
            given.master = value
        elif name == "--deploy-mode":
            given.driver_here = value == "client"
        given.options += [name, value]
    return given


def spark_home() -> Path:
    """Return the Spark to use: `SPARK_HOME`, else the one inside pyspark.

    Raises:
        EnvironmentProblemError: If it is not the version that our Delta archives are built for.
    """
    named = os.environ.get("SPARK_HOME")
    if not named:
        return spark_package()
    home = Path(named)
    if not list(home.glob(f"jars/spark-core_*-{SPARK_VERSION}.jar")):
        raise EnvironmentProblemError(
            f"SPARK_HOME={named} is not Spark {SPARK_VERSION}, which Delta's archives are built for;"
            " to use the Spark inside pyspark, run: unset SPARK_HOME"
        )
    return home


def command(given: Submission) -> list[str]:
    """Return the whole spark-submit command.

    Raises:
        EnvironmentProblemError: If Java, the archives or the right Spark are missing.
    """
    find_java()
    profile = "s3" if given.s3 or _names_bucket(given) else "delta"
    settings = spark_settings(given.master, profile=profile, driver_here=given.driver_here)
    if given.joined["--jars"]:  # would replace `spark.jars`, not add to it
        ours = settings.pop("spark.jars", "")
        given.joined["--jars"] += [ours] if ours else []
    if not in_one_process(given.master):
        given.joined["--py-files"].append(str(pack_code()))
    words = [str(spark_home() / "bin" / "spark-submit"), "--master", given.master]
    for key, value in settings.items():
        words += ["--conf", f"{key}={value}"]
    for name, files in given.joined.items():
        words += [name, ",".join(files)] if files else []
    return [*words, *given.options, *given.job]


def _names_bucket(given: Submission) -> bool:
    """Tell whether a job on a cluster has an address in S3 among its words: its lake may be there."""
    if in_one_process(given.master):
        return False  # there a lake in a bucket is read in a copy
    return any(word.partition("=")[2].startswith(S3) or word.startswith(S3) for word in given.job)


def main(argv: Sequence[str] | None = None) -> int:
    """Become spark-submit; returns only when that is impossible: 1 for the machine, 2 for the command line."""
    try:
        given = parse(sys.argv[1:] if argv is None else argv)
        if not given.job and not OPTIONS_WITHOUT_VALUE.intersection(given.options):
            raise ValueError(USAGE)
        words = command(given)
    except EnvironmentProblemError as problem:
        sys.stderr.write(f"spark-submit.sh: {problem}\n")
        return 1
    except ValueError as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    environ = {**os.environ, "SPARK_HOME": str(spark_home())}
    prepare_environment(environ, given.master, driver_here=given.driver_here)
    os.execve(words[0], words, environ)


if __name__ == "__main__":
    raise SystemExit(main())
