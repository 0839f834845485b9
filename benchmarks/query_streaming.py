"""What does it cost to feed training from a query? 1 % of a lake streamed from it, beside the same rows published.

    python -m benchmarks.query_streaming                          # 2,000 photos, 220 MB; some minutes
    python -m benchmarks.query_streaming --photos 500 --share 5

Seconds of processor (user and system, of this process and those that it starts) and of the clock, on as many cores as
there are: to open, for the first epoch, and for each later one, in which the rows are decoded to 224 x 224 either way.
What is published is built and written first, which is a line of its own: after `n` epochs it has paid for itself, and
the last line says n. Ways take turns, `--rounds` times; medians are shown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BATCH = 16
EPOCHS = 4
SIZE = 224


def make_lake(lake: Path, photos: Path, count: int) -> None:
    """Land photos."""
    from lakehouse.config import load_config
    from lakehouse.ingestion.entities import entities
    from lakehouse.ingestion.land import land
    from lakehouse.ingestion.sources.source import Source
    from lakehouse.opening import open_lake
    from tests import corpus

    corpus.photos(photos, count)
    with open_lake(load_config(overrides=[f"lake.root={lake}"]), create=True) as opened:
        land(opened, Source(name="photos", folder=str(photos)))
        entities(opened)


class Clock:
    """Seconds of processor and of the clock, by what they were for."""

    def __init__(self) -> None:
        self.found: dict[str, list[tuple[float, float]]] = {}

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Count the block."""
        used, begun = _processor(), time.perf_counter()
        yield
        self.found.setdefault(what, []).append((_processor() - used, time.perf_counter() - begun))

    def median(self, what: str) -> tuple[float, float]:
        """Return (processor, clock), seconds."""
        processor, clock = zip(*self.found[what], strict=True)
        return statistics.median(processor), statistics.median(clock)


def _processor() -> float:
    own = os.times()
    return own.user + own.system + own.children_user + own.children_system


def epochs(clock: Clock, way: str, make: Callable[[], Any]) -> int:
    """Open, read some epochs, and return the rows of one."""
    rows = 0
    with clock.of(f"{way}: open"):
        batches = make()
    with batches:
        for epoch in range(EPOCHS):
            with clock.of(f"{way}: first epoch" if epoch == 0 else f"{way}: later epoch"):
                rows = sum(int((~batch["is_pad"]).sum()) for batch in batches)
    return rows


def measure(lake: Path, share: int, rounds: int) -> Clock:
    """Return what both ways took."""
    from lakehouse.config import load_config
    from lakehouse.materialise.querying import materialise_query
    from lakehouse.opening import open_lake
    from loaders import CenterCrop, make_reader

    clock, decoders = Clock(), {"image": CenterCrop(SIZE, resize=256)}
    with open_lake(load_config(overrides=[f"lake.root={lake}"])) as opened:
        for turn in range(rounds):
            # Another seed of the bucket each time: a view that nobody has published.
            view = f"petrel_bucket(entity_id, '{turn}') % 100 < {share}"
            query = f"select entity_id, size_bytes as file_bytes from entities where {view}"
            streamed = epochs(clock, "streamed", lambda query=query: opened.stream(  # type: ignore[misc]
                query, batch_size=BATCH, decoders=decoders, columns=["image", "file_bytes"]
            ))  # fmt: skip
            with clock.of("published: build and materialise"):
                *_, receipt = materialise_query(opened, query)
            folder = f"{opened.home}/{receipt.details['folder']}/train"
            published = epochs(clock, "published", lambda folder=folder: make_reader(  # type: ignore[misc]
                folder, batch_size=BATCH, decoders=decoders, columns=["image", "file_bytes"]
            ))  # fmt: skip
            if streamed != published:
                raise SystemExit(f"{streamed} rows were streamed, {published} were read")
            sys.stdout.write(f"round {turn}: {streamed} rows of the view\n")
    return clock


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=2_000)
    parser.add_argument("--share", type=int, default=1, help="percent of them that the view has")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        make_lake(lake, Path(folder) / "photos", args.photos)
        clock = measure(lake, args.share, args.rounds)
    sys.stdout.write("| what | processor, s | clock, s |\n|---|---|---|\n")
    for what in clock.found:
        processor, wall = clock.median(what)
        sys.stdout.write(f"| {what} | {processor:.2f} | {wall:.2f} |\n")
    fixed = clock.median("published: build and materialise")[0] + clock.median("published: open")[0]
    saved = clock.median("streamed: later epoch")[0] - clock.median("published: later epoch")[0]
    more = fixed - clock.median("streamed: open")[0]
    sys.stdout.write(f"publishing pays after {more / saved:.0f} epochs\n" if saved > 0 else "publishing never pays\n")


if __name__ == "__main__":
    main()
