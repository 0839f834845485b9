"""What is asked of whoever assembles batches, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loaders.axes import Ints, Mask, Seeds
from loaders.decoding.values import Batch


@dataclass(frozen=True, slots=True)
class Job:
    """Some consecutive batches, as rows of the arena.

    Attributes:
        epoch: Their epoch.
        step: Number of the first one.
        ends: Where each ends.
        index: int64 (n * length,): rows of the arena; of a broken row group, any.
        length: Rows in a sample; 1 unless samples are sequences.
        pad: bool (n,): padding and rows that cannot be read; None if there are none.
        seeds: uint64 (n,), None where nothing is random.
        direct: {direct column: [(file, first byte, CRC-32) of each row]}.
        others: {text, list or map column: values of each row}.
        splits: int64 (n,): which split each sample is of; None where one split is read.
    """

    epoch: int
    step: int
    ends: tuple[int, ...]
    index: Ints
    length: int = 1
    pad: Mask | None = None
    seeds: Seeds | None = None
    direct: Mapping[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    others: Mapping[str, list[object]] = field(default_factory=dict)
    splits: Ints | None = None

    @property
    def rows(self) -> int:
        """Samples in all of them."""
        return self.ends[-1] if self.ends else 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A value that could not be read: its row in the job, which of the sample's rows, its column, and why.

    `is_damage`: its bytes are not those that were published.
    """

    row: int
    within: int
    column: str
    reason: str
    is_damage: bool = False


@dataclass(slots=True)
class Made:
    """What became of a job.

    Attributes:
        batches: The batches; empty if one failed and errors are raised.
        failures: Values that could not be read.
        decode_s: Seconds of gathering and decoding, of all threads.
        transform_s: Seconds in the caller's function.
        cpu_s: Processor seconds of both.
        objects: Objects that decoders moved, of samples that are no padding.
        objects_dropped: Those of them that left their pictures.
    """

    batches: list[Batch]
    failures: list[Failure]
    decode_s: float = 0.0
    transform_s: float = 0.0
    cpu_s: float = 0.0
    objects: int = 0
    objects_dropped: int = 0
