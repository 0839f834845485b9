"""The making of batches: plans goes in the order of ORDER.md, reads what they need, has workers assemble them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from loaders.axes import Array, Ints, Mask
from loaders.decoding.arrow import indices
from loaders.decoding.decoders import AnyDecoder
from loaders.decoding.values import Batch, python_values
from loaders.engine.batches import Assembler, Transform
from loaders.engine.jobs import Failure, Job, Made
from loaders.engine.objects import Objects
from loaders.engine.processes import Remote, WorkerSpec
from loaders.engine.samples import PerSample
from loaders.engine.sizing import Sizes
from loaders.engine.slots import Slots, anonymous
from loaders.engine.stats import Stats
from loaders.engine.tuning import choose
from loaders.errors import CorruptionError, DecodeError, PlacedError
from loaders.options import ReadOptions, Shard, usable_cores
from loaders.ordering.epochs import Epochs, EpochSamples
from loaders.ordering.order import EpochOrder, sample_seeds
from loaders.ordering.schedule import RankRows, Stretch
from loaders.ordering.selection import Selection
from loaders.ordering.state import State
from loaders.reading.arena import make_arena
from loaders.reading.layout import ReadColumn
from loaders.reading.loading import GroupLoader, direct_pages
from loaders.reading.pages import row_reader
from loaders.reading.residents import Hold, Residents
from loaders.reading.source import SplitFiles
from loaders.workers.shared import Shared
from loaders.workers.threads import Inline, Pool, result_or_closed

_log = logging.getLogger(__name__)

_MOST_THREADS = 64


@dataclass(frozen=True, slots=True)
class Delivery:
    """One batch, the samples that were left out of it, and how many it was made of, padding included."""

    batch: Batch
    skipped: tuple[PlacedError, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class JoinedSplits:
    """Several splits that are read as one: their names, and int64 (row groups,): which of them each row group is of."""

    names: tuple[str, ...]
    by_group: Ints


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader reads, and how; the same for all its epochs.

    Attributes:
        split: Where the rows lie.
        selection: Which of them.
        epochs: Which of those an epoch has.
        columns: How each column is held.
        decoders: {column: what its values go through}.
        options: How to read.
        transform: The caller's function.
        shard: Which rank this is.
        objects: What becomes of objects that lie in pictures.
        joined: The splits, where several are read and batches say which one a sample is of.
    """

    split: SplitFiles
    selection: Selection
    epochs: Epochs
    columns: tuple[ReadColumn, ...]
    decoders: Mapping[str, AnyDecoder]
    options: ReadOptions
    transform: Transform | None
    shard: Shard
    objects: Objects = field(default_factory=Objects)
    joined: JoinedSplits | None = None

    @property
    def gives_seeds(self) -> bool:
        """Whether batches carry the seeds of their samples: on request, and for a transform of samples."""
        return self.options.sample_seeds or isinstance(self.transform, PerSample)


