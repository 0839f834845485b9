"""Datasets of a million entities: what a plan, a version id, a build and a diff cost, beside plain DuckDB scripts.

    python -m benchmarks.datasets --folder .bench/datasets             # the lake is made once, in some minutes
    python -m benchmarks.datasets --folder .bench/datasets --only plan,version
    python -m benchmarks.datasets --lake-size 10k

Three people answered one question about every entity, four dimensions are measured, and four entities in a row have one
value of the group key `scene`. Every figure is of a process of its own: seconds of processor (user and system, of it
and of its children), of the clock, and the most memory that one process of it held. The script beside it reads the
same Parquet files and says the same of them: it counts votes, splits by the same hash, writes members, compares.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.__main__ import PROBE, copy_of
from benchmarks.scale.lakes import entities_of, grow_lake, make_lake

SHAPE = {"answers": 3, "dimensions": 4, "scene": 4}

RECIPE = """
name = "scale"
seed = 7
[split]
ratios = { train = 0.8, val = 0.1, test = 0.1 }
"""
ASKED = RECIPE.replace("seed = 7", 'seed = 7\nquestion = "class"') + '[label]\nties = "lowest"\n'
GROUPED = ASKED.replace("[split]", '[split]\ngroup = "scene"')
CELLS = ASKED + '[strata]\nby = ["label", "brightness"]\nbins = { brightness = 4 }\nmax = 20000\n'
RECIPES = {"rows alone": RECIPE, "a question": ASKED, "and cells": CELLS, "and groups": GROUPED}

STEP = """
import sys, time
from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.datasets.recipes.recipe import load_recipe
from lakehouse.datasets.following import pinned, version_id
with open_lake(load_config(overrides=[f'lake.root="{sys.argv[1]}"'], environ={})) as lake:
    recipe = load_recipe(sys.argv[2])
    _, pins = pinned(lake, recipe)
    for _ in range(3):
        start = time.process_time()
        found = version_id(lake, recipe, pins)
        print(found, round(time.process_time() - start, 4))
"""

FILES = """
import sys, duckdb
lake, written, before = sys.argv[1:4]
connection = duckdb.connect()
connection.execute("set threads = 2")
for name in ("silver/entities", "silver/dimensions", "silver/opinions"):
    files = f"{lake}/tables/{name}/*.parquet"
    connection.execute(f"create view {name.split('/')[1]} as select * from read_parquet('{files}')")
"""

MEMBERS = """
members = '''
    with votes as (
        select subject_id, label, sum(votes) as votes from (
            select * from opinions where question_id = 'class' and op = 'assert' qualify row_number() over (
                partition by actor_id, question_id, subject_id, slot order by event_time desc, opinion_id desc) = 1)
        group by subject_id, label
    ), led as (select subject_id, arg_max(label, (votes, label)) as label from votes group by subject_id)
    select entity_id, label, case when bucket < 0.8 then 'train' when bucket < 0.9 then 'val' else 'test' end as split,
        row_number() over (order by bucket) as rank
    from (select e.entity_id, l.label, ('0x' || substr(md5('split|' || e.entity_id || '|7'), 1, 13))::bigint / 2 ** 52
        as bucket from entities e join led l on l.subject_id = e.entity_id)
'''
"""

PLAIN = {
    "plan": FILES + MEMBERS + """
connection.execute(f"create table members as {members}")
print(connection.execute("select split, count(*) from members group by split").fetchall())
print(connection.execute("select label, split, count(*) from members group by label, split").fetchall())
""",
    "build": FILES + MEMBERS + """
connection.execute(f"copy ({members}) to '{written}'")
""",
    "diff": FILES + """
print(connection.execute(f'''select count(*) filter (where a.entity_id is null),
    count(*) filter (where b.entity_id is null), count(*) filter (where a.split <> b.split),
    count(*) filter (where a.label is distinct from b.label)
    from '{before}' a full outer join '{written}' b on b.entity_id = a.entity_id''').fetchall())
""",
}


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds of processor and of the clock, and most memory of one process of it."""

    processor: float
    clock: float
    peak_mb: float
    output: str

    def __str__(self) -> str:
        return f"{self.processor:.1f} / {self.clock:.1f} s / {self.peak_mb:,.0f} MB"


