"""A store that fails now and then loses and doubles nothing; one that fails for good ends a command soon."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from lakehouse.audit.verify import verify
from tests.buckets.faults import Chance, Fault
from tests.buckets.lakes import use
from tests.buckets.operations import Operations
from tests.lanes import examples

REPOSITORY = Path(__file__).resolve().parents[2]
QUICK = ("500", "503", "429", "reset", "lost", "late", "cut", "short", "html", "stale")
SLOW = ("slow", "dead", "drip")
HALF_A_MINUTE_S = 30
STARTING_S = 20
"""A command on a machine that is busy."""


def test_operations_on_a_store_that_fails_at_a_fifth_of_the_requests_lose_and_double_nothing(
    shaky, proxy, tmp_path, monkeypatch
):
    done = Operations(use(shaky, tmp_path, monkeypatch), tmp_path)
    with done.open():
        pass
    with proxy.injecting(Chance(QUICK, rate=0.19, seed=7), Chance(SLOW, rate=0.01, seed=8)):
        done.work(examples(60, long=500))
    assert sum(proxy.struck().values()) > 100
    assert {"lost", "late", "reset", "503"} <= set(proxy.struck())
    assert done.failed == []  # every fault passed within the tries of its request
    fresh = f"lake.copies={json.dumps(str(tmp_path / 'fresh'))}"
    assert done.missing_and_doubled(fresh) == ({}, {})
    with done.open(fresh) as lake:
        assert list(verify(lake)) == []


@pytest.mark.parametrize(
    ("kind", "path"),
    [*((kind, "") for kind in ("500", "403", "reset", "dead", "away")),
     *examples([("500", "/objects/"), ("dead", "/_delta_log/")],
               long=[("500", "/objects/"), ("dead", "/objects/"), ("403", "/_delta_log/"), ("dead", "/_delta_log/")])],
)  # fmt: skip
def test_a_store_that_fails_for_good_ends_a_command_in_one_line(kind, path, shaky, proxy, tmp_path, monkeypatch):
    address = use(shaky, tmp_path, monkeypatch)
    done = Operations(address, tmp_path)
    with done.open():
        pass
    (tmp_path / "drop").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "drop" / "a.png")
    if kind == "away":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        fault = Fault("500", times=0)
    else:
        fault = Fault(kind, times=math.inf, path=path, method="PUT" if path else "")
    command = [sys.executable, "-m", "jobs.cli", "land", "--lake", address, "--source", "a", "--folder", "drop"]
    with proxy.injecting(fault):
        began = time.monotonic()
        ended = subprocess.run(
            [*command, "--set", "engine.workers=1"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - began
    assert ended.returncode == 1, ended.stderr
    (line,) = ended.stderr.strip().splitlines()
    typed = ("StorageError", "ForbiddenError", "DeadlineError", "UnknownCommitError", "IngestError")
    assert line.split(": ")[1] in typed, line
    assert address in line
    assert any(f"{word}" in line for word in ("tries", "requests sent")), line
    assert seconds < HALF_A_MINUTE_S + STARTING_S, line
    with done.open() as lake:  # nothing is left that keeps others from working
        assert list(verify(lake)) == []
