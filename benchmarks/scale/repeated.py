"""Many small imports in one open lake: what each costs by then, and what the process holds.

    python -m benchmarks.scale --lake-size 10k --only repeated --times 1000
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from benchmarks.scale.lakes import path_of
from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.opinions.step import OpinionSource, opinions

MILESTONES = (5, 10, 20, 50, 100, 200, 500)
"""After which imports the cost is told, beside the last."""

AROUND = 5
"""Imports up to a milestone; the middle one of them is told."""

EACH = 10
"""Opinions of one import."""


def write_answers(folder: Path, place: int) -> Path:
    """Write what import `place`, from 1, reads; every import has answers of its own, about entities of its own."""
    path = folder / f"answers-{place}.csv"
    numbers = range((place - 1) * EACH, place * EACH)
    path.write_text("subject,label\n" + "".join(f"{path_of(each)},class_{each % 10}\n" for each in numbers))
    return path


def main(lake_root: str, scratch: str, milestones: str) -> None:
    """Make the imports and print seconds of processor and resident MB at each milestone."""
    shown = [int(each) for each in milestones.split(",")]
    costs: list[float] = []
    with open_lake(load_config(overrides=[f'lake.root="{lake_root}"'], environ={})) as lake:
        for place in range(1, shown[-1] + 1):
            answers = write_answers(Path(scratch), place)
            before = _seconds()
            source = OpinionSource(source="scale", format="csv", path=str(answers), question="class", actor="human:di")
            opinions(lake, source)
            costs.append(_seconds() - before)
            if place in shown:
                nearest = sorted(costs[-AROUND:])
                sys.stdout.write(f"{nearest[len(nearest) // 2]:.3f} {_resident_mb():.1f}\n")
                sys.stdout.flush()


def _seconds() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)
