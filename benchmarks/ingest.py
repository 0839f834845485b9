"""How fast are files brought in? land + entities + dimensions against a plain loop over the same files.

    python -m benchmarks.ingest                  # 3,000 and 30,000 small images, 1,000 photos; about five minutes
    python -m benchmarks.ingest --quick          # the same with a tenth of the files
    python -m benchmarks.ingest --spark          # the Spark engine too, warm
    python -m benchmarks.ingest --one-core       # every run on one core; seconds of processor are told as well

Every run is a fresh process, timed from its start to its end, imports included (compiled before, as after an install).
Runs alternate, in both orders, and each pair gives one ratio. The loops do per file what we do (read, SHA-256, a
temporary file, fsync, rename, check, measure) in one process and keep the answers in a list: no tables, no provenance,
no recovery, no second run.

    plain      checks with `probe_image`, then measures with the built-in extractors: the same two decodes as ours
    lean       decodes every file once, in full, and measures that picture
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Workload:
    """What is ingested."""

    name: str
    kind: str
    files: int


WORKLOADS = (
    Workload("3,000 small images", "small_images", 3_000),
    Workload("30,000 small images", "small_images", 30_000),
    Workload("1,000 photos", "photos", 1_000),
)


# ------------------------------------------------------------------------------------------------ the loops


def plain_loop(folder: Path, out: Path, measure: Callable[[bytes, str], dict[str, Any]]) -> int:
    """Hash, copy, check and measure every file, one after the other; returns how many."""
    measured = []
    for path in _files(folder):
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        _store(out, sha256, data)
        measured.append({"sha256": sha256, **measure(data, path.name)})
    for place in out.iterdir():
        _sync_folder(place)
    return len(measured)


def measure_as_we_do(data: bytes, name: str) -> dict[str, Any]:
    """Check, then measure from the header and from the reduced picture."""
    from lakehouse.extractors.image_header import measure_header
    from lakehouse.extractors.image_pixels import measure_pixels
    from lakehouse.media.image import probe_image
    from lakehouse.media.view import ImageView

    probe_image(data, name=name)
    view = ImageView(data)
    return {**measure_header(view), **measure_pixels(view)}


def measure_lean(data: bytes, name: str) -> dict[str, Any]:
    """Decode once, in full, and measure the reduced picture."""
    import numpy as np
    from PIL import Image

    from lakehouse.extractors.image_pixels import colourfulness, dhash, entropy, sharpness

    image = Image.open(io.BytesIO(data))
    image.load()
    header = {"width": image.width, "height": image.height, "mode": image.mode, "format": image.format,
              "orientation": image.getexif().get(0x0112)}
    rgb = image.convert("RGB")
    if max(rgb.size) > 512:
        rgb = rgb.reduce(-(-max(rgb.size) // 512))
    luma = rgb.convert("L")
    y, histogram = np.asarray(luma), np.array(luma.histogram(), dtype=np.int64)
    return {**header, "brightness": float(y.mean()), "contrast": float(y.std()), "sharpness": sharpness(y),
            "colourfulness": colourfulness(np.asarray(rgb)), "entropy": entropy(histogram), "dhash": dhash(luma)}


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(place, name)


def _some(folder: Path, few: Path, count: int) -> Path:
    few.mkdir(parents=True)
    for number, path in zip(range(count), _files(folder), strict=False):
        shutil.copy(path, few / f"{number}{path.suffix}")
    return few


def _store(out: Path, sha256: str, data: bytes) -> None:
    place = out / sha256[:2]
    if (place / sha256).exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    temporary = place / f"{sha256}.tmp"
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(place / sha256)


def _sync_folder(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


# ------------------------------------------------------------------------------------------------ ours


def ingest(folder: Path, out: Path, engine: str) -> dict[str, Any]:
    """Bring the folder into a lake; returns the seconds of each step."""
    from lakehouse.config import load_config
    from lakehouse.dimensions.step import dimensions as measure_dimensions
    from lakehouse.ingestion.entities import entities
    from lakehouse.ingestion.land import land
    from lakehouse.ingestion.sources.source import Source
    from lakehouse.opening import open_lake

    started = time.perf_counter()
    config = load_config(overrides=[f"lake.root={out}"])
    with open_lake(config, engine=engine, create=True) as lake:
        receipts = [land(lake, Source(name="benchmark", folder=str(folder))), entities(lake), measure_dimensions(lake)]
    seconds = {receipt.step: receipt.seconds for receipt in receipts}
    return {"files": receipts[0].counts["seen"], "rows_new": sum(receipt.rows_new for receipt in receipts),
            "seconds": time.perf_counter() - started, "steps": seconds}


def ingest_warm(folder: Path, out: Path) -> dict[str, Any]:
    """`ingest` with Spark, after a first ingest of a few files started the JVM and its Python workers."""
    ingest(_some(folder, out.parent / "few", 64), out.parent / "warm-up", "spark")
    return ingest(folder, out, "spark")


# ------------------------------------------------------------------------------------------------ one run, all runs


def run_here(what: str, folder: Path, out: Path, *, one_core: bool) -> dict[str, Any]:
    """Do one run in this process; on one core the lake takes no others, so that `cpu` is all that was used."""
    if one_core:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if what == "ours":
        report = ingest(folder, out, "embedded")
    elif what == "spark":
        report = ingest_warm(folder, out)
    else:
        measure = measure_as_we_do if what == "plain" else measure_lean
        report = {"files": plain_loop(folder, out, measure)}
    usage = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(each.ru_utime + each.ru_stime for each in usage)
    return report | {"peak_mb": max(each.ru_maxrss for each in usage) // 1024, "cpu": cpu}


def run_apart(what: str, folder: Path, out: Path, compiled: Path, *, one_core: bool = False) -> dict[str, Any]:
    """Do one run in a fresh process and time it whole; `compiled` is a folder for Python's byte code."""
    command = [sys.executable, "-m", "benchmarks.ingest", "--run", what, "--input", str(folder), "--output", str(out)]
    command += ["--one-core"] if one_core else []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(compiled)
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(f"{what} failed:\n{done.stderr[-3000:]}")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report | {"wall": report["seconds"] if what == "spark" else wall}


