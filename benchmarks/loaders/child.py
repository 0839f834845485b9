"""One measurement in one fresh process, in the environment of the loader it measures. Started by the driver:

    <python of the environment> -m benchmarks.loaders.child '{"mode": "speed", "peer": "plain", ...}'

The last line of its output is a JSON object. Modes:

    prepare   write the workload in the format of the peer, into an empty folder
    limit     measure a limit
    speed     measure a loader (see `speed`)
    look      ids of one epoch in the order of delivery, at most `cap_s` seconds of it, unhurried by other measurements
    order     ids of one epoch, of its first `take` batches, or of what follows a saved state
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loaders.measuring import cpu_seconds, memory_mb
from benchmarks.loaders.workloads import COLUMNS, WORKLOADS, Data, Workload

RESULT = "result: "

_READ_BYTES = 8 << 20


def main() -> int:
    """Do what the first argument says."""
    warnings.simplefilter("ignore")
    task = json.loads(sys.argv[1])
    work = WORKLOADS[task["workload"]]
    if task["options"].get("layout") == "matrix":
        work = replace(work, kind="tensors")
    data, folder = Data(work), Path(task["folder"])
    if task["mode"] != "prepare":
        into_page_cache(folder)
    started = time.perf_counter()
    if task["peer"] == "limit":
        from benchmarks.loaders import limits as peer
    else:
        peer = importlib.import_module(f"benchmarks.loaders.peers.{task['peer']}")
    result: dict[str, Any] = {"import_s": time.perf_counter() - started}
    if task["mode"] == "prepare":
        result |= prepare(peer, data, folder)
    elif task["mode"] == "limit":
        options = task["options"]
        result |= peer.run(options["limit"], data, folder, workers=options["workers"], seconds=task["least_s"])
    else:
        memory = memory_mb(os.getpid())
        result |= {"speed": speed, "look": look, "order": order}[task["mode"]](peer, data, folder, task)
        result["imported_rss_mb"], result["imported_own_mb"] = memory
    sys.stdout.write(f"\n{RESULT}{json.dumps(result)}\n")
    sys.stdout.flush()
    os._exit(0)  # without waiting for threads of a loader that was left in mid-epoch


def into_page_cache(folder: Path) -> None:
    """Read all files of a loader: those of other loaders may have driven them out since it was measured last."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(_READ_BYTES):
                    pass


def prepare(peer: Any, data: Data, folder: Path) -> dict[str, float]:
    """Return what writing cost."""
    cpu, started = cpu_seconds(os.getpid()), time.perf_counter()
    peer.prepare(data, folder)
    return {"write_s": time.perf_counter() - started, "write_cpu_s": cpu_seconds(os.getpid()) - cpu}


def speed(peer: Any, data: Data, folder: Path, task: dict[str, Any]) -> dict[str, Any]:
    """Measure time to the first batch, then the rate.

    `first_s` is from before `open_loader` to the first batch in hand, everything imported, in a fresh process (the
    files are in the page cache). Then epoch 0 goes on to warm up. If it ends within `warm_s`, whole further epochs
    are timed, each from asking for its iterator to its end, until they took `least_s`. If not, the rest of epoch 0
    is timed. Timing stops after `cap_s` in any case.
    """
    work = data.workload
    started = time.perf_counter()
    loader = peer.open_loader(data, folder, task["options"], task["seed"])
    batches = loader.epoch(0)
    batch = next(batches)
    first_s = time.perf_counter() - started
    check(batch, data)
    del batch
    number, is_whole = 0, False
    while time.perf_counter() - started < task["warm_s"]:
        if next(batches, None) is None:
            is_whole, number = True, 1
            break
    pid, samples, seconds = os.getpid(), 0, 0.0
    cpu = cpu_seconds(pid)
    while seconds < (task["least_s"] if is_whole else 1e-9):
        began = time.perf_counter()
        if is_whole:
            batches = loader.epoch(number)
        samples += _drain(batches, work, until=began + task["cap_s"] - seconds)
        seconds += time.perf_counter() - began
        number += 1
        if seconds >= task["cap_s"]:
            break
    cpu = cpu_seconds(pid) - cpu
    return {"first_s": first_s, "samples": samples, "seconds": seconds, "cpu_s": cpu, "whole_epochs": is_whole}


