"""What does it cost to publish photos? `materialise` beside pyarrow writing the same bytes into the same row groups.

    python -m benchmarks.materialise                 # 1,000 photos, 111 MB; about three minutes
    python -m benchmarks.materialise --photos 200

Seconds of processor (user and system) of one process on one core, the second time that it does it: what is loaded once
is loaded. Runs alternate, and each round gives its ratios. pyarrow reads every object, in the order and the row groups
of ours, and writes uncompressed Parquet with page checksums:

    bare      nothing else
    hashing   also compares the SHA-256 of every object, and takes that of every file that it wrote
    alike     also hashes the content of every row: a plain script with the guarantees of the format

`materialise` does what `alike` does, syncs, and describes what is published.
`extend` publishes the next version, with a tenth more photos, beside the first one, whose files it takes over.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.steps.receipts import Receipt

RECIPE = {"name": "photos", "seed": 7, "select": {"sql": "select entity_id from entities"},
          "split": {"ratios": {"train": 0.9, "test": 0.1}}}  # fmt: skip
WAYS = ("bare", "hashing", "alike", "ours", "extend")
VERSIONS = "versions.json"


def make_lake(lake: Path, photos: Path, count: int) -> None:
    """Land photos and build a dataset of them; land a tenth more and build the next version."""
    from lakehouse.config import load_config
    from lakehouse.datasets.build import build
    from lakehouse.datasets.recipes.recipe import parse_recipe
    from lakehouse.ingestion.entities import entities
    from lakehouse.ingestion.land import land
    from lakehouse.ingestion.sources.source import Source
    from lakehouse.opening import open_lake
    from tests import corpus

    corpus.photos(photos, count + count // 10)
    more = photos.with_name("more")
    more.mkdir()
    for path in sorted(photos.rglob("*.jpg"))[count:]:
        path.rename(more / path.name)
    versions = []
    with open_lake(load_config(overrides=[f"lake.root={lake}"]), create=True) as opened:
        for folder in (photos, more):
            land(opened, Source(name=folder.name, folder=str(folder)))
            entities(opened)
            versions.append(build(opened, parse_recipe(RECIPE, where="benchmark")).details["dataset_id"])
    (lake.parent / VERSIONS).write_text(json.dumps(versions))


def ours(lake: Path, *, extending: bool) -> Iterator[Callable[[], None]]:
    """Yield what is timed, as often as it is asked for; what it wrote is removed after it."""
    from lakehouse.config import load_config
    from lakehouse.materialise.step import materialise
    from lakehouse.opening import open_lake

    first, second = json.loads((lake.parent / VERSIONS).read_text())
    published = lake / "datasets" / "photos"
    with open_lake(load_config(overrides=[f"lake.root={lake}", "engine.workers=1"])) as opened:
        if extending:
            materialise(opened, first)
        while True:
            shutil.rmtree(published / second if extending else published, ignore_errors=True)
            if extending:  # its files lost a name, so it is read again: here, and not in what is timed
                materialise(opened, first)
            yield lambda: _told(materialise(opened, second if extending else first), extending=extending)


def _told(receipt: Receipt, *, extending: bool) -> None:
    if extending and (receipt.counts.get("rows_kept", 0) < receipt.counts["rows"] * 0.9 or receipt.notes):
        raise SystemExit(f"not all files were kept: {receipt}")


def plain(lake: Path, parts: list[Path], out: Path, *, way: str) -> Iterator[Callable[[], None]]:
    """The same, by pyarrow alone, of the row groups of `parts`."""
    groups = {part.parent.name + part.name: _groups(part) for part in parts}
    while True:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()

        def write() -> None:
            for name, found in groups.items():
                _write_part(lake, found, out / name, hashing=way != "bare", alike=way == "alike")

        yield write


def _groups(part: Path) -> list[pa.Table]:
    file = pq.ParquetFile(part)
    names = [name for name in file.schema_arrow.names if name != "image"]
    return [file.read_row_group(at, names) for at in range(file.num_row_groups)]


def _write_part(lake: Path, groups: list[pa.Table], path: Path, *, hashing: bool, alike: bool) -> None:
    schema = groups[0].schema.append(pa.field("image", pa.binary()))
    with pq.ParquetWriter(
        path, schema, compression="none", use_dictionary=False, write_statistics=False, write_page_checksum=True,
        data_page_size=1 << 30,
    ) as writer:  # fmt: skip
        for group in groups:
            contents = []
            for sha256 in group["entity_id"].to_pylist():
                with open(f"{lake}/objects/{sha256[:2]}/{sha256}", "rb") as file:
                    contents.append(file.read())
                if hashing and hashlib.sha256(contents[-1]).hexdigest() != sha256:
                    raise SystemExit(f"object {sha256} is damaged")
            if alike:
                for row, content in zip(group.to_pylist(), contents, strict=True):
                    found = hashlib.sha256(repr(row).encode())
                    found.update(content)
                    found.digest()
            writer.write_table(group.append_column("image", pa.array(contents, pa.binary())))
    if hashing:
        with path.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")


def run_here(way: str, lake: Path) -> dict[str, float]:
    """Do it twice on one core and tell what the second time took."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    first = json.loads((lake.parent / VERSIONS).read_text())[0]
    parts, out = sorted((lake / "datasets" / "photos" / first).glob("*/*.parquet")), lake.parent / "out"
    rounds = (
        ours(lake, extending=way == "extend") if way in ("ours", "extend")
        else plain(lake, parts, out, way=way)
    )  # fmt: skip
    next(rounds)()
    again = next(rounds)
    before = resource.getrusage(resource.RUSAGE_SELF)
    again()
    after = resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return {"cpu": user + system, "user": user}


def run_apart(way: str, lake: Path) -> dict[str, float]:
    """`run_here` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.materialise", "--run", way, "--lake", str(lake)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{way} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1_000, help="how many (default 1,000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way is timed (default 5)")
    parser.add_argument("--scratch", metavar="FOLDER", help="where to work; on the disk you want to know about")
    parser.add_argument("--run", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--lake", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        say(json.dumps(run_here(args.run, args.lake)))
        return 0
    say(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory(dir=args.scratch, prefix="petrel-materialise-") as scratch:
        lake = Path(scratch) / "lake"
        make_lake(lake, Path(scratch) / "photos", args.photos)
        run_apart("ours", lake)
        size = sum(path.stat().st_size for path in (lake / "datasets" / "photos").glob("*/*/*.parquet"))
        runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for number in range(args.rounds):
            for way in WAYS if number % 2 == 0 else reversed(WAYS):
                runs[way].append(run_apart(way, lake))
    say(f"{args.photos:,} photos, {size / 1e6:.1f} MB of Parquet, {args.rounds} rounds")
    for way, found in runs.items():
        cpu = [each["cpu"] for each in found]
        say(
            f"  {way:8} {statistics.median(cpu):6.3f} s of processor (from {min(cpu):.3f} to {max(cpu):.3f}), "
            f"{statistics.median(each['user'] for each in found):.3f} of it user"
        )
    for way in ("bare", "hashing", "alike"):
        ratios = [one["cpu"] / other["cpu"] for one, other in zip(runs["ours"], runs[way], strict=True)]
        say(f"  ours / {way}: {statistics.median(ratios):.2f} (rounds from {min(ratios):.2f} to {max(ratios):.2f})")
    ratios = [one["cpu"] / other["cpu"] for one, other in zip(runs["extend"], runs["ours"], strict=True)]
    say(f"  extend / ours: {statistics.median(ratios):.2f} (rounds from {min(ratios):.2f} to {max(ratios):.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
