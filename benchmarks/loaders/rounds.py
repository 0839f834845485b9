"""All settings of a workload once, then all of them again: what the machine does meanwhile meets everybody."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.loaders.children import ChildError, prepared, run_child
from benchmarks.loaders.plan import Setting
from benchmarks.loaders.workloads import Data

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long one measurement takes, in seconds.

    Attributes:
        warm_s: Longest warm-up. A loader whose epoch is longer is timed in the rest of its first epoch.
        least_s: Whole epochs are timed until they took this long together.
        cap_s: Timing stops here, in mid-epoch if need be.
        look_s: Longest pass in which memory and order are watched.
    """

    warm_s: float = 4.0
    least_s: float = 1.0
    cap_s: float = 5.0
    look_s: float = 6.0


@dataclass(slots=True)
class Line:
    """What was found out about one setting.

    Attributes:
        setting: Which.
        rounds: Results of `child.speed` or `limits.run`, one for each round that worked.
        look: Result of `child.look`, {} if it was not looked at.
        written: Result of `children.prepared`.
        failure: Why it has no result, "" if it has.
    """

    setting: Setting
    rounds: list[dict[str, Any]] = field(default_factory=list)
    look: dict[str, Any] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict)
    failure: str = ""


def measure(settings: Sequence[Setting], data: dict[str, Data], *, rounds: int, pace: Pace, seed: int) -> list[Line]:
    """Measure one workload after the other, every setting in every round.

    A setting that fails is left out of the rounds that follow.
    """
    lines = [Line(setting) for setting in settings]
    for workload in data:
        _measure_workload([line for line in lines if line.setting.workload == workload], data, rounds, pace, seed)
    return lines


def _measure_workload(lines: Sequence[Line], data: dict[str, Data], rounds: int, pace: Pace, seed: int) -> None:
    for line in lines:
        _attempt(line, lambda line=line: line.written.update(_prepared(line.setting, data)))
    for number in range(rounds):
        started = time.perf_counter()
        # Every other round backwards: no loader always follows the same one.
        for line in lines if number % 2 == 0 else reversed(lines):
            mode = "limit" if line.setting.peer == "limit" else "speed"
            task = _task(line, mode, pace, seed)
            _attempt(line, lambda line=line, task=task: line.rounds.append(run_child(task)))
        seconds = time.perf_counter() - started
        logger.info("workload=%s round=%d of=%d seconds=%.0f", lines[0].setting.workload, number + 1, rounds, seconds)
    for line in lines:
        if line.setting.peer != "limit":
            task = _task(line, "look", pace, seed)
            _attempt(line, lambda line=line, task=task: line.look.update(run_child(task, sample_memory=True)))


def _prepared(setting: Setting, data: dict[str, Data]) -> dict[str, Any]:
    if setting.not_run:
        raise ChildError(setting.not_run)
    return prepared(setting.peer, data[setting.workload], layout=setting.options.get("layout"))


def _attempt(line: Line, action: Any) -> None:
    if line.failure:
        return
    try:
        action()
    except ChildError as error:
        line.failure = str(error)
        logger.warning("failed workload=%s setting=%s: %s", line.setting.workload, line.setting.name, error)


def _task(line: Line, mode: str, pace: Pace, seed: int) -> dict[str, Any]:
    setting = line.setting
    return {
        "mode": mode, "peer": setting.peer, "workload": setting.workload, "options": setting.options, "seed": seed,
        "folder": line.written.get("folder", ""), "warm_s": pace.warm_s, "least_s": pace.least_s,
        "cap_s": pace.look_s if mode == "look" else pace.cap_s,
    }  # fmt: skip
