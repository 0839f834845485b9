"""Read a split for some epochs and print, as JSON, what its reader takes beyond what the program took before."""

from __future__ import annotations

import gc
import json
import re
import sys
from pathlib import Path

from loaders import ReadOptions, Shuffle, make_reader


def pss_mib() -> float:
    """Proportional memory of this process and its children, MiB: what they share counts once.

    Without what is mapped from files, the libraries: their share changes with every other process that has them.
    """
    tasks = Path("/proc/self/task").iterdir()
    children = {child for task in tasks for child in (task / "children").read_text().split()}
    total = 0
    for process in ("self", *children):
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:  # it has just ended
            continue
        total += sum(map(int, re.findall(r"\nPss_(?:Anon|Shmem):\s+(\d+)", text)))
    return total / 1024


def read(split: str, pool: str, epochs: int, before: float = 0.0) -> dict[str, object]:
    """Return the bound that the reader announces and the peak of each epoch."""
    options = ReadOptions(pool=pool, workers=2, deadline_s=60)  # type: ignore[arg-type]
    peaks = []
    with make_reader(split, batch_size=64, shuffle=Shuffle(1), options=options) as reader:
        bound = reader.memory_bound_bytes / 2**20
        for _ in range(epochs):
            peak = 0.0
            for number, batch in enumerate(reader):
                if number % 4 == 0 or number + 3 > reader.steps_per_epoch:
                    peak = max(peak, pss_mib())
                del batch
            peaks.append(peak - before)
    gc.collect()
    return {"bound": bound, "peaks": peaks}


if __name__ == "__main__":
    tiny, split, pool = sys.argv[1:]
    before = read(tiny, pool, 1)["peaks"][0]  # type: ignore[index]
    sys.stdout.write(json.dumps(read(split, pool, 5, before) | {"before": before}))
