"""Steps as a spark-submit job: its arguments, receipts and failures. A script stands in for spark-submit.sh."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from examples.demo import steps
from examples.demo.plan import Plan
from lakehouse.errors import EnvironmentProblemError
from lakehouse.spark.java import Java
from lakehouse.steps.receipts import Receipt

WELL = """#!/bin/sh
echo "$@" >> {calls}
echo ":: loading settings ::"
echo '{receipt}'
echo "WARN: something" >&2
echo '{receipt}'
"""

BADLY = """#!/bin/sh
echo '{receipt}'
echo "no jars for you" >&2
exit 7
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan("digits", tmp_path / "home", tmp_path / "home/pipeline.toml", "digit")


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Put a script in the place of spark-submit.sh; return the file of its calls."""
    calls = tmp_path / "calls"
    receipt = Receipt("some_step", "spark", datetime(2024, 5, 1, tzinfo=UTC), 1.5, {"seen": 3})
    submit = tmp_path / "spark-submit.sh"
    submit.write_text(script.format(calls=calls, receipt=receipt.to_json()), encoding="utf-8")
    submit.chmod(0o755)
    monkeypatch.setattr(steps, "SUBMIT", submit)
    return calls


def test_all_steps_are_one_job_that_says_its_receipts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan
) -> None:
    calls = stand_in(tmp_path, monkeypatch, WELL)
    said: list[Receipt] = []
    receipts = steps.run_spark(plan, tmp_path / "a lake", say=said.append)
    (line,) = calls.read_text(encoding="utf-8").splitlines()
    assert line == f"{steps.ROOT}/jobs/run.py --lake {tmp_path}/a lake --engine spark --json --pipeline {plan.pipeline}"
    assert said == receipts
    assert [receipt.counts for receipt in receipts] == [{"seen": 3}] * 2


def test_the_log_of_the_job_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    stand_in(tmp_path, monkeypatch, WELL)
    steps.run_spark(plan, tmp_path / "lake", say=lambda _: None)
    assert (plan.home / "logs/spark.log").read_text(encoding="utf-8") == "WARN: something\n"


def test_a_job_that_fails_stops_the_run_and_shows_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan
) -> None:
    stand_in(tmp_path, monkeypatch, BADLY)
    said: list[Receipt] = []
    with pytest.raises(EnvironmentProblemError, match=r"(?s)jobs/run.py ended with exit code 7.*no jars for you"):
        steps.run_spark(plan, tmp_path / "lake", say=said.append)
    assert len(said) == 1


def test_a_terminal_shows_for_how_long_a_step_is_at_work(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr.isatty", lambda: True, raising=False)
        with steps._seconds_shown("step 2"):
            time.sleep(1.2)
    assert "step 2: 1 s" in capsys.readouterr().err


def test_without_pyspark_there_is_one_line_on_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "find_spec", lambda name: None)
    assert "pip install 'petrel-lakehouse[spark]'" in str(steps.why_no_spark())


def test_without_java_the_reason_is_javas(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_java() -> Java:
        raise EnvironmentProblemError("no java here; run: get-java")

    monkeypatch.setattr(steps, "find_spec", lambda name: object())
    monkeypatch.setattr(steps, "find_java", no_java)
    assert steps.why_no_spark() == "no java here; run: get-java"


def test_with_both_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "find_spec", lambda name: object())
    monkeypatch.setattr(steps, "find_java", lambda: Java(Path("java"), "17.0.1"))
    assert steps.why_no_spark() is None
