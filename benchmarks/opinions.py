"""What opinions cost in a lake that has many: the current view, a policy, and an import of a thousand answers.

    python -m benchmarks.opinions                                  # 10 million beside 10 thousand; minutes to make
    python -m benchmarks.opinions --opinions 1M --folder /data/scale
    python -m benchmarks.opinions --only view

Lakes are made once and used again; an import works on a copy whose files are links. Each figure is of a process of its
own: wall seconds, and seconds of processor (of it and its children), which a busy machine changes less; files are
compared with their hashes before, as once on each machine. Baseline of the view: DuckDB alone, one window over the same
Parquet files, without retractions and supersession.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.scale.lakes import ACTOR_IDS, entities_of, entity_id, make_lake

SMALL = 10_000
ENTITIES = 100_000
ANSWERS = 1_000

CLOCK = """
import json, resource, sys, time
def cpu():
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)
def begin():
    global started
    started = time.monotonic(), cpu()
def end(rows):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([time.monotonic() - started[0], cpu() - started[1], rows, peak]))
"""

VIEW = """
from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.query import fetch
from lakehouse.labels.sql import believed_sql
from lakehouse.labels.presets import majority
what, root = sys.argv[1:]
texts = {"view": "select count(*) as n, min(label) as first from current_opinions",
         "policy": f"select count(*) as n, min(label) as first from ({believed_sql(majority())}) x"}
with open_lake(load_config(overrides=[f'lake.root={json.dumps(root)}'], environ={})) as lake:
    fetch(lake, "select count(*) as n from silver.opinions")
    begin()
    rows = fetch(lake, texts[what], params={"question": "class"})
    end(rows[0]["n"])
"""

BASELINE = """
import duckdb
connection = duckdb.connect()
begin()
files = f"{sys.argv[2]}/tables/silver/opinions/*.parquet"
rows = connection.execute(f'''select count(*), min(label) from (select * from read_parquet('{files}')
    qualify row_number() over (partition by actor_id, question_id, subject_id, slot
        order by event_time desc nulls last, opinion_id desc) = 1)''').fetchall()
end(rows[0][0])
"""

IMPORT = """
from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.query import fetch
from lakehouse.opinions.step import record_opinions
what, root = sys.argv[1:]
rows = [json.loads(line) for line in sys.stdin]
with open_lake(load_config(overrides=[f'lake.root={json.dumps(root)}'], environ={})) as lake:
    fetch(lake, "select count(*) as n from silver.opinions join silver.entities on entity_id = subject_id")
    begin()
    new = record_opinions(lake, rows, source="new", question="class", actor="human:ann").counts["new"]
    end(new)
"""


def main(argv: Sequence[str] | None = None, *, say: Callable[[str], object] = print) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--opinions", default="10M", help="of the large lake, as 10M")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "petrel-opinions")
    parser.add_argument("--only", choices=("view", "policy", "import"), action="append")
    parser.add_argument("--times", type=int, default=3, help="how often; the fastest is told (default: 3)")
    arguments = parser.parse_args(argv)
    chosen = arguments.only or ["view", "policy", "import"]
    sizes = [SMALL, entities_of(arguments.opinions)]
    lakes = {size: lake_of(arguments.folder, size) for size in sizes}
    for what in chosen:
        best = {}
        for size, lake in lakes.items():
            best[size] = _least([_measured(what, lake) for _ in range(arguments.times)])
            say(_line(what, size, best[size]))
        if what == "import":
            small, large = best.values()
            say(f"import ratio seconds={large[0] / small[0]:.2f} cpu={large[1] / small[1]:.2f}")
    if "view" in chosen:
        found = _least([_run(BASELINE, "view", lakes[sizes[1]]) for _ in range(arguments.times)])
        say(_line("duckdb_alone", sizes[1], found))


def _least(found: Sequence[Sequence[float]]) -> list[float]:
    """Return the least wall and processor seconds of several runs, their rows and the peak of memory, KB."""
    seconds, cpu, rows, peak = zip(*found, strict=True)
    return [min(seconds), min(cpu), rows[0], max(peak)]


def _line(what: str, size: int, found: Sequence[float]) -> str:
    return (
        f"{what} opinions={size} seconds={found[0]:.2f} cpu={found[1]:.2f} rows={int(found[2])} "
        f"peak_mb={int(found[3]) >> 10}"
    )


def lake_of(folder: Path, opinions: int) -> Path:
    """Return a lake with at least so many opinions, made now or before."""
    entities = min(ENTITIES, max(ANSWERS, opinions // len(ACTOR_IDS)))
    rounds = -(-opinions // (entities * len(ACTOR_IDS)))
    folder.mkdir(parents=True, exist_ok=True)
    return make_lake(folder / f"{opinions}", entities, rounds=rounds, dimensions=0)


def _measured(what: str, lake: Path) -> list[float]:
    if what != "import":
        return _run(VIEW, what, lake)
    with tempfile.TemporaryDirectory(dir=lake.parent) as scratch:
        copy = Path(scratch) / "lake"
        shutil.copytree(lake, copy, copy_function=_link)
        rows = [{"entity_id": entity_id(number), "label": "class_0", "slot": "new"} for number in range(ANSWERS)]
        return _run(IMPORT, what, copy, "".join(json.dumps(row) + "\n" for row in rows))


def _link(source: str, target: str) -> None:
    # Data files are never changed; small files may be.
    if source.endswith(".parquet"):
        Path(target).hardlink_to(source)
    else:
        shutil.copy2(source, target)


def _run(program: str, what: str, lake: Path, sent: str = "") -> list[float]:
    command = [sys.executable, "-c", CLOCK + program, what, str(lake)]
    done = subprocess.run(command, input=sent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    time.sleep(0.1)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
