"""Photos from an object store beside the same photos from a local folder, and a store that hangs.

    python -m benchmarks.loaders.remote --latency-ms 20 --rounds 5

A small S3 server (tests/loaders/s3.py) runs in a process of its own on loopback and waits before each answer. Three
readers take turns, an epoch each: local folder, `s3://`, `s3://` with the disk cache filled. The first epoch of each is
warm-up. Shuffling within one row group on one lane keeps a few row groups in memory instead of the whole set, so each
epoch reads all bytes again; the bytes that left the server are printed to show it.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from benchmarks.loaders.peers.petrel import prepare
from benchmarks.loaders.places import ROOT, cache_folder
from benchmarks.loaders.workloads import WORKLOADS, make_data
from loaders import Reader, ReadOptions, Shuffle, make_reader
from loaders.decoding.decoders import RandomResizedCrop
from loaders.errors import DeadlineError
from loaders.stores.storage import StorageOptions
from tests.loaders.s3 import Fault, serving


def main() -> None:
    """Run the comparison and the two faults, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency-ms", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--window", type=int, default=1)
    parser.add_argument("--deadline-s", type=float, default=3.0, help="for the store that hangs")
    arguments = parser.parse_args()
    folder = published_photos()
    shuffle = Shuffle(seed=7, lanes=arguments.lanes, window=arguments.window)
    say(f"photos from {folder}, {arguments.latency_ms:g} ms added to each request, {arguments.rounds} rounds")
    compare(folder, shuffle, arguments.latency_ms / 1000, arguments.rounds)
    for kind in ("dead", "drip"):
        hang(folder, kind, arguments.deadline_s)


def compare(folder: Path, shuffle: Shuffle, latency_s: float, rounds: int) -> None:
    """Print photos per second of the three readers, medians over interleaved epochs, and their ratios."""
    with ExitStack() as stack:
        storage, sent_bytes = stack.enter_context(store(folder, latency_s))
        kept = stack.enter_context(tempfile.TemporaryDirectory(dir=cache_folder()))
        url = f"s3://{folder.parent.name}/train"
        readers = {
            "local": photo_reader(str(folder), shuffle, StorageOptions()),
            "s3": photo_reader(url, shuffle, storage),
            "s3 + disk cache": photo_reader(url, shuffle, replace(storage, cache_folder=Path(kept))),
        }
        speeds: dict[str, list[float]] = {name: [] for name in readers}
        sent: dict[str, int] = dict.fromkeys(readers, 0)
        for name, reader in readers.items():
            stack.enter_context(reader)
            say(f"warm-up of {name:<16} {epoch(reader):8.0f} photos/s")
        for _ in range(rounds):
            for name, reader in readers.items():
                before = sent_bytes()
                speeds[name].append(epoch(reader))
                sent[name] += sent_bytes() - before
        local = statistics.median(speeds["local"])
        for name, found in speeds.items():
            each = f"{min(found):.0f} to {max(found):.0f}"
            say(
                f"{name:<16} {statistics.median(found):8.0f} photos/s ({each}), {statistics.median(found) / local:.3f} "
                f"of local, {sent[name] / rounds / 1e6:.1f} MB fetched per epoch"
            )


def hang(folder: Path, kind: str, deadline_s: float) -> None:
    """Print how long a reader takes to notice that the store hangs."""
    with serving(folder.parents[1]) as server:
        storage = server.options(deadline_s=deadline_s)
        url = f"s3://{folder.parent.name}/train"
        with photo_reader(url, Shuffle(seed=7, lanes=1, window=1), storage) as reader:
            next(reader)
            server.faults.append(Fault(kind, times=float("inf")))  # type: ignore[arg-type]
            began = time.monotonic()
            try:
                for _ in islice(reader, 10_000):
                    began = time.monotonic()
            except DeadlineError as error:
                took = time.monotonic() - began
                say(f"{kind}: {took:.2f} s after the last batch, deadline {deadline_s:g} s: {error}")
            else:
                say(f"{kind}: no error; the whole set was in memory")


def photo_reader(url: str, shuffle: Shuffle, storage: StorageOptions) -> Reader:
    """Return an endless reader of decoded, cropped photos."""
    return make_reader(
        url, batch_size=64, shuffle=shuffle, epochs=None, decoders={"image": RandomResizedCrop(224)},
        options=ReadOptions(storage=storage, tail="drop"),
    )  # fmt: skip


def epoch(reader: Reader) -> float:
    """Read to the end of the epoch; return photos per second."""
    steps, count = reader.steps_per_epoch - reader.step, 0
    began = time.perf_counter()
    for batch in islice(reader, steps):
        count += len(batch["id"])
    return count / (time.perf_counter() - began)


def published_photos() -> Path:
    """Return the split of the 5,000 photos of the other benchmarks, published once."""
    folder = cache_folder() / "remote" / "photos"
    if not (folder / "set" / "train" / "_manifest.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        prepare(make_data(WORKLOADS["photos256"]), folder)
    return folder / "set" / "train"


@contextmanager
def store(folder: Path, latency_s: float) -> Iterator[tuple[StorageOptions, Callable[[], int]]]:
    """Serve the folder above a split from another process; also gives how many bytes of files were sent so far."""
    command = [sys.executable, "-m", "tests.loaders.s3", str(folder.parents[1]), "0", str(latency_s)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(server.stdout.readline())

        def sent_bytes() -> int:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write("\n")
            server.stdin.flush()
            return int(server.stdout.readline())

        try:
            yield StorageOptions(options=_options(port)), sent_bytes
        finally:
            server.stdin.close()
            server.wait()


def _options(port: int) -> dict[str, object]:
    return {"endpoint_override": f"127.0.0.1:{port}", "scheme": "http", "anonymous": True}


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
