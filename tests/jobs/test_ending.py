"""Ctrl-C and SIGTERM end a command at once with one line, whatever it is doing; the next run goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from jobs.cli import main
from jobs.common import guarded

ROOT = Path(__file__).parents[2]


@pytest.fixture
def big_pipeline(tmp_path: Path, pipeline: Path) -> Path:
    """More files than one task takes, so that worker processes do the work."""
    for number in range(600):
        picture = Image.new("RGB", (8, 6), (number % 256, number // 256, 99))
        picture.save(tmp_path / "shapes" / "square" / f"more_{number}.png")
    return pipeline


def start(lake: Path, pipeline: Path) -> subprocess.Popen[str]:
    """Start a run in a process group of its own, as a terminal does."""
    command = [sys.executable, "-m", "jobs.cli", "run", "--lake", str(lake), "--pipeline", str(pipeline), "--json"]
    return subprocess.Popen([*command, "--set", "engine.workers=2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, cwd=ROOT, start_new_session=True, preexec_fn=_as_in_a_terminal)


def _as_in_a_terminal() -> None:
    # Tests that run in the background of a script inherit that Ctrl-C is ignored, and commands leave that as it is.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def living(group: int) -> list[str]:
    """Commands of a process group, without those that have ended and nobody has asked for."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().rpartition(")")
            state, _, its_group = rest.split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(name)
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("after", "number"), [
    (0, signal.SIGINT), (1, signal.SIGINT), (2, signal.SIGTERM), (5, signal.SIGINT),
])
def test_a_signal_to_all_processes_of_a_terminal_ends_them_with_one_line(tmp_path, big_pipeline, after, number):
    process = start(tmp_path / "lake", big_pipeline)
    done = [json.loads(process.stdout.readline())["step"] for _ in range(after)]
    if not after:
        assert "made a new lake" in process.stderr.readline()
    os.killpg(process.pid, number)
    rest, error = process.communicate(timeout=20)
    patience = time.monotonic() + 10
    while (left := living(process.pid)) and time.monotonic() < patience:
        time.sleep(0.05)

    lines = [line for line in error.splitlines() if "made a new lake" not in line]
    if process.returncode == 0:
        pytest.fail(f"the run had ended before the signal came: {done}, {rest}")
    assert (process.returncode, left) == (128 + number, [])
    said = "interrupted" if number == signal.SIGINT else "ended by SIGTERM"
    assert lines == [f"petrel: {said}; what was committed stays, run the same command again to go on"]
    assert list((tmp_path / "lake" / "_tmp").iterdir()) == []

    again = start(tmp_path / "lake", big_pipeline)
    receipts, error = again.communicate(timeout=60)
    assert (again.returncode, error) == (0, "")
    built = [each for each in map(json.loads, receipts.splitlines()) if each["step"] == "build"]
    assert [each["counts"]["members"] for each in built] == [606]


def test_memory_that_ran_out_is_told_in_one_line(capsys):
    def too_much() -> int:
        raise MemoryError

    assert guarded(too_much, verbose=False) == 1
    assert capsys.readouterr().err.startswith("petrel: EnvironmentProblemError: memory ran out; what was committed")


def test_too_few_addresses_are_told_before_other_libraries_end_the_process(tmp_path):
    command = f"ulimit -v 2000000; exec {sys.executable} -m jobs.cli init --lake {tmp_path / 'lake'}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "1.9 GiB of addresses (ulimit -v), and needs 4; run: ulimit -v unlimited" in done.stderr
    assert not (tmp_path / "lake").exists()


def test_calls_from_python_keep_their_own_handlers(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main(["init", "--lake", str(tmp_path / "lake")]) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
