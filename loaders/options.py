"""The small values that `make_reader` takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from loaders.axes import Octets
from loaders.errors import FormatError
from loaders.stores.storage import StorageOptions

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
        tail: What becomes of the last N mod (batch size x world) samples of an epoch. `pad`: the last batch is
            filled up and `is_pad` marks the filler. `drop`: they are not delivered; which, differs by epoch.
            `ragged`: the last batch is shorter; one rank only.
        on_error: `raise` CorruptionError or DecodeError, or `skip` the samples that cannot be read, counted in
            `Reader.skipped`. With `pad` a skipped sample is a blank row (zeros, empty) marked in `is_pad`; otherwise
            the batch is shorter.
        skip_limit: Samples that may be skipped in an epoch before the error is raised after all.
        deadline_s: Seconds in which every batch comes or DeadlineError is raised, and in which the folder opens.
            With pool="inline" only reads of remote storage have one.
        pool: Who makes batches. `threads`: decoding and gathering run side by side, as they do without the GIL.
            `processes`: for a transform that holds the GIL (plain Python); it must be importable, keep no array of its
            batch, and what it returns comes as numpy arrays and lists. `inline`: the caller, one batch at a time;
            nothing is prepared ahead.
        workers: Threads or processes that make batches. None: one for each core of this process, at most 8; the
            number of threads then follows what they get done, and `Reader.stats()` says why.
        read_threads: Threads that read row groups.
        prefetch: Batches that are prepared ahead.
        max_pixels: Images with more are refused before they are decoded (64 million pixels: 192 MB as RGB), as the lake
            refuses them by default.
        sample_seeds: Add `_sample_seed`, uint64, a seed for each sample that depends on seed, epoch and sample
            alone; needs a shuffle.
        worker_memory_bytes: What a worker process may take beyond what it begins with, None for no limit.
        allocate: Where batches are assembled: returns that many bytes as a uint8 array, e.g. `loaders.torch.pinned`.
            None: ordinary memory.
        storage: How to read from a URL.
        min_visible: An object is dropped where a decoder leaves less than this share of its area in the picture, and
            always where it leaves none; `<objects>_dropped` counts them for each sample.
        affines: Add `<picture>_affine`, float64 (N, 2, 3), for each picture that a decoder reads: how it lies in the
            decoded one, by which `stored_boxes` and `stored_points` take predictions back.
        pad_to: {name of a list of objects: places}, e.g. {"boxes": 100}: its columns come as arrays (N, 100, ...),
            zero beyond the objects of a sample, -1 for class numbers, and `<objects>_count`, int64 (N,), says how many
            there are. A sample with more is a DecodeError.
    """

    tail: Tail = "pad"
    on_error: Literal["raise", "skip"] = "raise"
    skip_limit: int = 1000
    deadline_s: float = 120.0
    pool: Literal["threads", "processes", "inline"] = "threads"
    workers: int | None = None
    read_threads: int = 2
    prefetch: int = 4
    max_pixels: int = 64_000_000
    sample_seeds: bool = False
    worker_memory_bytes: int | None = None
    allocate: Callable[[int], Octets] | None = field(default=None, compare=False)
    storage: StorageOptions = field(default_factory=StorageOptions)
    min_visible: float = 0.0
    affines: bool = False
    pad_to: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, choices in (
            ("tail", ("pad", "drop", "ragged")), ("on_error", ("raise", "skip")),
            ("pool", ("threads", "processes", "inline")),
        ):  # fmt: skip
            if getattr(self, name) not in choices:
                raise FormatError(f"{name} must be one of {', '.join(choices)}, found {getattr(self, name)!r}")
        if self.deadline_s <= 0:
            raise FormatError(f"deadline_s must be positive, found {self.deadline_s}")
        if self.allocate is not None and self.pool == "processes":
            raise FormatError("allocate is for threads: with pool='processes' batches lie in memory that they share")
        if self.prefetch < 1 or self.read_threads < 1 or (self.workers is not None and self.workers < 1):
            raise FormatError("prefetch, read_threads and workers must be at least 1")
        if not 0 <= self.min_visible <= 1:
            raise FormatError(f"min_visible is a share, 0 to 1, found {self.min_visible}")
        if any(type(size) is not int or size < 1 for size in self.pad_to.values()):
            raise FormatError(f"pad_to gives each list of objects at least one place, found {dict(self.pad_to)}")

    @property
    def threads(self) -> int:
        """Workers: threads or processes that make batches."""
        return usable_cores(8) if self.workers is None else self.workers


def usable_cores(most: int) -> int:
    """Return the cores that this process may use, at most `most`."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(most, found)
