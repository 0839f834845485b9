"""The steps of the demo, on either engine: in this process, or as one spark-submit job."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from examples.demo.plan import Plan
from lakehouse.config import Config, LakeConfig, load_config
from lakehouse.errors import EnvironmentProblemError
from lakehouse.opening import open_lake
from lakehouse.progress import progress
from lakehouse.spark.java import find_java
from lakehouse.steps.receipts import Receipt, from_json

ROOT = Path(__file__).parents[2]
SUBMIT = ROOT / "spark-submit.sh"

LOG_LINES_SHOWN = 15

Say = Callable[[Receipt], None]


def why_no_spark() -> str | None:
    """Return why the steps cannot run as a spark-submit job here; None if they can."""
    if find_spec("pyspark") is None or find_spec("delta") is None:
        return "pyspark and delta-spark are not installed; run: pip install 'petrel-lakehouse[spark]'"
    try:
        find_java()
    except EnvironmentProblemError as problem:
        return str(problem)
    return None


def run_embedded(plan: Plan, lake: str | Path, *, say: Say) -> list[Receipt]:
    """Run every step in this process and return the receipts."""
    from jobs import run

    receipts = []
    with open_lake(config_for(lake), create=True) as opened:
        for receipt in run.run(opened, argparse.Namespace(pipeline=str(plan.pipeline), allow_failed="")):
            say(receipt)
            receipts.append(receipt)
    return receipts


def run_spark(plan: Plan, lake: str | Path, *, say: Say) -> list[Receipt]:
    """Run every step in one job through spark-submit.sh, one session for all, and return the receipts.

    What the job writes to stderr (Spark's log) goes to `logs/spark.log` in the folder of the demo.

    Raises:
        EnvironmentProblemError: If the job fails; the message shows the end of its log.
    """
    receipts = []
    for receipt in _submitted(plan, lake):
        say(receipt)
        receipts.append(receipt)
    return receipts


def config_for(lake: str | Path) -> Config:
    """Return the usual settings, for a lake in that folder or bucket."""
    return dataclasses.replace(load_config(), lake=LakeConfig(root=str(lake)))


def _submitted(plan: Plan, lake: str | Path) -> Iterator[Receipt]:
    # Absolute: a job's working directory is Spark's affair.
    place = str(lake) if "://" in str(lake) else str(Path(lake).absolute())
    command = [str(SUBMIT), str(ROOT / "jobs" / "run.py"), "--lake", place]
    command += ["--engine", "spark", "--json", "--pipeline", str(plan.pipeline.absolute())]
    log = plan.home / "logs" / "spark.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            yield from _receipts(process.stdout or ())
            code = process.wait()
        except BaseException:
            process.terminate()
            raise
    if code:
        with log.open(encoding="utf-8", errors="replace") as stream:
            end = "".join(deque(stream, LOG_LINES_SHOWN))
        raise EnvironmentProblemError(
            f"spark-submit.sh jobs/run.py ended with exit code {code}; its log is {log} and ends with:\n{end}"
            "To go on without Spark: python -m examples.demo --engine embedded"
        )


def _receipts(lines: Iterable[str]) -> Iterator[Receipt]:
    """Give the receipts as the job says them, and show a person at a terminal that it is at work until then."""
    # Spark and its Ivy write to stdout too; a receipt is one line of JSON.
    said = (line for line in lines if line.startswith("{"))
    for number in itertools.count(1):
        with _seconds_shown("start Spark, step 1" if number == 1 else f"step {number}"):
            line = next(said, None)
        if line is None:
            return
        yield from_json(line)


@contextmanager
def _seconds_shown(label: str) -> Iterator[None]:
    ended = threading.Event()
    with progress(label, total=None, unit="s") as advance:

        def tick() -> None:
            while not ended.wait(1.0):
                advance(1)

        ticking = threading.Thread(target=tick, daemon=True)
        ticking.start()
        try:
            yield
        finally:
            ended.set()
            ticking.join()
