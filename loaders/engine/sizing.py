"""How much memory a reader takes, settled before the first batch. The formula is in ORDER.md, "Memory"."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import cast

from loaders.decoding.decoders import AnyDecoder, VaryingDecoder
from loaders.decoding.limits import MAX_VIDEO_BYTES
from loaders.engine.objects import Objects
from loaders.engine.outputs import delivered, output_parts, outputs_of
from loaders.options import ReadOptions
from loaders.ordering.epochs import Epochs
from loaders.ordering.state import State
from loaders.reading.arena import ArenaShape
from loaders.reading.layout import ReadColumn
from loaders.reading.source import SplitFiles

_OVERHEAD_BYTES = 64 << 20
"""Decoders, thread stacks and what allocators keep: 60 MiB measured with 2,000 photos of 341 x 256."""

_CHUNK_BYTES = 4 << 20
"""Batches that only need a gather are made several at a time, up to this size: handing one over costs 50 us."""

_MOST_STEPS = 64

TRANSFORM_ROOM = 8
"""What a transform in another process may make of a batch, times its size, before its arrays travel through a pipe:
uint8 to float64. Memory that is not touched is not taken."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The plan.

    Attributes:
        arena: What is held of the split.
        steps: Batches that are made in one go.
        output_bytes: Memory for those.
        room_bytes: The same with what a transform in another process may make of them.
        chunks: Goes that are in the making, or made and not yet delivered.
        listed_bytes: What values that come as lists take in one go, at an estimate.
        unpacked_bytes: Text, lists and maps that are held, what is unpacked at once by the reading threads, and the
            draws of two epochs.
    """

    arena: ArenaShape
    steps: int
    output_bytes: int
    room_bytes: int
    chunks: int
    listed_bytes: int
    unpacked_bytes: int

    @property
    def total(self) -> int:
        """Bytes that the reader holds at most, beside the interpreter."""
        each = self.room_bytes + self.listed_bytes
        return _OVERHEAD_BYTES + self.arena.bytes + self.unpacked_bytes + (self.chunks + 2) * each


def sizes_of(
    split: SplitFiles, columns: Sequence[ReadColumn], epochs: Epochs, length: int, state: State, world: int,
    options: ReadOptions, decoders: Mapping[str, AnyDecoder], *, has_transform: bool,
    objects: Objects | None = None,
) -> Sizes:  # fmt: skip
    """Settle the sizes for a reader of one rank."""
    lanes, size = state.lanes // world, state.global_batch // state.lanes
    rows = lanes * size
    objects = objects or Objects()
    batch_bytes = _bytes(columns, decoders, objects, rows, length)
    is_gathered = not any(column.kind == "blob" for column in columns)
    steps = max(1, min(_MOST_STEPS, _CHUNK_BYTES // max(1, batch_bytes))) if is_gathered else 1
    if options.pool == "inline":
        steps = 1
    chunks = 1 if options.pool == "inline" else max(-(-options.prefetch // steps), options.threads + 1)
    ahead = (chunks + 1) * steps * size
    counts = sorted(epochs.fewest)
    # Whole row groups that lie in the samples in the making: one small one, as at the end of a file, is only one.
    whole = bisect_right(list(accumulate(counts)), lanes * ahead)
    groups = epochs.open_groups(lanes=lanes, window=state.window, deep=4) + whole if counts else 0
    arena = ArenaShape(
        columns=tuple(columns),
        slots=max(1, min(groups, len(counts))),
        rows=max(split.rows_by_group, default=1),
        chunk_bytes={column.name: max(split.bytes_by_group) for column in columns if column.kind == "blob"},
    )
    if all(column.is_direct for column in columns):
        arena = replace(arena, slots=1)
    listed = rows * steps * length * sum(_value_bytes(column, decoders) for column in columns)
    unpacked = 2 * options.read_threads * max(split.bytes_by_group)
    if not arena.chunk_bytes and any(column.kind == "other" for column in columns):
        unpacked += arena.slots * max(split.bytes_by_group)  # with blobs, their place has room for all columns
    output = _bytes(columns, decoders, objects, rows * steps, length)
    room = output * TRANSFORM_ROOM if options.pool == "processes" and has_transform else output
    return Sizes(arena, steps, output, room, chunks, listed, unpacked + epochs.bytes)


def _bytes(
    columns: Sequence[ReadColumn], decoders: Mapping[str, AnyDecoder], objects: Objects, rows: int, length: int
) -> int:
    parts = output_parts(outputs_of(tuple(columns), decoders, objects), rows, length)
    return sum(-(-math.prod(shape) * dtype.itemsize // 64) * 64 for _, _, shape, dtype in parts)


def _value_bytes(column: ReadColumn, decoders: Mapping[str, AnyDecoder]) -> int:
    """Bytes of one value that comes in a list.

    A picture of unknown size counts as one megapixel, the masks of one as three of them, a video as much as may be
    decoded of one, other values as 1 KiB.
    """
    if delivered(column, decoders)[0] is not None:
        return 0
    if column.name in decoders:
        return cast("VaryingDecoder", decoders[column.name]).most_bytes
    if column.field.codec == "video":
        return MAX_VIDEO_BYTES
    return 3 << 20 if column.field.codec in ("image", "native_image", "coco_rle") else 1 << 10
