"""What a branch, reading through branches, a diff and a merge cost.

    python -m benchmarks.branches                              # 100,000 entities, 900,000 opinions
    python -m benchmarks.branches --entities 1000000 --rounds 4     # 12,000,000 opinions
    python -m benchmarks.branches --diff-sizes 10000 100000 1000000

The lake is made once and kept beside the others of `benchmarks.scale`. Seconds of the clock in one process, embedded
engine; the least of three, but for the merge and the first write, which are measured once. A branch counts the data
files below its folder. Reading is one query over silver.opinions and silver.entities, of main and of a branch by turns;
`cpu` is what all threads took, and tells on a busy machine too.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import lakehouse as lh
from benchmarks.scale.lakes import entity_id, make_lake
from lakehouse.commits.branching import commit_now, make_branch
from lakehouse.commits.checkout import checked_out
from lakehouse.commits.naming import find_commit
from lakehouse.lake import Lake
from lakehouse.merging.comparing import compare
from lakehouse.merging.merge import merge
from lakehouse.query import fetch
from lakehouse.verification.places import own_place
from schemas.tables import TABLES

QUESTION = """
select o.label, count(*) as n, count(e.entity_id) as known from silver.opinions o
left join silver.entities e on e.entity_id = o.subject_id and e.size_bytes > 0 group by o.label order by n desc
"""
Some = TypeVar("Some")


def main(argv: Sequence[str] | None = None) -> None:
    """Make the lake, and print what each verb took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3, help="three actors answer so often about each entity")
    parser.add_argument("--changes", type=int, default=1_000, help="opinions of the diff")
    parser.add_argument("--merged", type=int, default=10_000, help="opinions of the merge")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "petrel-branches")
    parser.add_argument("--diff-sizes", type=int, nargs="*", default=[], help="entities of further lakes to diff in")
    args = parser.parse_args(argv)
    for entities in args.diff_sizes:
        _measure(args.folder, entities, args, only_diff=True)
    if not args.diff_sizes:
        _measure(args.folder, args.entities, args, only_diff=False)


def _measure(folder: Path, entities: int, args: argparse.Namespace, *, only_diff: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    kept = make_lake(folder / f"{entities}x{args.rounds}", entities, rounds=args.rounds, dimensions=0)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        root = Path(scratch) / "lake"
        shutil.copytree(kept, root, copy_function=_link)
        with _opened(root) as main:
            opinions = fetch(main, "select count(*) as n from silver.opinions")[0]["n"]
            _say(f"entities={entities} opinions={opinions}")
            commit_now(main)
            # The copy of the lake made links, so its files are verified anew; a lake in use has been.
            fetch(main, QUESTION)
            if not only_diff:
                _say(f"branch seconds={_least(lambda: make_branch(main, _name()))[0]:.3f} "
                     f"data_files={len(list((root / '_branches').rglob('*.parquet')))}")
            make_branch(main, "b1")
            if not only_diff:
                started = time.perf_counter()
                lh.record_opinions(main, _answers(args.changes), source="b0", question="class", actor="human:b0")
                _say(f"write of {args.changes} opinions on main seconds={time.perf_counter() - started:.2f}")
        seconds = 0.0
        for depth in range(1, 2 if only_diff else 6):
            with _opened(root, f"b{depth}") as branch:
                rows = _answers(args.changes)
                started = time.perf_counter()
                lh.record_opinions(branch, rows, source=f"b{depth}", question="class", actor=f"human:b{depth}")
                seconds = time.perf_counter() - started
                if depth in (1, 5) and not only_diff:
                    _read_beside(root, branch, depth)
                if depth == 1:
                    _say(f"first write of {args.changes} opinions seconds={seconds:.2f}")
                make_branch(branch, f"b{depth + 1}")
        with _opened(root) as main:
            one, other = find_commit(main.home, "main"), find_commit(main.home, "b1")
            seconds, found = _least(lambda: compare(main, one, other, columns=False).summary())
            _say(f"diff changes={sum(each.added for each in found if each.table == 'silver.opinions')} "
                 f"seconds={seconds:.3f}")
            if only_diff:
                return
            make_branch(main, "many")
        with _opened(root, "many") as branch:
            lh.record_opinions(branch, _answers(args.merged), source="many", question="class", actor="human:many")
        with _opened(root) as main:
            fetch(main, QUESTION)
            started = time.perf_counter()
            receipt = merge(main, "many")
            _say(f"merge come={receipt.counts['come']} seconds={time.perf_counter() - started:.2f}")
            home = checked_out(main.home, "many")
            own = [table.name for table in TABLES if own_place(home, table).log.exists()]
            _say(f"tables of the merged branch: {', '.join(own)}")


def _read_beside(root: Path, branch: Lake, depth: int) -> None:
    """Read main and a branch by turns, so that both have what the machine has left for them."""
    with _opened(root) as main:
        took: dict[str, list[tuple[float, float]]] = {"main": [], "branch": []}
        for number in range(6):
            for name, lake in (("main", main), ("branch", branch)):
                clock, cpu = time.perf_counter(), time.process_time()
                fetch(lake, QUESTION)
                if number:  # the first verifies
                    took[name].append((time.perf_counter() - clock, time.process_time() - cpu))
    clocks, cpus = ({name: min(each[place] for each in took[name]) for name in took} for place in (0, 1))
    _say(f"read through {depth} branches seconds={clocks['branch']:.3f} main={clocks['main']:.3f} "
         f"times_main={clocks['branch'] / clocks['main']:.2f} "
         f"cpu={cpus['branch']:.2f} times_main_cpu={cpus['branch'] / cpus['main']:.2f}")  # fmt: skip


def _answers(many: int) -> list[dict[str, object]]:
    return [{"entity_id": entity_id(number), "label": "class_0"} for number in range(many)]


_numbers = iter(range(1_000_000))


def _name() -> str:
    return f"n{next(_numbers)}"


def _opened(root: Path, branch: str = "main"):  # type: ignore[no-untyped-def]
    return lh.open_lake(lh.load_config(overrides=[f'lake.root="{root}"', f'lake.branch="{branch}"'], environ={}))


def _least(work: Callable[[], Some]) -> tuple[float, Some]:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - started)
    return min(seconds), found


def _link(source: str, target: str) -> None:
    # Data files are never changed; small files may be.
    if source.endswith(".parquet"):
        Path(target).hardlink_to(source)
    else:
        shutil.copy2(source, target)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
