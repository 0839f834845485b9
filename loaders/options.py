"""The small values that `make_reader` takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from loaders.errors import FormatError

Tail = Literal["pad", "drop", "ragged"]


@dataclass(frozen=True, slots=True)
class Shuffle:
    """Read in a new order in every epoch.

    Attributes:
        seed: Constant for a whole run, the same on all ranks; 0 <= seed < 2**63. There is no default: an order
            that cannot be repeated is not one.
        window: Row groups of a lane that are shuffled together.
        lanes: Parts of the data that are read side by side; None chooses (see ORDER.md). All ranks, and the run
            that continues this one, must use the same number.
    """

    seed: int
    window: int = 4
    lanes: int | None = None

    def __post_init__(self) -> None:
        if type(self.seed) is not int or not 0 <= self.seed < 1 << 63:
            raise FormatError(f"Shuffle needs a seed, an integer from 0 to 2**63 - 1, found {self.seed!r}")
        if self.window < 1:
            raise FormatError(f"a window is at least one row group, found {self.window}")
        if self.lanes is not None and self.lanes < 1:
            raise FormatError(f"lanes are at least 1, found {self.lanes}")


@dataclass(frozen=True, slots=True)
class Shard:
    """Which of several equal readers this is.

    Attributes:
        rank: Ours, counted from 0.
        world: How many there are.
        exchange: Gives every rank's bytes, in the order of ranks, for ours of the same length; the ranks compare with
            it what they are about to read, before the first batch. None: they trust each other. `loaders.torch.shard`
            makes one from torch.distributed.
    """

    rank: int = 0
    world: int = 1
    exchange: Callable[[bytes], Sequence[bytes]] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise FormatError(f"rank {self.rank} of {self.world}: a rank is counted from 0 and less than world")


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read; none of these changes the order.

    Attributes:
        tail: What becomes of the last N mod (batch size x world) rows of an epoch. `pad`: the last batch is
            filled up and `is_pad` marks the filler. `drop`: they are not delivered; which, differs by epoch.
            `ragged`: the last batch is shorter; one rank only.
        on_error: `raise` CorruptionError or DecodeError, or `skip` the samples that cannot be read, counted in
            `Reader.skipped`. With `pad` a skipped sample is a blank row (zeros, empty) marked in `is_pad`; otherwise
            the batch is shorter.
        skip_limit: Samples that may be skipped before the error is raised after all.
        deadline_s: Seconds in which every batch comes or DeadlineError is raised, and in which the folder opens.
        decode_threads: Threads that decode and transform; Pillow decodes without the GIL. None: one for each
            core of this process, at most 8.
        read_threads: Threads that read row groups.
        prefetch: Batches that are prepared ahead.
        max_pixels: Images with more are refused before they are decoded (40 million pixels: 120 MB as RGB).
        sample_seeds: Add `_sample_seed`, uint64, a seed for each sample that depends on seed, epoch and sample
            alone; needs a shuffle.
        cache_bytes: Splits up to this size are kept in memory after the first read (64 MiB).
    """

    tail: Tail = "pad"
    on_error: Literal["raise", "skip"] = "raise"
    skip_limit: int = 1000
    deadline_s: float = 120.0
    decode_threads: int | None = None
    read_threads: int = 2
    prefetch: int = 4
    max_pixels: int = 40_000_000
    sample_seeds: bool = False
    cache_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        if self.tail not in ("pad", "drop", "ragged"):
            raise FormatError(f"tail must be pad, drop or ragged, found {self.tail!r}")
        if self.on_error not in ("raise", "skip"):
            raise FormatError(f"on_error must be raise or skip, found {self.on_error!r}")
        if self.deadline_s <= 0:
            raise FormatError(f"deadline_s must be positive, found {self.deadline_s}")
        if self.prefetch < 1 or self.read_threads < 1 or (self.decode_threads or 1) < 1:
            raise FormatError("prefetch, read_threads and decode_threads must be at least 1")

    @property
    def threads(self) -> int:
        """Threads that decode."""
        if self.decode_threads is not None:
            return self.decode_threads
        return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
