"""What does a lake ask of a bucket? Requests by kind, counted by a proxy, and seconds.

    python -m benchmarks.buckets --only unchanged                        # 100,000 objects: landed once, then again
    python -m benchmarks.buckets --only unchanged --objects 10000 --lake bucket --mode copy

The server is the one of the tests (versitygw, on loopback). `unchanged`: the first run lands tiny objects, the second
finds them as they were, and its requests are counted: it must read no object, and look at none by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import obstore

from lakehouse.config import Config, LakeConfig, StoreConfig
from lakehouse.ingestion.land import land
from lakehouse.ingestion.source import Source
from lakehouse.opening import open_lake
from tests.buckets.programs import find_program
from tests.buckets.proxy import Proxy, Seen, standing_before
from tests.buckets.server import Bucket, serving

FOLDERS = 100
AT_ONCE = 32


def unchanged(bucket: Bucket, proxy: Proxy, folder: Path, *, objects: int, place: str, mode: str) -> None:
    """Land objects, land them again, and print what the second run asked for."""
    began = time.monotonic()
    asyncio.run(_fill(bucket, objects))
    _say(f"{objects:,} objects written in {time.monotonic() - began:.1f} s")
    root = str(folder / "lake") if place == "folder" else f"{bucket.url}/lake"
    source = Source(name="photos", folder=f"{bucket.url}/drop", mode=mode)
    _land(root, source, {}, create=True)
    through = {"proxy": StoreConfig(url=bucket.url, endpoint=proxy.endpoint)}
    _land(root, source, through)
    for (what, method), count in sorted(Counter(map(_kind, proxy.seen)).items()):
        _say(f"  {count:6,} {method} {what}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _land(root: str, source: Source, stores: Mapping[str, StoreConfig], *, create: bool = False) -> None:
    with open_lake(Config(lake=LakeConfig(root=root), stores=stores), create=create) as lake:
        began = time.monotonic()
        receipt = land(lake, source)
        _say(f"land: {time.monotonic() - began:.1f} s, {dict(receipt.counts)}")


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


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("unchanged",), default="unchanged")
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--lake", choices=("folder", "bucket"), default="folder", help="where the lake is")
    parser.add_argument("--mode", choices=("copy", "link"), default="link")
    args = parser.parse_args()
    program = find_program()
    if program is None:
        sys.exit("no S3 server is ready; to build it: make s3-server")
    with tempfile.TemporaryDirectory() as made, serving(program, Path(made) / "server") as server:
        bucket = server.make_bucket("benchmark")
        os.environ.update(bucket.environment() | {"PETREL_CACHE": f"{made}/cache"})
        _say(f"{program}, lake in a {args.lake}, mode {args.mode}")
        with standing_before(server.endpoint) as proxy:
            unchanged(bucket, proxy, Path(made), objects=args.objects, place=args.lake, mode=args.mode)
    return 0


if __name__ == "__main__":
    sys.exit(main())