class Engine:
    """Makes the batches of one rank, from one position on. Not for several threads at once."""

    def __init__(self, reading: Reading, state: State, sizes: Sizes, stats: Stats) -> None:
        self.reading, self._state, self._sizes, self._stats = reading, state, sizes, stats
        options = reading.options
        is_inline = options.pool == "inline"
        self._epoch: _Epoch | None = None
        self._ahead: dict[tuple[int, int, int], Hold] = {}
        self._broken: dict[int, CorruptionError] = {}
        self._direct: dict[tuple[int, str], Array | None] = {}
        memory = Shared(max(1, sizes.arena.bytes)) if options.pool == "processes" else None
        self._arena = make_arena(sizes.arena, anonymous if memory is None else lambda _: memory.array)
        self._loader = GroupLoader(reading.split, self._arena)
        self.reading_pool: Pool | Inline = Inline() if is_inline else Pool(options.read_threads, "petrel-read")
        threads = options.threads if memory is None else sizes.chunks  # with processes, threads wait for them
        self.decoding_pool: Pool | Inline = Inline() if is_inline else Pool(threads, "petrel-decode")
        self._residents = Residents(
            len(reading.split.rows_by_group), sizes.arena.slots, rows=sizes.arena.rows, load=self._load,
            submit=self._submit_load,
        )  # fmt: skip
        self._most_threads = usable_cores(_MOST_THREADS)
        self._is_held = any(not column.is_direct for column in reading.columns)
        self._remote: Remote | None = None
        self._assemble: Callable[[Job], Made]
        if memory is not None:
            self._remote = self._start_processes(memory)
            self._assemble = self._remote.assemble
            memory.close()
            return
        slots = Slots(sizes.output_bytes, keep=sizes.chunks + 2, allocate=options.allocate or anonymous)
        assembler = Assembler(
            self._arena, decoders=reading.decoders, options=options, transform=reading.transform,
            gives_seeds=reading.gives_seeds, read_row=row_reader(reading.split.files),
            objects=reading.objects,
        )  # fmt: skip
        self._assemble = lambda job: assembler.assemble(job, np.asarray(slots.take()))

    def _start_processes(self, memory: Shared) -> Remote:
        reading, sizes = self.reading, self._sizes
        spec = WorkerSpec(
            sizes.arena, reading.decoders, reading.options, reading.transform, reading.gives_seeds,
            reading.split.folder, sizes.output_bytes, sizes.room_bytes, reading.objects,
        )  # fmt: skip
        return Remote(spec, arena=memory, chunks=sizes.chunks)

    def submit(self, epoch: int, first: int, last: int) -> Future[list[Delivery]]:
        """Have the batches [first, last) of an epoch made."""
        within = self._within(epoch)
        hold = None
        if self._is_held and not self._residents.has_everything:
            hold = self._residents.hold(within.samples.groups[sorted(within.rows.needs(first, last))].tolist())
            self._read_ahead(within, last)
        what = f"making batch {first} of epoch {epoch}" if last == first + 1 else (
            f"making batches {first} to {last - 1} of epoch {epoch}"
        )  # fmt: skip
        future = self.decoding_pool.submit(what, self._make, within, first, last, hold)
        if hold is not None:
            future.add_done_callback(lambda _: hold.release())  # whether it was done, failed, or never ran
        return future

    def activity(self) -> list[str]:
        """Return what each busy thread is doing."""
        workers = self.decoding_pool if self._remote is None else self._remote
        return self.reading_pool.activity() + workers.activity()

    def tune(self) -> None:
        """Go on with another number of threads if what was seen so far speaks for it; says why in the statistics."""
        if not isinstance(self.decoding_pool, Pool) or self._remote is not None:
            return
        seen = self._stats.since_last(self._most_threads)
        workers, why = choose(seen)
        self._most_threads = workers if workers < seen.workers else seen.most
        if why != self._stats.note:
            _log.info("%s: %s", self.reading.split.folder, why)
        if workers != seen.workers:
            self.decoding_pool.resize(workers)
        self._stats.workers, self._stats.note = workers, why

    def close(self, *, patience_s: float = 1.0) -> None:
        """End the threads and processes."""
        if self._remote is not None:
            self._remote.close(patience_s=max(patience_s, 2.0))
        self.decoding_pool.close(patience_s=patience_s)
        self.reading_pool.close(patience_s=patience_s)

    def _make(self, within: _Epoch, first: int, last: int, hold: Hold | None) -> list[Delivery]:
        for loaded in hold.loaded if hold is not None else ():
            result_or_closed(loaded, self.decoding_pool.closed)  # first of all: the manifest only claims what is there
        stretch = within.rows.stretch(first, last, fill=self.reading.options.tail == "pad")
        plan = self._plan(within, first, stretch)
        made = self._assemble(plan.job)
        self._stats.add(decode_s=made.decode_s, transform_s=made.transform_s, cpu_s=made.cpu_s)
        if self.reading.objects.groups:
            self._stats.add(objects=made.objects, objects_dropped=made.objects_dropped)
        return self._deliveries(plan, made)

    def _plan(self, within: _Epoch, step: int, stretch: Stretch) -> _Plan:
        """Turn samples into rows of the arena; call it once their row groups are there."""
        reading = self.reading
        groups = within.samples.groups[stretch.groups]  # (samples,)
        rows = within.samples.rows(groups, stretch.samples)  # (samples, length)
        length = reading.selection.length
        index = (self._residents.base[groups][:, None] + rows).reshape(-1)  # (samples * length,)
        flat_groups = groups if length == 1 else np.repeat(groups, length)  # (samples * length,)
        flat_rows = rows.reshape(-1)  # (samples * length,)
        direct = {  # before the next lines: it may find row groups broken
            column.name: self._places(column, flat_groups, flat_rows) for column in reading.columns if column.is_direct
        }
        pad, broken = stretch.filler, None
        if self._broken:
            broken = np.isin(groups, list(self._broken))  # (samples,)
            index[np.repeat(broken, length)] = -1
            pad = broken if pad is None else pad | broken
        seeds = None
        if reading.decoders or reading.gives_seeds:
            numbers = within.samples.seed_numbers(groups, stretch.samples, rows)
            seeds = sample_seeds(self._state.fingerprint, self._state.seed, within.number, numbers)
        texts = [column for column in reading.columns if column.kind == "other"]
        others = {column.name: self._values(column, flat_groups, index) for column in texts}
        splits = None if reading.joined is None else reading.joined.by_group[groups]
        job = Job(within.number, step, stretch.ends, index, length, pad, seeds, direct, others, splits)
        return _Plan(job, groups, rows, stretch.filler, broken)

    def _deliveries(self, plan: _Plan, made: Made) -> list[Delivery]:
        ends = plan.job.ends
        skipped: list[list[PlacedError]] = [[] for _ in ends]
        known = set() if plan.broken is None else set(np.flatnonzero(plan.broken).tolist())
        for failure in made.failures:
            error = self._failed(plan, failure)
            if self.reading.options.on_error == "raise":
                raise error
            if failure.row not in known and (plan.filler is None or not plan.filler[failure.row]):
                skipped[int(np.searchsorted(ends, failure.row, side="right"))].append(error)
            known.add(failure.row)  # a sample counts once, whatever is wrong with it
        if plan.broken is not None:
            lost = plan.broken if plan.filler is None else plan.broken & ~plan.filler
            for row in np.flatnonzero(lost).tolist():
                skipped[int(np.searchsorted(ends, row, side="right"))].append(self._broken[int(plan.groups[row])])
        rows = [end - begin for begin, end in pairwise((0, *ends))]
        return [
            Delivery(batch, tuple(errors), count)
            for batch, errors, count in zip(made.batches, skipped, rows, strict=True)
        ]

    def _failed(self, plan: _Plan, failure: Failure) -> PlacedError:
        split, group = self.reading.split, int(plan.groups[failure.row])
        place = split.locate(int(split.starts[group]) + int(plan.rows[failure.row, failure.within]))
        kind, remedy = (
            (CorruptionError, "copy the file again or publish the dataset again") if failure.is_damage else
            (DecodeError, "leave the sample out of the dataset, or read with on_error='skip'")
        )  # fmt: skip
        return kind(
            f"{place.file}: row group {place.row_group}, row {place.row}, column {failure.column}: {failure.reason}; "
            f"{remedy}",
            file=place.file,
            row_group=place.row_group,
            row=place.row,
            column=failure.column,
        )

    def _within(self, epoch: int) -> _Epoch:
        if self._epoch is None or self._epoch.number != epoch:
            state, shard = self._state, self.reading.shard
            samples = self.reading.epochs.epoch(state.seed, epoch)
            order = EpochOrder(
                samples.counts, state.fingerprint, state.seed, epoch, state.lanes, state.window, samples.strata
            )
            each = state.lanes // shard.world
            lanes = range(shard.rank * each, (shard.rank + 1) * each)
            rows = RankRows(
                order, lanes=lanes, rows_per_lane=state.global_batch // state.lanes,
                margin=(self._sizes.chunks + 1) * self._sizes.steps,
            )  # fmt: skip
            self._epoch = _Epoch(epoch, samples, rows)
        return self._epoch

    def _read_ahead(self, within: _Epoch, step: int) -> None:
        """Hold the windows that the next batch needs, and let go of those that it does not."""
        wanted = {(within.number, *name): needs for name, needs in within.rows.ahead(step)}
        for name, needs in wanted.items():
            if name not in self._ahead:
                self._ahead[name] = self._residents.hold(within.samples.groups[list(needs)].tolist())
        for name in [name for name in self._ahead if name not in wanted]:
            self._ahead.pop(name).release()

    def _submit_load(self, group: int, function: Callable[[], None]) -> object:
        return self.reading_pool.submit(f"reading {self.reading.split.group_name(group)}", function)

    def _load(self, group: int, slot: int) -> None:
        started = time.perf_counter()
        try:
            self._loader.load(group, slot)
        except CorruptionError as error:
            if self.reading.options.on_error != "skip":
                raise
            self._broken[group] = error
        self._stats.add(read_s=time.perf_counter() - started, read_bytes=self.reading.split.bytes_by_group[group])

    def _places(self, column: ReadColumn, groups: Ints, rows: Ints) -> list[tuple[str, int, int]]:
        """Return where each row of a direct column lies."""
        split = self.reading.split
        found = []
        for group, row in zip(groups.tolist(), rows.tolist(), strict=True):
            key = (group, column.name)
            if key not in self._direct:
                self._direct[key] = self._pages(group, column)
            pages = self._direct[key]
            found.append(("", 0, 0) if pages is None else (split.file(group), int(pages[row, 0]), int(pages[row, 1])))
        return found

    def _pages(self, group: int, column: ReadColumn) -> Array | None:
        split = self.reading.split
        try:
            pages = direct_pages(split, group, column)
            if pages is None:
                raise split.corrupt(group, "its values share pages, those of other row groups do not", column.name)
        except CorruptionError as error:
            if self.reading.options.on_error != "skip":
                raise
            self._broken[group] = error
            return None
        return pages

    def _values(self, column: ReadColumn, groups: Ints, index: Ints) -> list[object]:
        """Return the values of a text, list or map column."""
        found: list[object] = [None] * len(index)
        order = np.argsort(groups, kind="stable")
        bounds = np.flatnonzero(np.diff(groups[order], prepend=-1, append=-1))
        height = self._arena.rows
        for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            places = order[begin:end]
            first = int(index[places[0]])
            if first < 0:
                continue
            stored = self._arena.others[first // height][column.name]
            values = python_values(stored.take(indices(index[places] % height)), column.field)
            for place, value in zip(places.tolist(), values, strict=True):
                found[place] = value
        return found


@dataclass(frozen=True, slots=True)
class _Epoch:
    """An epoch under way: its number, its samples, and those of this rank."""

    number: int
    samples: EpochSamples
    rows: RankRows


@dataclass(frozen=True, slots=True)
class _Plan:
    """A job, and what its failures are named by: row group and rows of each sample, filler, broken row groups."""

    job: Job
    groups: Ints  # (samples,)
    rows: Ints  # (samples, length)
    filler: Mask | None  # (samples,)
    broken: Mask | None  # (samples,)