def compare(workload: Workload, scratch: Path, *, pairs: int, spark: bool, one_core: bool) -> dict[str, Any]:
    """Measure one workload and say so."""
    from tests import corpus

    folder = scratch / f"{workload.kind}-{workload.files}"
    getattr(corpus, workload.kind)(folder, workload.files)
    size = sum(path.stat().st_size for path in _files(folder))
    compiled = scratch / "compiled"
    few = _some(folder, scratch / "few", 300)
    for what in ("plain", "lean", "ours"):
        run_apart(what, few, scratch / "first" / what, compiled)
    runs: dict[str, list[dict[str, Any]]] = {what: [] for what in ("plain", "ours", "lean", "again", "spark")}
    for number in range(pairs):
        lake = scratch / f"lake-{number}" / "lake"
        order = ["plain", "ours", "lean"] if number % 2 == 0 else ["lean", "ours", "plain"]
        for what in order:
            out = lake if what == "ours" else scratch / what
            runs[what].append(run_apart(what, folder, out, compiled, one_core=one_core))
        runs["again"].append(run_apart("ours", folder, lake, compiled, one_core=one_core))
        if runs["again"][-1]["rows_new"]:
            raise SystemExit(f"{workload.name}: the second run added {runs['again'][-1]['rows_new']} rows")
        for place in (lake.parent, scratch / "plain", scratch / "lean"):
            shutil.rmtree(place)
    if spark:
        runs["spark"].append(run_apart("spark", folder, scratch / "spark" / "lake", compiled))
        shutil.rmtree(scratch / "spark")
    shutil.rmtree(folder)
    return _summary(workload, size, runs)


