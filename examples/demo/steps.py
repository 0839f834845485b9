"""The steps of the demo, on either engine: as spark-submit jobs, or in this process."""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from examples.demo.plan import Plan
from lakehouse.config import Config, LakeConfig, load_config
from lakehouse.errors import EnvironmentProblemError
from lakehouse.opening import open_lake
from lakehouse.spark.java import find_java
from lakehouse.steps.receipts import Receipt, from_json

ROOT = Path(__file__).parents[2]
SUBMIT = ROOT / "spark-submit.sh"

STEPS = ("land", "entities", "dimensions", "opinions", "build", "materialise")
TAKE_PIPELINE = ("land", "opinions", "build", "materialise")

LOG_LINES_SHOWN = 15

Say = Callable[[Receipt], None]


def why_no_spark() -> str | None:
    """Return why the steps cannot run as spark-submit jobs here; None if they can."""
    if find_spec("pyspark") is None or find_spec("delta") is None:
        return "pyspark and delta-spark are not installed; run: pip install 'petrel-lakehouse[spark]'"
    try:
        find_java()
    except EnvironmentProblemError as problem:
        return str(problem)
    return None


def run_embedded(plan: Plan, lake_folder: Path, *, say: Say) -> list[Receipt]:
    """Run every step in this process and return the receipts."""
    from jobs import run

    receipts = []
    with open_lake(config_for(lake_folder), create=True) as lake:
        for receipt in run.run(lake, argparse.Namespace(pipeline=str(plan.pipeline))):
            say(receipt)
            receipts.append(receipt)
    return receipts


def run_spark(plan: Plan, lake_folder: Path, *, say: Say) -> list[Receipt]:
    """Run every step as a job of its own through spark-submit.sh and return the receipts.

    What a job writes to stderr (Spark's log) goes to `logs/<step>.log` in the folder of the demo.

    Raises:
        EnvironmentProblemError: If a job fails; the message shows the end of its log.
    """
    receipts = []
    for step in STEPS:
        for receipt in _submitted(plan, lake_folder, step):
            say(receipt)
            receipts.append(receipt)
    return receipts


def config_for(lake_folder: Path) -> Config:
    """Return the usual settings, for a lake in that folder."""
    return dataclasses.replace(load_config(), lake=LakeConfig(root=str(lake_folder)))


def _submitted(plan: Plan, lake_folder: Path, step: str) -> Iterator[Receipt]:
    # Absolute: a job's working directory is Spark's affair.
    command = [str(SUBMIT), str(ROOT / "jobs" / f"{step}.py"), "--lake", str(lake_folder.absolute())]
    command += ["--engine", "spark", "--json"]
    if step in TAKE_PIPELINE:
        command += ["--pipeline", str(plan.pipeline.absolute())]
    log = plan.home / "logs" / f"{step}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            for line in process.stdout or ():
                # Spark and its Ivy write to stdout too; a receipt is one line of JSON.
                if line.startswith("{"):
                    yield from_json(line)
            code = process.wait()
        except BaseException:
            process.terminate()
            raise
    if code:
        with log.open(encoding="utf-8", errors="replace") as stream:
            end = "".join(deque(stream, LOG_LINES_SHOWN))
        raise EnvironmentProblemError(
            f"spark-submit.sh jobs/{step}.py ended with exit code {code}; its log is {log} and ends with:\n{end}"
            "To go on without Spark: python -m examples.demo --engine embedded"
        )