def _drain(batches: Iterator[dict[str, Any]], work: Workload, *, until: float) -> int:
    name, samples = name_of(work), 0
    for batch in batches:
        samples += len(batch[name]) if name in batch else len(next(iter(batch.values())))
        if time.perf_counter() > until:
            break
    return samples


def look(peer: Any, data: Data, folder: Path, task: dict[str, Any]) -> dict[str, Any]:
    """Return the ids of one epoch, as far as they come; the driver samples the memory meanwhile."""
    loader = peer.open_loader(data, folder, task["options"], task["seed"])
    stop = time.perf_counter() + task["cap_s"]
    ids: list[Any] = []
    is_whole = True
    for batch in loader.epoch(0):
        ids.append(ids_of(batch, data.workload))
        if time.perf_counter() > stop:
            is_whole = False
            break
    delivered = np.concatenate(ids)
    stored = loader.stored_ids() if hasattr(loader, "stored_ids") else None
    return {"is_whole": is_whole, **spread(delivered, data.workload.rows, stored)}


def order(peer: Any, data: Data, folder: Path, task: dict[str, Any]) -> dict[str, Any]:
    """Return ids in order of delivery."""
    loader = peer.open_loader(data, folder, task["options"], task["seed"])
    can_resume = hasattr(loader, "state_dict")
    if task.get("state_in"):
        loader.load_state_dict(pickle.loads(Path(task["state_in"]).read_bytes()))  # our own file, just written
    ids: list[int] = []
    for number, batch in enumerate(loader.epoch(0), start=1):
        ids += ids_of(batch, data.workload).tolist()
        if number == task.get("take"):
            if can_resume and task.get("state_out"):
                Path(task["state_out"]).write_bytes(pickle.dumps(loader.state_dict()))
            break
    return {"ids": ids, "can_resume": can_resume}


def spread(ids: Any, rows: int, stored: Any) -> dict[str, Any]:
    """Return how well an order is shuffled, with regard to where the samples lie in the loader's own files.

    disp: mean distance between a sample's place in the epoch and its place in the files, by rows / 3; 1 is uniform.
    near: share of neighbours in the epoch that are neighbours in the files, within 1% of the rows; 0.02 is uniform.
    """
    ids = np.asarray(ids, dtype=np.int64)
    if stored is not None:
        place = np.empty(rows, dtype=np.int64)
        place[np.asarray(stored)] = np.arange(rows)
        ids = place[ids]
    near = float((np.abs(np.diff(ids)) <= rows / 100).mean()) if len(ids) > 1 else 0.0
    disp = float(np.abs(ids - np.arange(len(ids))).mean() / (rows / 3)) if len(ids) >= 0.99 * rows else None
    return {"near": near, "disp": disp, "distinct": len(np.unique(ids)), "delivered": len(ids)}


def name_of(work: Workload) -> str:
    """Return the key of a batch that holds the samples."""
    return "image" if work.kind == "photos" else "x"


def ids_of(batch: dict[str, Any], work: Workload) -> Any:
    """Return the ids of the samples of a batch; int64."""
    if work.kind == "photos":
        return np.asarray(batch["id"]).astype(np.int64)
    if work.kind == "table" and "x" not in batch:
        return np.asarray(batch[COLUMNS[0]]).astype(np.int64)
    values = np.asarray(batch["x"])
    flat = values.reshape(len(values), -1)
    if work.dtype == "uint8":
        return np.ascontiguousarray(flat[:, :4]).view("<u4")[:, 0].astype(np.int64)
    return flat[:, 0].astype(np.int64)


def check(batch: dict[str, Any], data: Data) -> None:
    """Raise unless a batch is what all loaders have to deliver."""
    work = data.workload
    if work.kind == "table" and "x" not in batch:
        values = np.stack([np.asarray(batch[name]) for name in COLUMNS], axis=1)
    else:
        values = np.asarray(batch[name_of(work)])
    if values.shape != (work.batch, *work.shape) or values.dtype != work.dtype:
        raise RuntimeError(f"delivers {values.dtype} {values.shape}, not {work.dtype} {(work.batch, *work.shape)}")
    if work.kind == "photos":
        if min(float(image.std()) for image in values) < 0.5:
            raise RuntimeError("delivers blank pictures")
    elif not np.array_equal(values, data.array[ids_of(batch, work)]):
        raise RuntimeError("delivers other values than were written")


if __name__ == "__main__":
    main()
