"""What steps cost in a lake of a given size, beside raw DuckDB over the same files.

    python -m benchmarks.scale --lake-size 1M                       # everything; the lake is made in a few minutes
    python -m benchmarks.scale --lake-size 10k --only views,import
    python -m benchmarks.scale --lake-size 1M --folder /data/scale  # lakes are kept there and used again
    python -m benchmarks.scale --lake-size 10k --only repeated --times 1000

Every figure is of a process of its own: seconds of processor (user and system, of it and of its children) and the
most memory that one process of it held. A lake that is worked on is a copy whose files are links.
"""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.lakes import entities_of, entity_id, make_lake, path_of
from benchmarks.scale.repeated import AROUND, MILESTONES, write_answers

# Of a small process: the peak of a large one that forked would be counted into its child.
PROBE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, done.returncode, done.stdout[-2000:]]))
"""

RAW = """
import sys, duckdb
connection = duckdb.connect()
connection.execute("create schema silver")
for name in ("entities", "dimensions", "opinions"):
    files = f"{sys.argv[1]}/tables/silver/{name}/*.parquet"
    connection.execute(f"create view silver.{name} as select * from read_parquet('{files}')")
print(connection.execute(sys.argv[2]).fetchall())
"""

CURRENT = """(
    select * from silver.opinions qualify row_number() over (
        partition by actor_id, question_id, subject_id, slot order by event_time desc nulls last, opinion_id desc) = 1
)"""

RECIPE = """
name = "scale"
seed = 7
question = "class"
[select]
sql = "select entity_id from entities_wide where brightness < 0.8"
[split]
ratios = { train = 0.8, test = 0.2 }
"""

QUESTIONS = {
    "current_opinions": (
        "select label, count(*) as n from current_opinions group by label",
        f"select label, count(*) as n from {CURRENT} group by label",
    ),
    "labels": (
        "select label, count(*) as n from labels where rank = 1 group by label",
        f"""select label, count(*) as n from (select subject_id, label, row_number() over (
        partition by subject_id, question_id order by sum(votes) desc, label) as rank from {CURRENT}
        group by subject_id, question_id, label) where rank = 1 group by label""",
    ),
    "entities_wide where brightness < .1": (
        "select count(*) as n, min(entity_id) as first from entities_wide where brightness < .1",
        """select count(*), min(e.entity_id) from silver.entities e join silver.dimensions d
        on d.entity_id = e.entity_id where d.dimension = 'brightness' and d.number < .1""",
    ),
    "entities_wide of one entity": (
        f"select * from entities_wide where entity_id = '{entity_id(7)}'",
        f"select * from silver.dimensions where entity_id = '{entity_id(7)}'",
    ),
}
"""Name -> what Petrel is asked, and what a person would ask of the files, knowing that nothing was retracted."""


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Attributes:
        seconds: Of processor, user and system.
        peak_mb: Most memory of one process; of a step in an open lake what is resident after it.
    """

    seconds: float
    peak_mb: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s / {self.peak_mb:,.0f} MB"


Row = tuple[str, Cost, Cost | None]


def cost_of(*command: str) -> Cost:
    """Run a command and return what it took.

    Raises:
        RuntimeError: If it fails; the message has its output.
    """
    probed = subprocess.run([sys.executable, "-c", PROBE, *command], capture_output=True, text=True, check=True)
    seconds, peak_mb, code, output = json.loads(probed.stdout)
    if code:
        raise RuntimeError(f"{' '.join(command)}: exit status {code}: {output}")
    return Cost(seconds, peak_mb)


def petrel(command: str, lake: Path, *arguments: str) -> Cost:
    """Run one command of Petrel's on a lake."""
    return cost_of(sys.executable, "-m", "jobs.cli", command, "--lake", str(lake), *arguments)


def views(lake: Path, scratch: Path) -> Iterator[Row]:
    """Ask the views, after a first question has looked at every file."""
    generous = ("--set", "sql.memory_mb=16000", "--set", "sql.timeout_s=3600")
    for text, _ in QUESTIONS.values():
        petrel("sql", lake, *generous, text)
    yield "start: select count(*) from actors", petrel("sql", lake, "select count(*) as n from silver.actors"), None
    for name, (text, raw) in QUESTIONS.items():
        yield name, petrel("sql", lake, *generous, text), cost_of(sys.executable, "-c", RAW, str(lake), raw)


def build(lake: Path, scratch: Path) -> Iterator[Row]:
    """Build a dataset of four fifths of the entities."""
    recipe = scratch / "scale.toml"
    recipe.write_text(RECIPE)
    generous = ("--set", "sql.memory_mb=16000", "--set", "sql.timeout_s=3600", "--set", "sql.max_rows=100000000")
    yield "build", petrel("build", copy_of(lake, scratch), *generous, "--recipe", str(recipe)), None


