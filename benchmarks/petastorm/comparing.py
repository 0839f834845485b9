"""Both libraries in turn, round by round: first the old one's settings are tried, then its best meets Petrel."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.loaders.child import into_page_cache
from benchmarks.loaders.children import ChildError, run_child
from benchmarks.petastorm.sets import SETS, written
from benchmarks.petastorm.workloads import OURS, THEIRS, WORKLOADS, Setting

logger = logging.getLogger(__name__)

_PATIENCE_S = 120


@dataclass(slots=True)
class Line:
    """What was found out about one setting on the files of one layout.

    Attributes:
        workload: Name of the program.
        layout: Who wrote the files.
        setting: How the library was told to work.
        rounds: Results of `child.speed`.
        failure: Why it has no result, or no further ones.
    """

    workload: str
    layout: str
    setting: Setting
    rounds: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""

    @property
    def rates(self) -> list[float]:
        """Rows per second of each round."""
        return [_total(each, "rows") / _total(each, "seconds") for each in self.rounds]

    @property
    def rate(self) -> float:
        """The median of them, 0 if there are none."""
        return statistics.median(self.rates) if self.rounds else 0.0

    @property
    def cpu_s(self) -> list[float]:
        """Processor seconds for 1,000 rows, of each round."""
        return [1000 * _total(each, "cpu_s") / max(1.0, _total(each, "rows")) for each in self.rounds]

    @property
    def own_mb(self) -> list[float]:
        """Memory of its own, beyond that of the imports, of each round."""
        return [each["peak_mb"] - each["imported_mb"] for each in self.rounds]

    @property
    def passes(self) -> list[int]:
        """Rows of every pass."""
        return [rows for each in self.rounds for rows in each["rows"]]


@dataclass(slots=True)
class Comparison:
    """All lines of one program on one layout.

    Attributes:
        ours: Petrel as it comes.
        theirs: Petastorm in the setting in which it is fastest.
        tried: Petastorm in every setting, from which that was chosen; empty if it was named.
        sums: {library: result of `child.values`}.
    """

    ours: Line
    theirs: Line
    tried: list[Line] = field(default_factory=list)
    sums: dict[str, Any] = field(default_factory=dict)

    def ratios(self, name: str) -> list[float]:
        """Return ours by theirs of `rates`, `cpu_s`, `own_mb` or a figure of each result, for each round."""
        pairs = zip(_figures(self.ours, name), _figures(self.theirs, name), strict=False)
        return [ours / theirs for ours, theirs in pairs if theirs > 0]


def compare(
    workloads: Sequence[str], layouts: Sequence[str], *, rounds: int, least_s: float, settings: Sequence[str] = ()
) -> list[Comparison]:
    """Measure; `settings` names Petastorm's settings to choose from, all if there are none."""
    found = []
    for workload in workloads:
        candidates = [THEIRS[name] for name in settings or THEIRS]
        tried = _search(workload, candidates, least_s) if len(candidates) > 1 else []
        best = max(tried, key=lambda line: line.rate).setting if tried else candidates[0]
        for layout in layouts:
            one = Comparison(Line(workload, layout, OURS), Line(workload, layout, best), tried)
            for number in range(rounds):
                pair = [one.ours, one.theirs]
                for line in pair if number % 2 == 0 else reversed(pair):
                    _measure(line, least_s)
                logger.info("workload=%s layout=%s round=%d of=%d", workload, layout, number + 1, rounds)
            for line in (one.ours, one.theirs):
                if not line.failure:
                    one.sums[line.setting.peer] = _run(line, "values")
            found.append(one)
    return found


def _search(workload: str, candidates: Sequence[Setting], least_s: float) -> list[Line]:
    """Try Petastorm's settings, twice each, there and back."""
    lines = [Line(workload, "petastorm", setting) for setting in candidates]
    for line in (*lines, *reversed(lines)):
        _measure(line, least_s)
    logger.info("workload=%s tried %s", workload, " ".join(f"{each.setting.name}={each.rate:,.0f}/s" for each in lines))
    return lines


def _measure(line: Line, least_s: float) -> None:
    if line.failure:
        return
    try:
        line.rounds.append(_run(line, "speed", least_s=least_s))
    except ChildError as error:
        line.failure = str(error)
        logger.warning("failed workload=%s %s %s: %s", line.workload, line.setting.peer, line.setting.name, error)


def _run(line: Line, mode: str, **more: Any) -> dict[str, Any]:
    folder = written(WORKLOADS[line.workload].set, line.layout)["folder"]
    into_page_cache(Path(folder))
    task = {
        "mode": mode, "peer": line.setting.peer, "workload": line.workload, "folder": folder,
        "arguments": line.setting.arguments, "started": time.monotonic(), **more,
    }  # fmt: skip
    return run_child(task, module="benchmarks.petastorm.child", patience_s=_PATIENCE_S)


def expected_rows(workload: str) -> int:
    """Return how many rows a pass has to have."""
    return SETS[WORKLOADS[workload].set].rows


def _total(result: dict[str, Any], name: str) -> float:
    return float(sum(each[name] for each in result["passes"]))


def _figures(line: Line, name: str) -> list[float]:
    if name in ("rates", "cpu_s", "own_mb"):
        return list(getattr(line, name))
    return [float(each[name]) for each in line.rounds]