def _summary(workload: Workload, size: int, runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    def median(values: Iterator[float]) -> float:
        return statistics.median(values)

    wall = {what: median(each["wall"] for each in done) for what, done in runs.items() if done}
    result = {"workload": workload.name, "files": workload.files, "mb": size / 1e6, "wall": wall,
              "steps": runs["ours"][-1]["steps"], "peak_mb": max(each["peak_mb"] for each in runs["ours"])}
    for what in ("plain", "lean"):
        ratios = [one["wall"] / ours["wall"] for one, ours in zip(runs[what], runs["ours"], strict=True)]
        result[f"ratio_{what}"] = median(iter(ratios))
        result[f"spread_{what}"] = (min(ratios), max(ratios))
        used = [ours["cpu"] / one["cpu"] for one, ours in zip(runs[what], runs["ours"], strict=True)]
        result[f"cpu_{what}"] = median(iter(used))
    return result


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def report(result: dict[str, Any], *, one_core: bool) -> None:
    """Print what one workload gave."""
    wall, files = result["wall"], result["files"]
    say(f"\n{result['workload']} ({result['mb']:.1f} MB)")
    for what in ("plain", "lean", "ours", "spark"):
        if what in wall:
            each = wall[what] / files
            say(f"  {what:8} {wall[what]:7.2f} s  {1 / each:8.0f} files/s  {1e3 * each:6.2f} ms/file")
    for what in ("plain", "lean"):
        low, high = result[f"spread_{what}"]
        say(f"  throughput ours / {what}: {result[f'ratio_{what}']:.2f} (pairs from {low:.2f} to {high:.2f})")
    if one_core:
        say(f"  seconds of processor ours / plain: {result['cpu_plain']:.2f}, ours / lean: {result['cpu_lean']:.2f}")
    if "spark" in wall:
        say(f"  throughput spark (warm) / plain: {wall['plain'] / wall['spark']:.2f}")
    say(f"  over the plain loop: {1e3 * (wall['ours'] - wall['plain']) / files:+.2f} ms/file")
    say(f"  second run: {wall['again']:.2f} s, nothing new; peak memory of its main process: {result['peak_mb']} MB")
    say("  steps of ours: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in result["steps"].items()))


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the files, two pairs")
    parser.add_argument("--pairs", type=int, help="how often each workload is run (default 3)")
    parser.add_argument("--only", default="", metavar="TEXT", help="workloads whose name has this in it")
    parser.add_argument("--spark", action="store_true", help="run the Spark engine too, warm")
    parser.add_argument("--one-core", action="store_true", help="run each on one core, and tell seconds of processor")
    parser.add_argument("--scratch", metavar="FOLDER", help="where to work; on the disk you want to know about")
    parser.add_argument("--json", metavar="FILE", help="keep the figures")
    parser.add_argument("--run", choices=("plain", "lean", "ours", "spark"), help=argparse.SUPPRESS)
    parser.add_argument("--input", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        say(json.dumps(run_here(args.run, args.input, args.output, one_core=args.one_core)))
        return 0
    results = []
    say(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} at the start")
    for workload in WORKLOADS:
        if args.quick:
            workload = Workload(workload.name + " / 10", workload.kind, workload.files // 10)
        if args.only in workload.name:
            with tempfile.TemporaryDirectory(dir=args.scratch, prefix="petrel-ingest-") as scratch:
                pairs = args.pairs or (2 if args.quick else 3)
                results.append(compare(workload, Path(scratch), pairs=pairs, spark=args.spark, one_core=args.one_core))
            report(results[-1], one_core=args.one_core)
    small = [each for each in results if "small" in each["workload"]]
    if len(small) == 2:
        growth = small[1]["wall"]["ours"] / small[0]["wall"]["ours"]
        say(f"\n{small[1]['files'] / small[0]['files']:.0f} times the small images take {growth:.1f} times as long")
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
