"""Assemble batches: gather their rows from the arena, decode, mark, transform. Runs in a worker.

Nothing here knows of files, footers or epochs: a job says which rows of the arena make which rows of the batches, so
that the same code runs in a thread, in the caller, and in a process that shares the arena.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import numpy as np

from loaders.axes import Array, Ints, Mask, Octets
from loaders.decoding.decoders import AnyDecoder, Decoder, VaryingDecoder
from loaders.decoding.masks import read_runs
from loaders.decoding.placement import Placement
from loaders.decoding.values import Batch, blank, channels_of, check_size, decode_blob
from loaders.engine.jobs import Failure, Job, Made
from loaders.engine.objects import Objects
from loaders.engine.outputs import output_parts, outputs_of
from loaders.errors import CorruptionError, DecodeError, FormatError, TransformError
from loaders.options import ReadOptions
from loaders.reading.arena import Arena, carve
from loaders.reading.layout import ReadColumn, blocks_of, record_dtype
from loaders.reading.pages import PageError, as_bytes

IS_PAD = "is_pad"
SAMPLE_SEED = "_sample_seed"
SPLIT = "_split"
"""Which of the splits that are read a sample is of: its number in `Reader.splits`."""

Transform = Callable[[Batch], Batch]

ReadRow = Callable[[str, int, int, memoryview], None]
"""Reads a row straight from a file: (file, first byte, CRC-32 of the row, memory to fill)."""

_NO_SEED = 0
_TILE_ROWS = 8192


@dataclass(slots=True)
class _Filling:
    """A job while its rows are filled in."""

    job: Job
    dense: dict[str, Array]
    valid: dict[str, Mask]
    lists: dict[str, list[object]]
    failures: list[Failure] = field(default_factory=list)
    blocks: list[Array] = field(default_factory=list)
    placements: dict[str, list[Placement | None]] = field(default_factory=dict)
    moved: Ints | None = None


class Assembler:
    """What all jobs of a reader have in common."""

    def __init__(
        self, arena: Arena, *, decoders: Mapping[str, AnyDecoder], options: ReadOptions, transform: Transform | None,
        gives_seeds: bool, read_row: ReadRow, objects: Objects | None = None,
    ) -> None:  # fmt: skip
        self._arena = arena
        self._decoders = decoders
        self._options = options
        self._transform = transform
        self._gives_seeds = gives_seeds
        self._read_row = read_row
        self.columns = arena.shape.columns
        self._objects = objects or Objects()
        self._padded, self._runs = self._objects.padded, self._objects.runs
        self._outputs = outputs_of(self.columns, decoders, self._objects)
        record = record_dtype(self.columns)
        self._blocks = [
            (record.fields[str(block[0])][1] if record.fields else 0, block) for block in blocks_of(self.columns)
        ]

    def assemble(self, job: Job, memory: Octets) -> Made:
        """Make the batches of a job in a piece of memory.

        Raises:
            TransformError: If the caller's function raises.
        """
        started, used = time.perf_counter(), time.thread_time()
        filling = self._begin(job, memory)
        if self._arena.records is not None:
            self._fill_packed(filling, self._arena.records)
        for column in self.columns:
            out = filling.dense.get(column.name)
            if column.is_packed:
                continue
            if column.is_direct:
                self._fill_direct(column, filling)
            elif column.kind == "dense" and out is not None:
                _gather(self._arena.values[column.name], job.index, _flat(out, job.length))
                if column.has_mask:
                    _gather(self._arena.valid[column.name], job.index, _flat(filling.valid[column.name], job.length))
            elif column.kind == "blob":
                self._fill_blobs(column, filling)
        if self._objects.outputs:
            self._settle(filling)
        pad = self._marked(filling)
        if filling.failures and self._options.on_error == "raise":
            return Made([], filling.failures, time.perf_counter() - started)
        objects, dropped = self._counted(filling, pad)
        batches = [self._cut(filling, pad, begin, end) for begin, end in pairwise((0, *job.ends))]
        decoded = time.perf_counter()
        if self._transform is not None:
            batches = [self._transformed(batch, job, at) for at, batch in enumerate(batches)]
        cpu_s = time.thread_time() - used
        transform_s = time.perf_counter() - decoded
        return Made(batches, filling.failures, decoded - started, transform_s, cpu_s, objects, dropped)

    def _begin(self, job: Job, memory: Octets) -> _Filling:
        """Lay the arrays of a job over a piece of memory."""
        parts = output_parts(self._outputs, job.rows, job.length)
        filling = _Filling(job, {}, {}, {})
        lead = (job.rows,) if job.length == 1 else (job.rows, job.length)
        blocks = iter(self._blocks)
        for (name, what, _, _), array in zip(parts, carve(memory, parts), strict=True):
            if what != "block":
                (filling.dense if what == "values" else filling.valid)[name] = array
                continue
            filling.blocks.append(array)
            for at, row in zip(next(blocks)[1], array, strict=True):
                filling.dense[self.columns[at].name] = row.reshape(lead)  # (samples,) or (samples, length)
        for column in self.columns:
            if column.name not in filling.dense or column.name in self._padded:
                filling.lists[column.name] = list(job.others.get(column.name, [None] * (job.rows * job.length)))
        return filling

    def _marked(self, filling: _Filling) -> Mask | None:
        """Blank the rows that could not be read; return which rows are padding, None if none is."""
        pad = filling.job.pad
        if filling.failures and self._options.on_error == "skip":
            pad = np.zeros(filling.job.rows, dtype=bool) if pad is None else pad.copy()
            pad[[failure.row for failure in filling.failures]] = True
        if pad is not None:
            self._blank(filling)
        return pad

    def _fill_packed(self, filling: _Filling, records: Array) -> None:
        """Gather whole records, and deal them out to their columns while they are in the cache."""
        job = filling.job
        tile = np.empty(min(_TILE_ROWS, len(job.index)), dtype=records.dtype)
        singles = [(name, _flat(array, job.length)) for name, array in self._packed_arrays(filling)]
        for begin in range(0, len(job.index), _TILE_ROWS):
            index = job.index[begin : begin + _TILE_ROWS]
            end = begin + len(index)
            some = tile[: len(index)]
            _gather(records, index, some)
            for block, (first, _) in zip(filling.blocks, self._blocks, strict=True):
                width = len(block) * block.itemsize
                # raw: (rows, bytes of the block); block: (columns of the block, samples * length).
                raw = some.view(np.uint8).reshape(len(index), records.itemsize)[:, first : first + width]
                block[:, begin:end] = raw.view(block.dtype).T  # one copy for all: each call takes and gives the GIL
            for name, target in singles:
                target[begin:end] = some[name]

    def _packed_arrays(self, filling: _Filling) -> Iterator[tuple[str, Array]]:
        """Yield (field of the record, where it goes) of what is not copied as a block."""
        in_blocks = {at for _, block in self._blocks for at in block}
        for at, column in enumerate(self.columns):
            if column.is_packed and at not in in_blocks:
                yield str(at), filling.dense[column.name]
            if column.is_packed and column.has_mask:
                yield f"m{at}", filling.valid[column.name]

    def _fill_direct(self, column: ReadColumn, filling: _Filling) -> None:
        job = filling.job
        rows = _flat(filling.dense[column.name], job.length)
        for row, (file, start, crc) in enumerate(job.direct[column.name]):
            if not file:  # of a row group that could not be read
                continue
            try:
                self._read_row(file, start, crc, as_bytes(rows[row]))
            except (PageError, CorruptionError, FileNotFoundError) as error:
                reason = str(error).removesuffix("; copy the file again or publish the dataset again")
                filling.failures.append(Failure(row // job.length, row % job.length, column.name, reason, True))
                if self._options.on_error == "raise":
                    return

    def _fill_blobs(self, column: ReadColumn, filling: _Filling) -> None:
        job, name = filling.job, column.name
        memory = as_bytes(self._arena.blobs[name])
        spans = self._arena.spans[name][job.index].tolist()
        out = None if name in self._padded else filling.dense.get(name)
        target: Any = filling.lists[name] if out is None else _flat(out, job.length)
        decoder, places = self._decoders.get(name), job.index.tolist()
        placements: list[Placement | None] | None = None
        if name in self._objects.pictures:
            placements = filling.placements[name] = [None] * len(spans)
        seeds = None if job.seeds is None else job.seeds.tolist()
        for row, (start, length) in enumerate(spans):
            if places[row] < 0:
                continue
            if length < 0:
                target[row] = None if out is None else 0
                continue
            raw = memory[start : start + length]
            try:
                if decoder is not None:
                    seed = _NO_SEED if seeds is None else seeds[row // job.length]
                    placement = self._decoded(decoder, raw, target, row, seed)
                    if placements is not None:
                        placements[row] = _said(placement, decoder, name)
                elif out is not None:
                    self._picture_into(raw, target[row], column)
                elif name in self._runs:
                    target[row] = read_runs(raw, max_pixels=self._options.max_pixels)
                else:
                    target[row] = decode_blob(raw, column.field, max_pixels=self._options.max_pixels)
            except FormatError:  # of the reader's arguments, not of the value
                raise
            except (DecodeError, ValueError, OSError, SyntaxError) as error:
                filling.failures.append(Failure(row // job.length, row % job.length, name, str(error)))
        if name in filling.valid:
            _flat(filling.valid[name], job.length)[:] = [length >= 0 for _, length in spans]

    def _decoded(
        self, decoder: AnyDecoder, raw: memoryview, target: Any, row: int, seed: int
    ) -> Placement | None:
        if isinstance(target, list):
            varying = cast("VaryingDecoder", decoder)
            target[row], placement = varying.decoded(raw, seed=seed, max_pixels=self._options.max_pixels)
            return placement
        return cast("Decoder", decoder).into(raw, target[row], seed=seed, max_pixels=self._options.max_pixels)

    def _settle(self, filling: _Filling) -> None:
        """Move the objects of all rows with their pictures, and pad them."""
        job = filling.job
        lost = {(failure.row, failure.within) for failure in filling.failures}
        dense = {name: _flat(filling.dense[name], job.length) for name, *_ in self._objects.outputs}
        for array in dense.values():
            array[...] = 0
        moved = filling.moved = np.zeros(len(job.index), dtype=np.int64)
        for row, place in enumerate(job.index.tolist()):
            at = divmod(row, job.length)
            if place < 0 or at in lost:
                continue
            for column, reason in self._objects.settle(row, filling.lists, dense, filling.placements, moved):
                filling.failures.append(Failure(*at, column, reason))

    def _picture_into(self, raw: memoryview, out: Octets, column: ReadColumn) -> None:
        from loaders.decoding.pictures import (  # Pillow and libjpeg load with the first picture
            decode_into,
            picture_size,
        )

        check_size(column.field.shape or (None, None, channels_of(column.field)), picture_size(raw))
        decode_into(raw, out, max_pixels=self._options.max_pixels)

    def _counted(self, filling: _Filling, pad: Mask | None) -> tuple[int, int]:
        """Return how many objects were moved, and dropped, of samples that are delivered."""
        if filling.moved is None:
            return 0, 0
        keep = slice(None) if pad is None else ~pad
        moved = filling.moved.reshape(filling.job.rows, filling.job.length)  # (samples, length)
        dropped = sum(
            int(filling.dense[group.dropped][keep].sum()) for group in self._objects.groups if group.picture is not None
        )
        return int(moved[keep].sum()), dropped

    def _blank(self, filling: _Filling) -> None:
        """Make rows blank that could not be read; filler keeps the rows that it repeats."""
        job = filling.job
        is_lost: Mask = np.any((job.index < 0).reshape(job.rows, job.length), axis=1)  # (samples, length)
        is_lost[[failure.row for failure in filling.failures]] = True
        if not is_lost.any():
            return
        for array in filling.dense.values():
            array[is_lost] = np.zeros((), dtype=array.dtype)
        for name, filler in self._padded.items():
            filling.dense[name][is_lost] = filler
        for valid in filling.valid.values():
            valid[is_lost] = True
        fields = {column.name: column.field for column in self.columns}
        for name, values in filling.lists.items():
            for row in np.flatnonzero(np.repeat(is_lost, job.length)).tolist():
                values[row] = blank(fields[name])

    def _cut(self, filling: _Filling, pad: Mask | None, begin: int, end: int) -> Batch:
        job, options = filling.job, self._options
        batch: Batch = {}
        keep = None
        if options.tail != "pad" and pad is not None and pad[begin:end].any():
            keep = ~pad[begin:end]
        for column in self.columns:
            name = column.name
            if name not in filling.dense:
                batch[name] = _listed(filling.lists[name], job.length, begin, end, keep)
                continue
            values = filling.dense[name][begin:end]
            values = values if keep is None else values[keep]
            if name in filling.valid:
                valid = filling.valid[name][begin:end]
                valid = valid if keep is None else valid[keep]
                # (samples, length or none, 1 for each axis of a value)
                mask = ~valid.reshape(*valid.shape, *[1] * (values.ndim - valid.ndim))
                if mask.shape != values.shape:  # a view that cannot be written to, instead of a byte for each pixel
                    mask = np.broadcast_to(mask, values.shape)
                values = np.ma.MaskedArray(values, mask=mask)
            batch[name] = values
        for name in self._objects.added:
            counts = filling.dense[name][begin:end]
            batch[name] = counts if keep is None else counts[keep]
        if self._gives_seeds and job.seeds is not None:
            seeds = job.seeds[begin:end]
            batch[SAMPLE_SEED] = seeds if keep is None else seeds[keep]
        if job.splits is not None:
            splits = job.splits[begin:end].copy()
            batch[SPLIT] = splits if keep is None else splits[keep]
        if options.tail == "pad":
            batch[IS_PAD] = np.zeros(end - begin, dtype=bool) if pad is None else pad[begin:end].copy()
        return batch

    def _transformed(self, batch: Batch, job: Job, at: int) -> Batch:
        assert self._transform is not None
        try:
            result: object = self._transform(batch)
        except (Exception, SystemExit) as error:  # a thread of ours is no place to end the program from
            raise TransformError(
                f"the transform raised {type(error).__name__} on batch {job.step + at} of epoch {job.epoch}: {error}"
            ) from error
        if not isinstance(result, dict):
            raise FormatError(f"a transform returns the batch, a dict; found {type(result).__name__}")
        return result


def _said(placement: Placement | None, decoder: AnyDecoder, column: str) -> Placement:
    if placement is None:
        raise FormatError(
            f"the decoder of {column!r}, {type(decoder).__name__}, does not say where it puts the picture, and columns "
            "that lie in it are read: return a Placement, or leave these columns out"
        )
    return placement


def _gather(source: Array, index: Ints, out: Array) -> None:
    # "clip" writes straight into `out`; "raise", the default, would go through a copy. Places were checked before.
    np.take(source, index, axis=0, out=out, mode="clip")


def _flat(array: Array, length: int) -> Array:
    """Join the axes of samples and of their rows: (samples, length, ...) to (samples * length, ...)."""
    return array if length == 1 else array.reshape(-1, *array.shape[2:])


def _listed(values: list[object], length: int, begin: int, end: int, keep: Mask | None) -> list[object]:
    found: list[object] = values[begin:end] if length == 1 else [
        values[row * length : (row + 1) * length] for row in range(begin, end)
    ]  # fmt: skip
    return found if keep is None else [value for value, ok in zip(found, keep, strict=True) if ok]
