"""A process that is killed while it builds and publishes a dataset; forked, so that it need not start anew each time.

    python -m tests.datasets.killing

Each line of its input is a JSON list of runs, which begin at the same moment; the answer to it is a line with what
became of them. A run is {"root": lake, and at most one of

    "at": it kills itself with SIGKILL before its n-th change of files (a rename, link, folder, file opened for writing)
    "after_s": it is killed so many seconds after its beginning
    "most_bytes": no file that it writes can be longer (RLIMIT_FSIZE), as on a full disk
}. What became of it is {"status": wait status, "changes": how many there were, "told": its receipts or its error}.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import lakehouse.materialise.step as step
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import PetrelError
from loaders import Layout
from tests.making import small_lake

RECIPE = {
    "name": "zoo", "question": "animal", "select": {"sql": "select entity_id from entities"},
    "split": {"ratios": {"train": 0.8, "test": 0.2}},
}  # fmt: skip
LAYOUT = Layout(size_column="size_bytes", row_group_bytes=300, part_bytes=1_000)
CHANGES = frozenset(("os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"))


def build_and_publish(root: str) -> list[dict[str, Any]]:
    """What a run does, with small parts. The process may be the tests' own: others find the layout as it was."""
    small = mock.patch.object(step, "LAYOUT", LAYOUT)
    with small, small_lake(root, "engine.lock_timeout_s=60") as lake:
        built = build(lake, parse_recipe(RECIPE, where="zoo.toml"))
        published = step.materialise(lake, str(built.details["dataset_id"]))
    return [json.loads(each.to_json()) for each in (built, published)]


class Counted:
    """Counts changes of files below a folder, and kills this process before one of them."""

    def __init__(self, root: str, at: int | None) -> None:
        self.root, self.at, self.changes = root, at, 0

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            _, _, flags = args
            if not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                return
        elif event not in CHANGES:
            return
        if not str(args[0]).startswith(self.root):
            return
        self.changes += 1
        if self.changes == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def _child(run: dict[str, Any], gate: int, answers: int) -> None:
    counted = Counted(run["root"], run.get("at"))
    os.read(gate, 1)
    sys.addaudithook(counted)
    if "most_bytes" in run:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (run["most_bytes"], resource.RLIM_INFINITY))
    try:
        told: Any = build_and_publish(run["root"])
    except (PetrelError, OSError) as error:
        told = f"{type(error).__name__}: {error}"
    os.write(answers, json.dumps({"changes": counted.changes, "told": told}).encode())


def _forked(work: Callable[[], None]) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def _runs(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    gate, opening = os.pipe()
    pipes = [os.pipe() for _ in runs]

    def begin(run: dict[str, Any], answers: int) -> Callable[[], None]:
        def work() -> None:
            os.close(opening)
            _child(run, gate, answers)

        return work

    children = [_forked(begin(run, pipe[1])) for run, pipe in zip(runs, pipes, strict=True)]
    os.close(gate)
    os.close(opening)
    found = []
    for run, child, (reading, writing) in zip(runs, children, pipes, strict=True):
        os.close(writing)
        if "after_s" in run:
            time.sleep(run["after_s"])
            os.kill(child, signal.SIGKILL)
        with os.fdopen(reading, "rb") as answer:
            text = answer.read()
        _, status = os.waitpid(child, 0)
        found.append({"changes": 0, "told": "", **json.loads(text or b"{}"), "status": status})
    return found


def main() -> None:
    """Run as a program."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_runs(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