def imports(lake: Path, scratch: Path) -> Iterator[Row]:
    """Import 1,000 opinions, then measure 100 new pictures; after one of each, as in a lake that is at work.

    The first ones read every file of a copy to verify it, and leave a note of how far `dimensions` has come.
    """
    copy = copy_of(lake, scratch)
    for place, told in enumerate((False, True)):
        answers = scratch / f"answers-{place}.csv"
        numbers = range(1000 if told else 1)
        answers.write_text("subject,label\n" + "".join(f"{path_of(each)},class_{each % 10}\n" for each in numbers))
        drop = scratch / f"drop-{place}"
        _draw(drop, seed=place, pictures=100 if told else 1)
        said = ("--source", "scale", "--format", "csv", "--path", str(answers), "--question", "class",
                "--actor", "human:di" if told else "human:ed")
        rows: list[Row] = [
            ("import of 1,000 opinions", petrel("opinions", copy, *said), None),
            ("land 100 pictures", petrel("land", copy, "--source", drop.name, "--folder", str(drop)), None),
            ("entities of 100 pictures", petrel("entities", copy), None),
            ("dimensions of 100 new entities", petrel("dimensions", copy), None),
        ]
        if told:
            yield from rows


def _draw(folder: Path, *, seed: int, pictures: int) -> None:
    import numpy as np
    from PIL import Image

    folder.mkdir()
    for place in range(pictures):
        pixels = np.random.default_rng([seed, place]).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")


def repeated(lake: Path, scratch: Path, times: int) -> Iterator[Row]:
    """Import ten opinions so many times, in one open lake, then in a process each."""
    shown = [place for place in MILESTONES if place < times] + [times]
    code = "import sys; from benchmarks.scale.repeated import main; main(*sys.argv[1:])"
    command = (sys.executable, "-c", code, str(copy_of(lake, scratch)), str(scratch), ",".join(map(str, shown)))
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    for place, line in zip(shown, told, strict=True):
        seconds, memory_mb = map(float, line.split())
        yield f"import {place} of ten opinions, one open lake", Cost(seconds, memory_mb), None
    copy = copy_of(lake, scratch)
    costs = []
    for place in range(1, times + 1):
        answers = write_answers(scratch, place)
        costs.append(petrel("opinions", copy, "--source", "scale", "--format", "csv", "--path", str(answers),
                            "--question", "class", "--actor", "human:di"))
        if place in shown:
            yield f"import {place} of ten opinions, a process each", middle(costs[-AROUND:]), None


def middle(costs: Sequence[Cost]) -> Cost:
    """Return what the middle one of some processes took."""
    return sorted(costs, key=lambda cost: cost.seconds)[len(costs) // 2]


Part = Callable[[Path, Path], Iterator[Row]]
PARTS: dict[str, Part] = {"views": views, "build": build, "import": imports}
REPEATED = "repeated"


def copy_of(lake: Path, scratch: Path) -> Path:
    """Return a copy of a lake whose files are links."""
    copy = Path(tempfile.mkdtemp(dir=scratch)) / "lake"
    subprocess.run(["cp", "-al", str(lake), str(copy)], check=True)
    # Links share their bytes: what a lake writes in place must be its own.
    for folder in ("_runs", "_heads", "_locks", "_tmp"):
        shutil.rmtree(copy / folder, ignore_errors=True)
        if (lake / folder).exists():
            shutil.copytree(lake / folder, copy / folder)
    return copy


def main(argv: Sequence[str] | None = None) -> None:
    """Make the lake if it is not there, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake-size", default="1M", help="entities, as 10k or 1M")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join([*PARTS, REPEATED])}")
    parser.add_argument("--times", type=int, default=200, help=f"how many imports `{REPEATED}` makes of each kind")
    parser.add_argument("--folder", type=Path, help="where lakes are kept; else one is made and thrown away")
    arguments = parser.parse_args(argv)
    chosen = arguments.only.split(",")
    parts: dict[str, Part] = {**PARTS, REPEATED: functools.partial(repeated, times=arguments.times)}
    unknown = sorted(set(chosen) - set(parts))
    if unknown:
        parser.error(f"--only {unknown[0]}: expected some of {', '.join(parts)}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        scratch = Path(name)
        place = (arguments.folder or scratch) / f"lake-{arguments.lake_size}"
        lake = make_lake(place, entities_of(arguments.lake_size))
        sys.stdout.write(f"| {arguments.lake_size} entities | processor / peak | raw DuckDB |\n|---|---|---|\n")
        for part in chosen:
            for title, cost, raw in parts[part](lake, scratch):
                sys.stdout.write(f"| {title} | {cost} | {raw or '-'} |\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
