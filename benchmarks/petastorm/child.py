"""One measurement in one fresh process, of either library. Started by the driver:

    <python of the environment> -m benchmarks.petastorm.child '{"mode": "speed", "peer": "petastorm", ...}'

Modes: `speed` (see there), `values` (the sums of all that one pass delivers), `opens` (how many passes are short).
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.loaders.child import RESULT
from benchmarks.loaders.measuring import cpu_seconds, tree
from benchmarks.petastorm.workloads import MODULES, WORKLOADS, Workload


def main() -> int:
    """Do what the first argument says."""
    warnings.simplefilter("ignore")
    task = json.loads(sys.argv[1])
    result = {"speed": speed, "values": values, "opens": opens}[task["mode"]](task)
    sys.stdout.write(f"\n{RESULT}{json.dumps(result)}\n")
    sys.stdout.flush()
    os._exit(0)  # without waiting for threads that a reader left behind


class Library:
    """One of the two, imported; `import_s` is how long that took, of torch too."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.work: Workload = WORKLOADS[task["workload"]]
        self._url, self._arguments = f"file://{task['folder']}", task["arguments"]
        started = time.perf_counter()
        module = importlib.import_module(MODULES[task["peer"]])
        self._make = getattr(module, self.work.make)
        self._loader: Any = None
        if self.work.loader:
            pytorch = importlib.import_module(f"{MODULES[task['peer']]}.pytorch")
            self._loader = getattr(pytorch, self.work.loader)
            import torch

            torch.set_num_threads(1)  # collating spins on a busy machine with more (benchmarks/README.md)
        self.import_s = time.perf_counter() - started

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Give the rows or batches of one pass, as a user would write it."""
        with self._make(self._url, **self._arguments) as reader:
            yield self._loader(reader, **self.work.loader_arguments) if self._loader else reader

    def rows(self, item: Any) -> int:
        """Return how many rows an item of a pass has."""
        if self._loader:
            return len(next(iter(item.values())))
        return len(item[0]) if self.work.make == "make_batch_reader" else 1


def speed(task: dict[str, Any]) -> dict[str, Any]:
    """Measure the time to the first item, then whole passes, then memory.

    Returns:
        first_s: From before the reader is made to the first item in hand, everything imported.
        process_first_s: The same from the start of the process, imports included.
        passes: Whole passes, each from making the reader to leaving its `with`, until they took `least_s` together;
            the first pass, which warms up, is not among them.
        rows: Rows of each pass, the first included.
        imported_mb, peak_mb: Resident memory after the imports, and the most there was in all passes; of a process
            pool the sum of all processes.
    """
    library = Library(task)
    _forget_peak()
    imported = _memory_mb("VmRSS")
    started = time.perf_counter()
    with library.opened() as items:
        pending = iter(items)
        item = next(pending, None)
        first_s, process_first_s = time.perf_counter() - started, time.monotonic() - task["started"]
        delivered = [0 if item is None else library.rows(item)]
        item = None
        delivered[0] += sum(library.rows(item) for item in pending)
        peak = _memory_mb("VmHWM")
    passes: list[dict[str, float]] = []
    while sum(each["seconds"] for each in passes) < task["least_s"]:
        cpu, started = cpu_seconds(os.getpid()), time.perf_counter()
        with library.opened() as items:
            rows = sum(library.rows(item) for item in items)
            peak = max(peak, _memory_mb("VmHWM"))
            used = cpu_seconds(os.getpid()) - cpu
        passes.append({"rows": rows, "seconds": time.perf_counter() - started, "cpu_s": used})
        delivered.append(rows)
    return {
        "import_s": library.import_s, "first_s": first_s, "process_first_s": process_first_s, "passes": passes,
        "rows": delivered, "imported_mb": imported, "peak_mb": peak,
    }  # fmt: skip


def values(task: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of one pass and, for each column, its sum: the same for two libraries that give the same."""
    library = Library(task)
    rows = 0
    sums: dict[str, float] = {}
    with library.opened() as items:
        for item in items:
            rows += library.rows(item)
            for name, column in (item if isinstance(item, dict) else item._asdict()).items():
                sums[name] = sums.get(name, 0.0) + float(column.sum(dtype=_double()))
    return {"rows": rows, "sums": sums}


def opens(task: dict[str, Any]) -> dict[str, Any]:
    """Read a small dataset again and again, each time with a new reader, and count the passes that are short."""
    library = Library(task)
    rows, started = [], time.perf_counter()
    for _ in range(task["opens"]):
        with library.opened() as items:
            rows.append(sum(library.rows(item) for item in items))
    return {"rows": rows, "seconds": time.perf_counter() - started}


def _double() -> Any:
    torch = sys.modules.get("torch")
    return torch.float64 if torch else "float64"


def _forget_peak() -> None:
    """Have the kernel count the highest resident size anew: imports may have had a higher one than they left."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # not allowed here; then the peak of the imports counts too
        pass


def _memory_mb(name: str) -> float:
    """Return VmRSS or VmHWM of this process and all that it started."""
    total = 0
    for pid in tree(os.getpid()):
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:  # it ended meanwhile
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
    return total * 1024 / 1e6


if __name__ == "__main__":
    main()
