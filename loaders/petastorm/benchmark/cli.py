"""Measure how fast a dataset is read on this machine.

    petrel-throughput file:///data/set --field-regex 'image.*' --pool-type thread --workers-count 4
    petrel-throughput file:///data/set --read-method torch --batch-size 64 --shuffling-queue-size 10000
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from loaders.petastorm.benchmark.throughput import ReadMethod, WorkerPoolType, reader_throughput


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = _arguments(argv)
    if args.v or args.vv:
        logging.basicConfig(level=logging.DEBUG if args.vv else logging.INFO)
    found = reader_throughput(
        args.dataset_path, args.field_regex, args.warmup_cycles, args.measure_cycles, args.pool_type,
        args.workers_count, args.profile_threads, args.read_method, args.shuffling_queue_size, args.min_after_dequeue,
        spawn_new_process=args.spawn_new_process, batch_size=args.batch_size,
    )  # fmt: skip
    sys.stdout.write(
        f"Average sample read rate: {found.samples_per_second:.2f} samples/sec; "
        f"RAM {found.memory_info.rss / (1 << 20):.2f} MB (rss); CPU {found.cpu:.2f}%\n"
    )
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="petrel-throughput", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("dataset_path", help="URL or path of a dataset")
    add("--field-regex", nargs="+", help="read only fields whose whole name matches one of these")
    add("-w", "--workers-count", type=int, default=3, help="threads or processes (3)")
    pools = list(WorkerPoolType)
    add("-p", "--pool-type", type=WorkerPoolType, choices=pools, default=pools[0], help="who does the work (thread)")
    add("-m", "--warmup-cycles", type=int, default=200, help="rows that are read before (200)")
    add("-n", "--measure-cycles", type=int, default=1000, help="rows that are measured (1000)")
    add("-d", "--read-method", type=_read_method, choices=list(ReadMethod), default=ReadMethod.PYTHON,
        help="rows of the reader, or batches of a DataLoader (python)")  # fmt: skip
    add("-b", "--batch-size", type=int, default=64, help="rows of a batch, with torch (64)")
    add("-q", "--shuffling-queue-size", type=int, default=500, help="rows of the shuffling queue, with torch (500)")
    add("--min-after-dequeue", type=float, default=400, help="taken for Petastorm's sake")
    add("--profile-threads", action="store_true", help="taken for Petastorm's sake")
    add("--spawn-new-process", action=argparse.BooleanOptionalAction, default=True, help="measure in its own process")
    add("-v", action="store_true", help="say what is done")
    add("-vv", action="store_true", help="say more")
    return parser.parse_args(argv)


def _read_method(text: str) -> ReadMethod:
    if text == "tf":
        raise argparse.ArgumentTypeError("TensorFlow is out of scope; python and torch are there")
    return ReadMethod(text)


if __name__ == "__main__":
    raise SystemExit(main())