def cost_of(*command: str) -> Cost:
    """Run a command of this Python and return what it took.

    Raises:
        RuntimeError: If it fails; the message has its output.
    """
    start = time.perf_counter()
    told = subprocess.run([sys.executable, "-c", PROBE, sys.executable, *command], capture_output=True, text=True,
                          check=True).stdout
    processor, peak_mb, code, output = json.loads(told)
    if code:
        raise RuntimeError(f"{' '.join(command)}: exit status {code}: {output}")
    return Cost(processor, time.perf_counter() - start, peak_mb, output)


def petrel(lake: Path, *words: str) -> Cost:
    """Run a command of Petrel's on a lake."""
    return cost_of("-m", "jobs.cli", *words, "--lake", str(lake))


Row = tuple[str, Cost, Cost | None]


def plan(lake: Path, scratch: Path, recipes: dict[str, Path]) -> Iterator[Row]:
    """Plan each recipe, after a first look at every file."""
    petrel(lake, "dataset", "plan", "--recipe", str(recipes["rows alone"]))
    for name, recipe in recipes.items():
        plain = plain_of("plan", lake, scratch) if name == "a question" else None
        yield f"plan, {name}", petrel(lake, "dataset", "plan", "--recipe", str(recipe)), plain


def version(lake: Path, scratch: Path, recipes: dict[str, Path]) -> Iterator[Row]:
    """Ask for the version id three times in one process that has the pins; milliseconds of processor are in the title.

    The first time nothing is noted.
    """
    lake = copy_of(lake, scratch)
    shutil.rmtree(lake / "_runs" / "fresh", ignore_errors=True)
    for name, recipe in recipes.items():
        cost = cost_of("-c", STEP, str(lake), str(recipe))
        seconds = [float(line.split()[1]) for line in cost.output.splitlines() if len(line.split()) == 2]
        yield f"version id, {name}: {', '.join(f'{each * 1000:,.0f}' for each in seconds)} ms", cost, None


def versions(lake: Path, scratch: Path, recipes: dict[str, Path]) -> Iterator[Row]:
    """Build, build again with a tenth more entities, and compare both."""
    copy, recipe = copy_of(lake, scratch), str(recipes["a question"])
    entities = json.loads((lake / "size.json").read_text())
    yield "build", petrel(copy, "build", "--recipe", recipe), plain_of("build", copy, scratch, "before")
    grow_lake(copy, range(entities, entities + entities // 10), **SHAPE)
    yield "build, a tenth more", petrel(copy, "build", "--recipe", recipe), plain_of("build", copy, scratch)
    listed = subprocess.run([sys.executable, "-m", "jobs.cli", "dataset", "list", "--lake", str(copy), "--json"],
                            capture_output=True, text=True, check=True).stdout
    ids = [row["dataset_id"] for row in map(json.loads, listed.splitlines())]
    yield "diff", petrel(copy, "dataset", "diff", *ids), plain_of("diff", copy, scratch)


def plain_of(name: str, lake: Path, scratch: Path, written: str = "members") -> Cost:
    """Run the script beside a step."""
    return cost_of("-c", PLAIN[name], str(lake), str(scratch / f"{written}.parquet"), str(scratch / "before.parquet"))


PARTS = {"plan": plan, "version": version, "versions": versions}


def main(argv: Sequence[str] | None = None) -> None:
    """Make the lake if it is not there, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake-size", default="1M", help="entities, as 10k or 1M")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--recipes", default=",".join(RECIPES), help=f"some of {', '.join(RECIPES)}")
    parser.add_argument("--folder", type=Path, help="where lakes are kept; else one is made and thrown away")
    arguments = parser.parse_args(argv)
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        scratch = Path(name)
        entities = entities_of(arguments.lake_size)
        lake = make_lake((arguments.folder or scratch) / f"lake-{arguments.lake_size}", entities, **SHAPE)
        (lake / "size.json").write_text(json.dumps(entities))
        recipes = {}
        for place, title in enumerate(arguments.recipes.split(",")):
            recipes[title] = scratch / f"recipe-{place}.toml"
            recipes[title].write_text(RECIPES[title])
        sys.stdout.write(f"| {arguments.lake_size} entities | processor / clock / peak | plain |\n|---|---|---|\n")
        for part in arguments.only.split(","):
            for title, cost, plain in PARTS[part](lake, scratch, recipes):
                sys.stdout.write(f"| {title} | {cost} | {plain or '-'} |\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
