"""How fast are files brought in? land + entities + dimensions beside plain loops and other libraries.

    python -m benchmarks.ingest                  # small images, photos, recordings, videos; about ten minutes
    python -m benchmarks.ingest --only photo --peer hf=HF/bin/python --peer litdata=LITDATA/bin/python
    python -m benchmarks.ingest --quick          # the same with a tenth of the files
    python -m benchmarks.ingest --spark          # the Spark engine too, warm
    python -m benchmarks.ingest --one-core       # every run on one core; seconds of processor are told as well

Every run is a fresh process, timed from its start to its end, imports included (compiled before, as after an install).
Runs alternate, in both orders, and each pair gives one ratio.

              reads    SHA-256   copies bytes to     fsync   looks for damage    measures            tables, recovery
    ours      once *   yes       one object each     yes     yes, decodes all    all our dimensions  yes
    plain     once     yes       one file each       yes     as ours             as ours             no
    lean      once     yes       one file each       yes     no                  a few, one decode   no
    hf        once     no        Arrow, then Parquet no      no                  nothing             no
    litdata   once     no        chunks of 64 MB     no      no                  nothing             no

    * from the source; then its own copy by `entities` and by `dimensions`, each a step of its own.

`plain` and `lean` are in `benchmarks/ingest/loops.py`, the peers in `benchmarks/ingest/peers`, each run by a Python of
its own that `--peer NAME=PYTHON` names (`python -m venv DIR; DIR/bin/pip install datasets pillow`, or `litdata`); one
that is not named is skipped, and the table says so. Peers are for pictures, and their figures are to be seen beside
`land`, which is all that they do of it, as well as beside the whole. Seconds of processor are those of all processes.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.ingest.inputs import Workload, workloads
from benchmarks.ingest.loops import files_of, lean, loop, plain

ROOT = Path(__file__).resolve().parents[2]
PEERS = ("hf", "litdata")
PR_SET_CHILD_SUBREAPER = 36


# ------------------------------------------------------------------------------------------------ ours


def ingest(folder: Path, out: Path, engine: str) -> dict[str, Any]:
    """Bring the folder into a lake; returns the seconds of each step."""
    import lakehouse as lh

    started = time.perf_counter()
    config = lh.load_config(overrides=[f"lake.root={out}"])
    with lh.open_lake(config, engine=engine, create=True) as lake:
        source = lh.Source(name="benchmark", folder=str(folder))
        receipts = [lh.land(lake, source), lh.entities(lake), lh.dimensions(lake)]
    seconds = {receipt.step: receipt.seconds for receipt in receipts}
    return {"files": receipts[0].counts["seen"], "rows_new": sum(receipt.rows_new for receipt in receipts),
            "seconds": time.perf_counter() - started, "steps": seconds}


def ingest_warm(folder: Path, out: Path) -> dict[str, Any]:
    """`ingest` with Spark, after a first ingest of a few files started the JVM and its Python workers."""
    ingest(_some(folder, out.parent / "few", 64), out.parent / "warm-up", "spark")
    return ingest(folder, out, "spark")


# ------------------------------------------------------------------------------------------------ one run, all runs


def _some(folder: Path, few: Path, count: int) -> Path:
    few.mkdir(parents=True)
    for number, path in zip(range(count), files_of(folder), strict=False):
        shutil.copy(path, few / f"{number}{path.suffix}")
    return few


def run_here(what: str, folder: Path, out: Path, *, kind: str, one_core: bool) -> dict[str, Any]:
    """Do one run in this process; on one core the lake takes no others, so that `cpu` is all that was used."""
    if one_core:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if what == "ours":
        report = ingest(folder, out, "embedded")
    elif what == "spark":
        report = ingest_warm(folder, out)
    else:
        report = {"files": loop(folder, out, plain() if what == "plain" else lean(kind))}
    return report | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def run_apart(
    what: str, folder: Path, out: Path, compiled: Path, *, kind: str, python: str = "", one_core: bool = False
) -> dict[str, Any]:
    """Do one run in a fresh process and time it whole; `compiled` is a folder for Python's byte code."""
    cores = sorted(os.sched_getaffinity(0))[-1:] if one_core else sorted(os.sched_getaffinity(0))
    if what in PEERS:
        script = ROOT / "benchmarks" / "ingest" / "peers" / f"{what}.py"
        command = [python, str(script), str(folder), str(out), str(len(cores))]
    else:
        command = [sys.executable, "-m", "benchmarks.ingest", "--run", what, "--kind", kind]
        command += ["--input", str(folder), "--output", str(out), *(["--one-core"] if one_core else [])]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(compiled)
    if what in PEERS:
        environment.pop("PYTHONPATH", None)
        environment |= {"HF_HOME": str(compiled / "hf"), "HOME": str(compiled), "TMPDIR": str(compiled)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
                          preexec_fn=lambda: os.sched_setaffinity(0, cores))  # fmt: skip
    wall = time.perf_counter() - started
    _wait_for_orphans()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{what} failed:\n{done.stderr[-3000:]}")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return report | {"cpu": cpu, "wall": report["seconds"] if what == "spark" else wall}


def _wait_for_orphans() -> None:
    """Wait for processes that a run left to themselves, as ours leaves its fork server: their seconds count too."""
    with suppress(ChildProcessError):
        while True:
            os.wait()


