"""The benchmark of Spark's steps runs and tells of every step."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_prints_seconds_and_jobs_of_every_step():
    command = [sys.executable, "-m", "benchmarks.spark", "--files", "20", "--opinions", "10", "--plans", "embedded"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("20 files, 10 opinions")
    found = json.loads(lines[-1])["embedded"]
    assert list(found) == ["land", "entities", "dimensions", "opinions", "build"]
    assert [line.split()[0] for line in lines[1:-1]] == list(found)
    assert all(seconds > 0 and jobs == 0 for seconds, jobs in found.values())
