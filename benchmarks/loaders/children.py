"""Start measurements and wait for their results."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from typing import Any

from benchmarks.loaders.child import RESULT
from benchmarks.loaders.environments import python_of
from benchmarks.loaders.measuring import memory_mb, tree
from benchmarks.loaders.places import ROOT, cache_folder
from benchmarks.loaders.plan import ENVIRONMENT_OF
from benchmarks.loaders.workloads import Data

PATIENCE_S = 180
"""A measurement that takes longer is reported as one that hangs."""

_SAMPLE_S = 0.05


class ChildError(Exception):
    """A measurement failed; the message is the reason for the table."""


def run_child(
    task: dict[str, Any],
    *,
    module: str = "benchmarks.loaders.child",
    sample_memory: bool = False,
    patience_s: float = PATIENCE_S,
) -> dict[str, Any]:
    """Run one task in a process of its own and return its result.

    Args:
        task: What the module gets as its argument; `peer` names the environment.
        module: What is run; the last line of its output is `RESULT` and a JSON object.
        sample_memory: Also return `rss_mb` and `own_mb`, the highest of 20 samples per second.
        patience_s: Seconds after which it is killed.

    Raises:
        ChildError: If it fails, hangs, or its environment is missing.
    """
    environment = ENVIRONMENT_OF[task["peer"]]
    python = python_of(environment)
    if python is None:
        raise ChildError(f"no environment; run python -m benchmarks.loaders --setup {environment}")
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            [python, "-m", module, json.dumps(task)],
            cwd=ROOT, stdout=out, stderr=err, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        rss = own = 0.0
        try:
            deadline = time.monotonic() + patience_s
            while child.poll() is None:
                if time.monotonic() > deadline:
                    raise ChildError(f"no result after {patience_s:g} s")
                if sample_memory:
                    now = memory_mb(child.pid)
                    rss, own = max(rss, now[0]), max(own, now[1])
                time.sleep(_SAMPLE_S)
        finally:
            _end(child)
        out.seek(0)
        err.seek(0)
        lines = out.read().decode(errors="replace").splitlines()
        said = [line.strip() for line in err.read().decode(errors="replace").splitlines() if line.strip()]
    found = [line for line in lines if line.startswith(RESULT)]
    if not found:
        raise ChildError(said[-1][:200] if said else f"exit status {child.returncode}")
    result: dict[str, Any] = json.loads(found[-1].removeprefix(RESULT))
    return {**result, "rss_mb": rss, "own_mb": own} if sample_memory else result


def prepared(peer: str, data: Data, *, layout: str | None = None) -> dict[str, Any]:
    """Have the workload written in the format of a peer, once; return `folder`, `bytes` and what writing cost."""
    folder = cache_folder() / "sets" / data.workload.name / (f"{peer}-{layout}" if layout else peer)
    note_path = folder.with_suffix(".json")
    if note_path.exists():
        note: dict[str, Any] = json.loads(note_path.read_text())
        if note["sha256"] == data.sha256:
            return note
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    task = {
        "mode": "prepare", "peer": peer, "workload": data.workload.name, "folder": str(folder),
        "options": {"layout": layout} if layout else {},
    }  # fmt: skip
    cost = run_child(task, patience_s=1200)
    files = {path.stat().st_ino: path.stat().st_size for path in folder.rglob("*") if path.is_file()}  # links once
    note = {**cost, "folder": str(folder), "bytes": sum(files.values()), "sha256": data.sha256}
    note_path.write_text(json.dumps(note))
    return note


def _end(child: subprocess.Popen[bytes]) -> None:
    """End what the child left behind: everything in its session."""
    left = tree(child.pid) if child.poll() is None else []
    for pid in left:
        _kill(pid)
    child.wait()
    try:
        os.killpg(child.pid, 9)
    except ProcessLookupError:
        pass


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass
