"""`petrel land` and `petrel materialise`, killed at random moments on a lake in a bucket: what is half, what is left.

KILLS of the environment says how often each is killed (20). Each is killed by SIGKILL at a moment drawn from the time
that it takes; after the kills it runs once more to its end.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from PIL import Image

from benchmarks.buckets.__main__ import say
from lakehouse.config import load_config
from lakehouse.lake import Lake
from lakehouse.objects import object_uri
from lakehouse.opened import OpenLake
from lakehouse.opening import open_lake
from lakehouse.tables.read import head
from lakehouse.verification.places import place_of
from lakehouse.verification.tables import live_files, problems
from loaders import FormatError, make_reader, read_dataset, verify
from loaders.publishing.drafts import is_leftover
from schemas.tables import BY_NAME
from tests.buckets.server import Server

KILLS = int(os.environ.get("KILLS", "20"))
FILES = 48  # more before each kill, so that every victim has something to do
REPOSITORY = Path(__file__).resolve().parents[2]


def run(folder: Path, server: Server) -> bool:
    """Kill and look; True if nothing half was seen and nothing is left."""
    bucket = server.make_bucket("kills")
    os.environ.update(bucket.environment() | {"PETREL_CACHE": str(folder / "cache")})
    address = f"{bucket.url}/lake"
    found = {"land": _land(address, folder), "materialise": _materialise(address, folder)}
    for name, each in found.items():
        say(f"{name}: {each}")
    say(json.dumps(found))
    return all(each["half_visible"] == 0 and each["left"] == 0 for each in found.values())


def _land(address: str, folder: Path) -> dict[str, float]:
    drop = folder / "drop"
    command = ["land", "--lake", address, "--source", "camera", "--folder", str(drop)]
    files, half = 0, 0

    def more() -> None:
        nonlocal files
        drop.mkdir(exist_ok=True)
        for number in range(files, files + FILES):
            Image.new("RGB", (16, 16), (number % 256, number // 256, 9)).save(drop / f"{number}.png")
        files += FILES

    def look(lake: OpenLake) -> None:
        nonlocal half
        rows = {str(each) for each in lake.read_table("bronze.landed_files").column("sha256").to_pylist()}
        objects = {each.name: each.size for each in lake.files.list("objects")}
        half += sum(object_uri(each) not in objects for each in rows)  # a row whose object is not there
        half += sum(_is_damaged(lake, name) for name in objects)

    told = _killed(address, folder, command, before=more, look=look)
    with _open(address) as lake:
        look(lake)
        table = lake.read_table("bronze.landed_files")
        wanted = {hashlib.sha256(each.read_bytes()).hexdigest() for each in drop.iterdir()}
        rows = table.column("sha256").to_pylist()
        lost, doubled = len(wanted - set(rows)), len(rows) - len(set(rows))
        objects = {each.name for each in lake.files.list("objects")}
        left = len(objects - {object_uri(each) for each in rows}) + _strange(lake, "bronze.landed_files")
    return {**told, "files": files, "half_visible": half, "lost": lost, "doubled": doubled, "left": left}


def _materialise(address: str, folder: Path) -> dict[str, float]:
    recipe = folder / "all.toml"
    recipe.write_text('name = "all"\n[split.ratios]\ntrain = 0.5\ntest = 0.5\n')
    for command in (["entities"], ["build", "--recipe", str(recipe)]):
        _petrel([command[0], "--lake", address, *command[1:]])
    with _open(address) as lake:
        dataset_id = lake.read_table("gold.datasets").column("dataset_id")[0].as_py()
    where, half, looks = f"{address}/datasets/all/{dataset_id}", 0, 0

    def look(lake: OpenLake) -> None:
        nonlocal half, looks
        try:
            rows = read_dataset(where).rows
            looks += 1
        except FormatError as error:
            rows = 0
            half += "holds no published dataset" not in str(error)
        if rows:
            half += verify(where).rows != rows
            return
        for split in ("train", "test"):
            try:
                make_reader(f"{where}/{split}", batch_size=1).close()
                half += 1  # a split of a version that is not there
            except FormatError as error:
                half += "is no published dataset" not in str(error)

    def again() -> None:
        with _open(address) as lake:  # one that came to its end is taken away, so that the next has something to do
            for each in list(lake.files.list("datasets")):
                lake.files.delete(each.name)

    command = ["materialise", "--lake", address, "--dataset", "all"]
    told = _killed(address, folder, command, before=lambda: None, look=look, ended=again)
    with _open(address) as lake:
        rows = verify(where).rows  # which refuses what no manifest lists
        names = {each.name for each in lake.files.list("datasets")}
        inside = {name.removeprefix(f"datasets/all/{dataset_id}/") for name in names}
        left = sum(name.startswith("datasets/") or is_leftover(name) for name in inside)
        left += _strange(lake, "gold.materialisations")
    return {**told, "rows": rows, "seen_whole": looks, "half_visible": half, "left": left}


def _killed(
    address: str, folder: Path, command: Sequence[str], *, before: Callable[[], None], look: Callable[[OpenLake], None],
    ended: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Kill a command again and again, look after each, then let it come to its end; return how often it was killed."""
    before()
    with _open(address):
        pass
    began = time.monotonic()
    _petrel(command)
    usual_s = time.monotonic() - began
    ended()
    lot, killed = random.Random(13), 0
    for _ in range(KILLS):
        before()
        with subprocess.Popen(
            [sys.executable, "-m", "jobs.cli", *command], cwd=REPOSITORY, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        ) as victim:  # fmt: skip
            time.sleep(lot.uniform(0.15, 1.0) * usual_s)
            if victim.poll() is None:
                killed += 1
            with suppress(ProcessLookupError):
                os.killpg(victim.pid, signal.SIGKILL)
        if victim.returncode == 0:
            ended()
        with _open(address) as lake:
            look(lake)
    before()
    _petrel(command)
    return {"kills": killed, "usual_s": round(usual_s, 1)}


def _open(address: str) -> AbstractContextManager[OpenLake]:
    # A lock of a killed holder is free when its lease is over.
    return open_lake(load_config(overrides=[f'lake.root="{address}"', "engine.workers=1"]), create=True)


def _petrel(command: Sequence[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "jobs.cli", *command, "--set", "engine.lock_timeout_s=120"],
                          cwd=REPOSITORY, capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"petrel {command[0]} ended with {done.returncode}: {done.stderr[-1000:]}")


def _is_damaged(lake: Lake, name: str) -> bool:
    return hashlib.sha256(lake.files.read_whole(name)).hexdigest() != name.rpartition("/")[2]


def _strange(lake: Lake, table: str) -> int:
    """Return how many data files of a table no commit names, and what `petrel fsck` finds besides."""
    place = place_of(lake.home, BY_NAME[table])
    named = {fact.name for fact in live_files(place, head(lake.home, BY_NAME[table]))}
    there = {each.name.rpartition("/")[2] for each in lake.files.list(place.folder_name) if ".parquet" in each.name}
    strays = {name for name in there - named if not name.endswith(".checkpoint.parquet")}
    return len(strays) + sum(1 for _ in lake.files.list("_tmp")) + len(list(problems(place, anew=True)))
