"""kill -9 of a watch while files arrive: each is landed exactly once, whatever engine lands it."""

from __future__ import annotations

import random
import signal
import subprocess

import pytest

from tests.lanes import LANE, examples
from tests.recovery.arriving import REPOSITORY, Arriving

NOTHING = {"missing": 0, "doubled": 0, "halves": 0, "not entities": 0}


@pytest.mark.slow
def test_a_watch_that_is_killed_again_and_again_lands_each_file_once(tmp_path):
    stream = Arriving(tmp_path / "lake", tmp_path / "drop")
    chance = random.Random(16)
    kills = examples(2, long=10)
    stream.arrive(10, chance=chance)
    for _ in range(kills):
        stream.watch_and_kill(after_lines=chance.randint(1, 3), arrive=12, chance=chance)
    stream.end()
    assert stream.killed == kills
    assert stream.faults() == NOTHING


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.skipif(LANE != "long", reason="each start of a JVM costs 20 CPU seconds; in the long lane")
@pytest.mark.usefixtures("java_17")
def test_a_streaming_query_of_spark_that_is_killed_lands_each_file_once(tmp_path):
    stream = Arriving(tmp_path / "lake", tmp_path / "drop", engine="spark")
    chance = random.Random(16)
    stream.arrive(10, chance=chance)
    for _ in range(3):
        stream.watch_and_kill(after_lines=2, arrive=10, chance=chance)
    stream.engine = "embedded"  # which goes on where the other was
    stream.end()
    assert stream.faults() == NOTHING


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_watch_after_its_batch_with_exit_code_0(tmp_path, number):
    stream = Arriving(tmp_path / "lake", tmp_path / "drop")
    stream.arrive(20, chance=random.Random(16))
    watching = subprocess.Popen(
        stream.command("--every", "1h"), cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )  # fmt: skip
    assert watching.stdout is not None
    first = watching.stdout.readline()
    watching.send_signal(number)
    output, errors = watching.communicate()
    assert (first[:4], watching.returncode) == ("land", 0)
    assert output.splitlines()[-1].startswith("watch")
    assert "stops after what is under way" in errors
