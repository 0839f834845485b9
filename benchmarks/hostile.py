"""Bad files, odd names and traps among good files of five kinds: is each of them taken, or refused for a reason?

    python -m benchmarks.hostile                            # 1,000 good files, bad ones, a sparse file of 5 GB
    python -m benchmarks.hostile --good 100 --sparse-gb 0

Bad files are the hostile pictures of `tests.corpus`, good files of other kinds that end too early, and archives that
unpack to too much, lead outside, or are broken. What is refused is landed and looked into once more by itself, timed.
The exit code is 1 if a step fails, a good file is missing, a bad one is taken, something is written beside the lake, or
what was seen is not what was taken and refused.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import resource
import sys
import tarfile
import tempfile
import time
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lakehouse.config import load_config
from lakehouse.dimensions.step import dimensions
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.objects import uri_path
from lakehouse.opening import open_lake
from lakehouse.query import fetch
from tests.corpus import DUPLICATE, HOSTILE_SETTINGS, IGNORED, good_images, hostile_inputs
from tests.media.videos import made

NO_PICTURES = (b"program", b"archive_with_dotdot.zip", b"drawing.svg")
"""What no probe of pictures takes, and a lake takes as bytes or text."""

TEXTS = ("*", "*.txt")
CPU_LIMIT_S = 2.0


def good_files(folder: Path, count: int) -> int:
    """Write good files of five kinds: pictures six in ten, recordings, arrays, texts, and one video in fifty."""
    rng, videos = np.random.default_rng(16), count // 50
    sounds = arrays = texts = (count * 4 // 10 - videos) // 3
    pictures = count - videos - sounds - arrays - texts
    good_images(folder / "pictures", pictures)
    for name in ("sounds", "arrays", "texts", "videos"):
        (folder / name).mkdir(parents=True)
    for number in range(sounds):
        with wave.open(str(folder / "sounds" / f"{number:04}.wav"), "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(8_000)
            file.writeframes(rng.integers(-9_000, 9_000, 4_000, dtype=np.int16).tobytes())
    for number in range(arrays):
        np.save(folder / "arrays" / f"{number:04}.npy", rng.random((8, 16), dtype=np.float32))
    for number in range(texts):
        (folder / "texts" / f"{number:04}.txt").write_text(f"Letter {number}: it rains, and the petrel walks.\n")
    for number in range(videos):
        (folder / "videos" / f"{number:04}.mp4").write_bytes(made(frames=8 + number))
    return count


def halves(folder: Path, good: Path) -> Iterator[Path]:
    """Write files of kinds other than pictures that end too early."""
    folder.mkdir()
    for name in ("sounds/0000.wav", "arrays/0000.npy", "videos/0000.mp4"):
        whole = (good / name).read_bytes()
        for share in (0.02, 0.1, 0.2, 0.3, 0.5, 0.7):
            path = folder / f"{share}_{Path(name).name}"
            path.write_bytes(whole[: max(12, int(len(whole) * share))])
            yield path
    for name, data in (("pickle.npy", _pickled()), ("latin.txt", b"caf\xe9\n"), ("zeros.wav", bytes(4_096))):
        (folder / name).write_bytes(data)
        yield folder / name


def more_names(folder: Path, picture: bytes) -> Iterator[bytes]:
    """Write a good picture under names with signs that mean something to programs, and spaces that nobody sees."""
    folder.mkdir()
    for number in range(16):
        name = f"{number} {chr(0x2000 + number)} {'?*[{$`|&;<>#%!~@^'[number]} 'and' \\n.png"
        (folder / name).write_bytes(picture)
        yield os.fsencode(folder / name)


def _pickled() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def archives(folder: Path, picture: bytes) -> dict[str, int]:
    """Write archives that mean harm; returns name -> how many files of each are good."""
    folder.mkdir()
    zeros = tarfile.TarInfo("zeros.bin")
    zeros.size = 1 << 30
    with gzip.open(folder / "bomb.tar.gz", "wb") as file:
        file.write(zeros.tobuf())
        for _ in range(1 << 10):
            file.write(bytes(1 << 20))
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as out:
        for _ in range(1 << 8):
            out.write(bytes(1 << 20))
    with tarfile.open(folder / "traps.tar", "w") as traps:
        for number, name in enumerate(("../../escaped.png", "/tmp/escaped.png", "good.png", "good.png")):
            found = tarfile.TarInfo(name)
            data = picture + bytes([number])
            found.size = len(data)
            traps.addfile(found, io.BytesIO(data))
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("fifo", tarfile.FIFOTYPE),
                           ("device", tarfile.CHRTYPE)):  # fmt: skip
            found = tarfile.TarInfo(name)
            found.type, found.linkname = kind, "../../../etc/passwd"
            traps.addfile(found)
    (folder / "cut.tar").write_bytes((folder / "traps.tar").read_bytes()[:700])
    (folder / "no_archive.zip").write_bytes(b"PK\x03\x04 and no more")
    return {"bomb.tar.gz": 0, "bomb.zip": 0, "traps.tar": 1, "cut.tar": 0, "no_archive.zip": 0}


def listing(place: Path) -> set[tuple[bytes, int]]:
    """Return path and inode of all that lies beside the lake."""
    return {(path, os.lstat(path).st_ino) for folder, folders, names in os.walk(os.fsencode(place))
            if not folder.startswith(os.fsencode(place / "lake")) for path in (os.path.join(folder, each)
            for each in folders + names) if not path.endswith(b"/lake")}  # fmt: skip


def timed(place: Path, number: int, path: bytes) -> tuple[float, float]:
    """Return CPU and wall seconds that land and entities take over one file by itself, in a lake of its own."""
    drop = place / f"one{number}"
    drop.mkdir()
    if os.path.isfile(path) and not os.path.islink(path):
        os.link(path, os.path.join(os.fsencode(drop), os.path.basename(path)))
    with lake_at(place / f"lake{number}") as lake:
        began, used = time.monotonic(), cpu()
        form = "archives" if path.endswith((b".tar", b".gz", b".zip")) else "files"
        land(lake, Source(name="one", folder=str(drop), form=form, include=("*",) if form == "archives" else TEXTS))
        entities(lake)
        return cpu() - used, time.monotonic() - began


def lake_at(place: Path) -> Any:
    """Open a lake with the limits of the corpus."""
    config = load_config(overrides=[f'lake.root="{place}"', "engine.workers=1", *HOSTILE_SETTINGS], environ={})
    return open_lake(config, create=True)


def cpu() -> float:
    """Return CPU seconds of this process and of those it waited for."""
    used = [resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def ingested(lake: Lake, *sources: Source) -> dict[str, int]:
    """Land sources and look into them; returns what the receipts count."""
    landed = [land(lake, each).counts for each in sources]
    found, measured = entities(lake).counts, dimensions(lake).counts
    return {
        "seen": sum(each["seen"] for each in landed),
        "refused": sum(each["refused"] for each in landed),
        "rejected": found["rejected"],
        "unbalanced": sum(abs(each["seen"] - sum(each[key] for key in ("stored", "duplicate", "refused", "unchanged")))
                          for each in landed) + abs(found["seen"] - found["stored"] - found["duplicate"]
                                                    - found["rejected"]),
        "unmeasured": measured["rejected"],
    }  # fmt: skip


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--good", type=int, default=1_000)
    parser.add_argument("--sparse-gb", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures, faults = run(Path(folder), args.good, args.sparse_gb)
    sys.stdout.write(json.dumps(figures | faults) + "\n")
    return 1 if any(faults.values()) else 0


def run(place: Path, good: int, sparse_gb: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Return figures, and counts of faults."""
    drop, packed = place / "drop", place / "packed"
    good_files(drop / "good", good)
    hostile = hostile_inputs(drop / "hostile", next((drop / "good/pictures").rglob("*.png")), outside=place / "outside")
    names = list(more_names(drop / "names", next((drop / "good/pictures").rglob("*.png")).read_bytes()))
    cut = [os.fsencode(each) for each in halves(drop / "cut", drop / "good")]
    members = archives(packed, next((drop / "good/pictures").rglob("*.png")).read_bytes())
    if sparse_gb:
        with open(drop / "sparse.bin", "wb") as file:
            file.truncate(sparse_gb << 30)
    before = listing(place)
    with lake_at(place / "lake") as lake:
        counts = ingested(lake, Source(name="all", folder=str(drop), include=TEXTS),
                          Source(name="packed", folder=str(packed), form="archives"))  # fmt: skip
        again = ingested(lake, Source(name="all", folder=str(drop), include=TEXTS))
        taken = {uri_path(row["uri"]) for row in fetch(lake, "select uri from silver.entity_sources")}
        rules = {row["location"]: row["rule"] for row in fetch(
            lake, "select location, rule from silver.rejected where step = 'entities'")}  # fmt: skip
        known = {row["uri"] for row in fetch(lake, "select uri from bronze.landed_files")}
    beside = listing(place) ^ before
    bad = [each.path for each in hostile if each.outcome not in (IGNORED, DUPLICATE)
           and os.path.basename(each.path) not in NO_PICTURES] + cut  # fmt: skip
    goods = {os.fsencode(path) for path in (drop / "good").rglob("*") if path.is_file()}
    odd = [each.path for each in hostile if each.outcome == DUPLICATE] + names
    times = [timed(place, number, path) for number, path in enumerate([*bad, *(os.fsencode(packed / each)
                                                                               for each in members)])]  # fmt: skip
    figures = {
        "good": len(goods), "bad": len(bad), "odd names": len(odd), "archives": len(members), **counts,
        "observations": len(known), "rules": len(set(rules.values())),
        "most CPU s of one": round(max(each for each, _ in times), 2),
        "most seconds of one": round(max(each for _, each in times), 2),
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "peak MB of a child": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10,
    }  # fmt: skip
    faults = {
        "good missing": len((goods | set(odd)) - taken),
        "bad taken": len(set(bad) & taken),
        "escapes": len(beside),
        "unbalanced": counts["unbalanced"] + again["unbalanced"],
        "slow": sum(each > CPU_LIMIT_S for each, _ in times),
        "sparse missing": int(bool(sparse_gb) and os.fsencode(drop / "sparse.bin") not in taken),
        "good of archives": int(sum(members.values()) != sum("!/" in str(each) for each in map(os.fsdecode, taken))),
    }
    return figures, faults


if __name__ == "__main__":
    sys.exit(main())
