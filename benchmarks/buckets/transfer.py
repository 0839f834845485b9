"""Bytes a second into a bucket 20 ms away: land and materialise, beside the same client that does nothing else.

Photos are random bytes of no kind of media, MB_EACH each: nothing but the way is measured. `land` stands beside an
upload of the same files, `materialise`, which reads every object before it writes it, beside a download of the same
objects and an upload of as many bytes, one after the other as well; both baselines have as many requests under way. The
proxy that adds the latency runs in a process of its own. Then a small append by Spark beside one by the embedded
engine. PHOTOS, MB_EACH and LATENCY_S of the environment make it another one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.buckets.__main__ import say
from lakehouse.config import load_config
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.home import storage_at
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.materialise.step import materialise
from lakehouse.opening import open_lake
from lakehouse.tables.insert import insert_rows
from loaders.stores.storage import AT_ONCE
from schemas.tables import ACTORS
from tests.buckets.proxy import standing_before
from tests.buckets.server import Server

PHOTOS = int(os.environ.get("PHOTOS", "200"))
MB_EACH = float(os.environ.get("MB_EACH", "0.5"))
LATENCY_S = float(os.environ.get("LATENCY_S", "0.02"))
ROUNDS = 3
APPENDS = 12
RECIPE = {"name": "all", "seed": 1, "split": {"ratios": {"train": 1.0}}}


def run(folder: Path, server: Server) -> bool:
    """Measure; nothing here can be wrong."""
    bucket = server.make_bucket("transfer")
    photos = folder / "photos"
    photos.mkdir()
    for number in range(PHOTOS):
        (photos / f"{number:05}.bin").write_bytes(os.urandom(int(MB_EACH * 1e6)))
    total_mb = PHOTOS * MB_EACH
    found: dict[str, list[float]] = {"upload": [], "land": [], "copy": [], "materialise": []}
    with _proxy_before(server.endpoint) as endpoint:
        os.environ.update(bucket.through(endpoint).environment() | {"PETREL_CACHE": str(folder / "cache")})
        for number in range(ROUNDS):
            found["upload"].append(_seconds(lambda n=number: _upload(f"{bucket.url}/plain-{n}", photos)))
            config = load_config(overrides=[f'lake.root="{bucket.url}/lake-{number}"', "engine.workers=2"])
            with open_lake(config, create=True) as lake:
                source = Source(name="photos", folder=str(photos))
                found["land"].append(_seconds(partial(land, lake, source)))
                entities(lake)
                build(lake, parse_recipe(RECIPE, where="recipe"))
                found["copy"].append(_seconds(lambda n=number: _copy(f"{bucket.url}/plain-{n}", folder / f"copy-{n}")))
                found["materialise"].append(_seconds(partial(materialise, lake, "all")))
            speeds = ", ".join(f"{name} {total_mb / each[-1]:.1f} MB/s" for name, each in found.items())
            say(f"round {number}: {speeds}")
        appends = {engine: _append_s(f"{bucket.url}/{engine}", engine) for engine in ("embedded", "spark")}
    medians = {name: statistics.median(each) for name, each in found.items()}
    baselines = {"land": "upload", "materialise": "copy"}
    ratios = {name: medians[baseline] / medians[name] for name, baseline in baselines.items()}
    told = ", ".join(f"{name} {ratio:.2f} of a plain {baselines[name]}" for name, ratio in ratios.items())
    say(f"bytes a second: {told}")
    say(f"a small append, warm: {', '.join(f'{name} {seconds:.3f} s' for name, seconds in appends.items())}")
    say(json.dumps({"mb": total_mb, "seconds": found, "ratios": ratios, "append_s": appends}))
    return True


def _upload(url: str, photos: Path) -> None:
    storage = storage_at(url)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in threads.map(lambda path: storage.put(path.name, path), sorted(photos.iterdir())):
            pass


def _copy(url: str, folder: Path) -> None:
    storage = storage_at(url)
    folder.mkdir()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        names = [each.name for each in storage.list()]
        for name, data in zip(names, threads.map(storage.read_whole, names), strict=True):
            (folder / name).write_bytes(data)
    _upload(f"{url}-again", folder)
    shutil.rmtree(folder)


@contextmanager
def _proxy_before(server: str) -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve_proxy, args=(server, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve_proxy(server: str, pipe: Connection) -> None:
    with standing_before(server) as proxy:
        proxy.latency_s = LATENCY_S
        pipe.send(proxy.endpoint)
        threading.Event().wait()


def _append_s(root: str, engine: str) -> float:
    config = load_config(overrides=[f'lake.root="{root}"', "engine.workers=1"])
    with open_lake(config, engine=engine, create=True) as lake:
        spent = [_seconds(lambda n=number: insert_rows(
            lake, ACTORS, [{"actor_id": f"human:{n}", "kind": "human", "name": f"{n}"}], step="benchmark",
        )) for number in range(APPENDS)]  # fmt: skip
    return statistics.median(spent[2:])


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