def compare(
    workload: Workload, scratch: Path, peers: Mapping[str, str], *, pairs: int, spark: bool, one_core: bool
) -> dict[str, Any]:
    """Measure one workload."""
    folder = scratch / workload.made_by
    workload.make(folder)
    size = sum(path.stat().st_size for path in files_of(folder))
    compiled, kind = scratch / "compiled", workload.kind
    beside = ("plain", "lean", *(peers if kind == "image" else ()))
    few = _some(folder, scratch / "few", 20)
    for what in (*beside, "ours"):
        run_apart(what, few, scratch / "first" / what, compiled, kind=kind, python=peers.get(what, ""))
    runs: dict[str, list[dict[str, Any]]] = {what: [] for what in (*beside, "ours", "again", "spark")}
    for number in range(pairs):
        lake = scratch / f"lake-{number}" / "lake"
        order = ["plain", "ours", *beside[1:]]
        for what in order if number % 2 == 0 else reversed(order):
            out = lake if what == "ours" else scratch / what
            runs[what].append(run_apart(what, folder, out, compiled, kind=kind, python=peers.get(what, ""),
                                        one_core=one_core))  # fmt: skip
            if runs[what][-1]["files"] != workload.files:
                raise SystemExit(f"{what}: {runs[what][-1]['files']} files, expected {workload.files}")
        runs["again"].append(run_apart("ours", folder, lake, compiled, kind=kind, one_core=one_core))
        if runs["again"][-1]["rows_new"]:
            raise SystemExit(f"{workload.name}: the second run added {runs['again'][-1]['rows_new']} rows")
        for place in (lake.parent, *(scratch / what for what in beside)):
            shutil.rmtree(place)
    if spark:
        runs["spark"].append(run_apart("spark", folder, scratch / "spark" / "lake", compiled, kind=kind))
        shutil.rmtree(scratch / "spark")
    shutil.rmtree(folder)
    return _summary(workload, size, runs)


def _summary(workload: Workload, size: int, runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    def median(values: Iterator[float]) -> float:
        return statistics.median(values)

    wall = {what: median(each["wall"] for each in done) for what, done in runs.items() if done}
    cpu = {what: median(each["cpu"] for each in done) for what, done in runs.items() if done}
    steps = {name: median(each["steps"][name] for each in runs["ours"]) for name in runs["ours"][0]["steps"]}
    result = {"workload": workload.name, "files": workload.files, "mb": size / 1e6, "wall": wall, "cpu": cpu,
              "steps": steps, "peak_mb": max(each["peak_mb"] for each in runs["ours"]), "ratios": {},
              "versions": {what: done[0]["version"] for what, done in runs.items() if done and what in PEERS}}
    for what in (each for each in runs if each not in ("ours", "again", "spark")):
        ratios = [one["wall"] / ours["wall"] for one, ours in zip(runs[what], runs["ours"], strict=True)]
        result["ratios"][what] = median(iter(ratios)), min(ratios), max(ratios)
    return result


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def report(result: dict[str, Any]) -> None:
    """Print what one workload gave."""
    wall, cpu, files = result["wall"], result["cpu"], result["files"]
    say(f"\n{result['workload']} ({result['mb']:.1f} MB)")
    for what in (each for each in wall if each != "again"):
        each, said = wall[what] / files, f"cpu {cpu[what]:.2f} s"
        if what in result["ratios"]:
            middle, low, high = result["ratios"][what]
            said += f"; ours / {what}: {middle:.2f} (pairs from {low:.2f} to {high:.2f})"
        name = f"{what} {result['versions'].get(what, '')}".strip()
        say(f"  {name:16} {wall[what]:7.2f} s {1 / each:8.0f} files/s {1e3 * each:6.2f} ms/file; {said}")
    if "spark" in wall:
        say(f"  throughput spark (warm) / plain: {wall['plain'] / wall['spark']:.2f}")
    say(f"  second run: {wall['again']:.2f} s, nothing new; peak memory of its main process: {result['peak_mb']} MB")
    say("  steps of ours: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in result["steps"].items()))


def _peers(given: list[str]) -> dict[str, str]:
    found = {}
    for each in given:
        name, equals, python = each.partition("=")
        if name not in PEERS or not equals or not Path(python).exists():
            raise SystemExit(f"--peer {each}: expected NAME=PYTHON, NAME one of {', '.join(PEERS)}, PYTHON a program")
        found[name] = str(Path(python).absolute())
    return found


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
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON",
                        help=f"compare with {' or '.join(PEERS)}, run by this Python; for each")  # fmt: skip
    parser.add_argument("--kind", default="image", help=argparse.SUPPRESS)
    parser.add_argument("--run", choices=("plain", "lean", "ours", "spark"), help=argparse.SUPPRESS)
    parser.add_argument("--input", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        say(json.dumps(run_here(args.run, args.input, args.output, kind=args.kind, one_core=args.one_core)))
        return 0
    results, peers = [], _peers(args.peer)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    say(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} at the start")
    for name in PEERS:
        if name not in peers:
            say(f"{name}: skipped, no --peer {name}=PYTHON")
    for workload in workloads():
        if args.quick:
            workload = replace(workload, name=workload.name + " / 10", files=workload.files // 10)
        if args.only in workload.name:
            with tempfile.TemporaryDirectory(dir=args.scratch, prefix="petrel-ingest-") as scratch:
                pairs = args.pairs or (2 if args.quick else 3)
                results.append(compare(workload, Path(scratch), peers, pairs=pairs, spark=args.spark,
                                       one_core=args.one_core))  # fmt: skip
            report(results[-1])
    small = [each for each in results if "small" in each["workload"]]
    if len(small) == 2:
        growth = small[1]["wall"]["ours"] / small[0]["wall"]["ours"]
        say(f"\n{small[1]['files'] / small[0]['files']:.0f} times the small images take {growth:.1f} times as long")
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
