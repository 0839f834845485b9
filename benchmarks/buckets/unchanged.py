"""What a second run over 100,000 unchanged objects asks for: requests by kind, counted by a proxy, and seconds.

The first run lands tiny objects, the second finds them as they were: it must read no object, and look at none alone.
OBJECTS, LAKE (folder or bucket) and MODE (link or copy) of the environment make it another one.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import obstore

from benchmarks.buckets.__main__ import say
from lakehouse.config import Config, LakeConfig, StoreConfig
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.opening import open_lake
from tests.buckets.proxy import Proxy, Seen, standing_before
from tests.buckets.server import Bucket, Server

OBJECTS = int(os.environ.get("OBJECTS", "100000"))
LAKE = os.environ.get("LAKE", "folder")
MODE = os.environ.get("MODE", "link")
FOLDERS = 100
AT_ONCE = 32


def run(folder: Path, server: Server) -> bool:
    """Land objects, land them again, and print what the second run asked for; True if it read none."""
    bucket = server.make_bucket("unchanged")
    os.environ.update(bucket.environment() | {"PETREL_CACHE": str(folder / "cache")})
    say(f"{OBJECTS:,} objects, lake in a {LAKE}, mode {MODE}")
    with standing_before(server.endpoint) as proxy:
        return _unchanged(bucket, proxy, folder, objects=OBJECTS, place=LAKE, mode=MODE)


def _unchanged(bucket: Bucket, proxy: Proxy, folder: Path, *, objects: int, place: str, mode: str) -> bool:
    began = time.monotonic()
    asyncio.run(_fill(bucket, objects))
    say(f"{objects:,} objects written in {time.monotonic() - began:.1f} s")
    root = str(folder / "lake") if place == "folder" else f"{bucket.url}/lake"
    source = Source(name="photos", folder=f"{bucket.url}/drop", mode=mode)
    _land(root, source, {}, create=True)
    through = {"proxy": StoreConfig(url=bucket.url, endpoint=proxy.endpoint)}
    _land(root, source, through)
    counts = Counter(map(_kind, proxy.seen))
    for (what, method), count in sorted(counts.items()):
        say(f"  {count:6,} {method} {what}")
    say(json.dumps({f"{method} {what}": count for (what, method), count in sorted(counts.items())}))
    return not any(what.startswith("objects of") for what, _ in counts)


def _land(root: str, source: Source, stores: Mapping[str, StoreConfig], *, create: bool = False) -> None:
    with open_lake(Config(lake=LakeConfig(root=root), stores=stores), create=create) as lake:
        began = time.monotonic()
        receipt = land(lake, source)
        say(f"land: {time.monotonic() - began:.1f} s, {dict(receipt.counts)}")


def _kind(seen: Seen) -> tuple[str, str]:
    request = seen.request
    if request.is_listing:
        return "lists", request.method
    if request.key in ("_lake.json", "drop/_lake.json"):
        return "is the source a lake?", request.method
    if request.key.startswith("drop/"):
        return "objects of the source", request.method
    top = request.key.removeprefix("lake/").partition("/")[0]
    return ("objects of the lake" if top == "objects" else "other files of the lake"), request.method


async def _fill(bucket: Bucket, count: int) -> None:
    store, gate = bucket.store(), asyncio.Semaphore(AT_ONCE)

    async def put(number: int) -> None:
        async with gate:
            await obstore.put_async(store, f"drop/{number % FOLDERS:02}/{number:06}.bin", b"%d" % number)

    await asyncio.gather(*(put(number) for number in range(count)))
