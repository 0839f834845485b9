"""`make_reader`: batches of a published split, in an order that can be repeated and continued anywhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from loaders.agreement import check_agreement
from loaders.decoding.decoders import AnyDecoder
from loaders.decoding.values import Batch
from loaders.engine.batches import IS_PAD
from loaders.engine.engine import Delivery, Engine, Reading
from loaders.engine.opening import open_reading
from loaders.engine.sizing import Sizes, sizes_of
from loaders.engine.stats import ReaderStats, Stats
from loaders.errors import (
    CorruptionError,
    DeadlineError,
    DecodeError,
    FormatError,
    PlacedError,
    StateMismatchError,
    TransformError,
)
from loaders.format.fields import Field
from loaders.options import ReadOptions, Shard, Shuffle
from loaders.ordering.order import CONTRACT, check_shape, default_lanes
from loaders.ordering.sequences import Sequence as SampleSequence
from loaders.ordering.state import State, check_same_run, parse_state
from loaders.ordering.weights import DRAWS_CONTRACT, Weights
from loaders.workers.shell import ReaderShell
from loaders.workers.threads import wait_done, within

_WINDOW_BUDGET_BYTES = 512 << 20
"""512 MiB: what the open windows of all ranks together may hold when the number of lanes is chosen for you."""

_MOST_LANES = 32
_TUNE_EVERY_S = 5.0

_OF_ONE_BATCH = (CorruptionError, DecodeError, FormatError, TransformError)
"""Errors that belong to one batch of those that are made together; time that ran out belongs to all of them."""


def make_reader(
    path_or_url: str | Path,
    *,
    batch_size: int,
    columns: Sequence[str] | None = None,
    transform: Callable[[Batch], Batch] | None = None,
    decoders: Mapping[str, AnyDecoder] | None = None,
    shuffle: Shuffle | None = None,
    shard: Shard | None = None,
    epochs: int | None = 1,
    splits: Sequence[str] | None = None,
    filter: object = None,
    sequence: SampleSequence | None = None,
    weights: str | Weights | None = None,
    options: ReadOptions | None = None,
) -> Reader:
    """Read a published split as batches.

    Args:
        path_or_url: One split of a dataset, `datasets/<name>/<version id>/train`, here or in an object store; with
            `splits` the folder of the version.
        batch_size: Samples of each batch of this rank.
        columns: Names of the columns to read, None for all.
        transform: Called with each batch where it is made, several at once; returns the batch to deliver.
            `per_sample(function)` calls a function with each sample.
        decoders: {column of encoded pictures: what becomes of each}, e.g. `RandomResizedCrop(224)`; the column then
            comes as one array; of `ResizeShorter`, as a list. Columns with geometry are moved with it.
        shuffle: How to shuffle; None reads in stored order (with several ranks: each its stretch of it).
        shard: Which of several ranks this is; None reads everything.
        epochs: Epochs in one pass of `for batch in reader`; the next pass goes on with the following epoch. None
            never ends.
        splits: Read several splits of a version as one, e.g. ["train", "val"]. `batch["_split"]`, int64 (N,), is then
            the number of the split of each sample, in `Reader.splits`.
        filter: Read only the rows that match, e.g. `[("width", ">=", 640), ("label", "in", ["cat", "dog"])]`; see
            `loaders.ordering.filters`. Settled when the reader opens; row groups whose statistics exclude it are not
            read.
        sequence: Several rows make a sample, e.g. `Sequence(length=5, by="clip", order="frame")`; each column then has
            an axis for them after that of the batch.
        weights: Draw samples with replacement, each as often as its weight says, instead of each once in an epoch:
            the name of a column of numbers, or `Weights(column, draws=...)`. Needs a shuffle.
        options: How to read; changes no order.

    Returns:
        A reader; use it in `with`, or call `close()`.

    Raises:
        FormatError: If the folder is no published split, or arguments do not fit each other.
        CorruptionError: If a file of the split is missing or cut.
        DeadlineError: If the folder does not open in time.
    """
    options, shard = options or ReadOptions(), shard or Shard()

    def opened() -> Reading:
        return open_reading(
            path_or_url, columns=columns, decoders=decoders or {}, splits=splits, filter=filter, sequence=sequence,
            weights=weights, options=options, transform=transform, shard=shard,
        )  # fmt: skip

    reading = within(options.deadline_s, f"opening {path_or_url}", opened)
    try:
        return Reader(reading, batch_size, shuffle, epochs)
    except BaseException:
        reading.split.close()
        raise


@dataclass(frozen=True, slots=True)
class _Going:
    """The batches [first, last) of an epoch, in the making."""

    epoch: int
    first: int
    last: int
    future: Future[list[Delivery]]


class Reader(ReaderShell[Batch]):
    """An iterator of batches: dicts of arrays, in the order of ORDER.md. Make one with `make_reader`.

    One pass gives `epochs` epochs; iterating again gives the next ones, and after a `break` the rest. Batches may be
    kept: memory is used again only when nobody holds an array over it.
    """

    _CLOSED = "this reader is closed; make a new one"
    _IF_FORKED = ", or wrap it in DataLoader(tensors(reader), batch_size=None, num_workers=0)"
    _INSTEAD_OF_SENDING = (
        "iterate it directly, or wrap it in DataLoader(tensors(reader), batch_size=None, num_workers=0)"
    )

    def __init__(self, reading: Reading, batch_size: int, shuffle: Shuffle | None, epochs: int | None) -> None:
        _check_arguments(reading, batch_size, shuffle, epochs)
        self._reading, self._options, self._shard = reading, reading.options, reading.shard
        self._shuffle, self._epochs = shuffle, epochs
        self._start = self._fresh_state(batch_size)
        check_shape(lanes=self._start.lanes, world=self._shard.world, global_batch=self._start.global_batch)
        if not self.rows:
            raise FormatError(f"{reading.split.folder} holds no rows")
        if not self.steps_per_epoch:
            raise FormatError(f"{self.rows} rows give no whole batch of {self._start.global_batch}; use tail='pad'")
        self._stats = Stats(workers=1 if self._options.pool == "inline" else self._options.threads)
        self._left_at: float | None = None
        self._tune_at = time.perf_counter() + _TUNE_EVERY_S
        self._skipped: list[PlacedError] = []
        self._skipped_in = 0
        self._has_agreed = self._shard.exchange is None
        self._engine: Engine | None = None
        self._queue: deque[_Going] = deque()
        self._taken = 0
        self._epoch = self._step = 0
        self._set_position(0, 0)
        super().__init__(reading.split.close)

    def __next__(self) -> Batch:
        """Return the next batch.

        Raises:
            StopIteration: At the end of a pass.
            DeadlineError: If the batch did not come in time; calling again waits for the same batch.
            CorruptionError, DecodeError, TransformError, StorageError, WorkerDiedError: What went wrong with this
                batch; calling again makes it again.
            RankMismatchError: If the ranks are about to read different things.
        """
        with self._lock:
            self._check_usable()
            if self._step == self.steps_per_epoch:
                self._set_position(self._epoch + 1, 0)
                raise StopIteration
            self._agree()
            called = time.perf_counter()
            try:
                delivery = self._next_delivery()
            except Exception:
                if self._is_closed:  # meanwhile, by another thread: whatever broke, broke of that
                    self._drop_engine()
                    self._check_usable()
                raise
            now = time.perf_counter()
            worked = 0.0 if self._left_at is None else called - self._left_at
            self._stats.delivered(delivery.rows, waited_s=now - called, consumer_s=worked)
            self._step += 1
            if self._step == self.steps_per_epoch and not self._is_last_epoch(self._epoch):
                self._epoch, self._step = self._epoch + 1, 0
            self._left_at = now
            if now > self._tune_at and self._options.workers is None and self._engine is not None:
                self._tune_at = now + _TUNE_EVERY_S
                self._engine.tune()
            return delivery.batch

    def __len__(self) -> int:
        """Return the number of batches in one whole pass."""
        if self._epochs is None:
            raise TypeError("a reader with epochs=None has no length; see steps_per_epoch")
        return self.steps_per_epoch * self._epochs

    def close(self) -> None:
        """End the workers. A thread that hangs in the file system is left to itself and holds up nothing."""
        self._is_closed = True
        self._drop_engine()
        self._end()

    def state_dict(self) -> dict[str, object]:
        """Return the position after the last batch that was received: JSON, under 1 KB, equal on all ranks."""
        with self._lock:
            return replace(self._start, epoch=self._epoch, step=self._step).to_dict()

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where a reader of the same data was, on any rank and any number of ranks that fits its lanes.

        Raises:
            StateMismatchError: If the state is of other data, another seed, window, global batch or tail.
        """
        saved = parse_state(state)
        with self._lock:
            self._check_usable()
            ours = self._start
            if self._shuffle is None or self._shuffle.lanes is None:
                ours = replace(ours, lanes=saved.lanes)
            check_same_run(saved, ours)
            try:
                check_shape(lanes=ours.lanes, world=self._shard.world, global_batch=ours.global_batch)
            except FormatError as error:
                raise StateMismatchError(f"reader state: {error}") from error
            if saved.step > self.steps_per_epoch:
                raise StateMismatchError(
                    f"reader state: step {saved.step}, but an epoch has {self.steps_per_epoch} steps"
                )
            if ours != self._start:
                self._start = ours
                self._drop_engine()
            self._has_agreed = self._shard.exchange is None
            is_between = saved.step == self.steps_per_epoch and not self._is_last_epoch(saved.epoch)
            self._set_position(saved.epoch + 1, 0) if is_between else self._set_position(saved.epoch, saved.step)

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch, as `DistributedSampler.set_epoch` does; at its beginning: do nothing.

        Raises:
            FormatError: If it is not a number from 0 on.
        """
        if type(epoch) is not int or epoch < 0:
            raise FormatError(f"an epoch is counted from 0, found {epoch!r}")
        with self._lock:
            self._check_usable()
            if (self._epoch, self._step) != (epoch, 0):
                self._set_position(epoch, 0)

    def stats(self) -> ReaderStats:
        """Return where the time went so far; as text, one line."""
        return self._stats.snapshot()

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns that are read."""
        return self._reading.split.fields

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: label k of `label_index` is classes[k], whichever columns are read; () without labels.

        They are in the order of the label set, with a place for labels that no sample has. Other columns of class
        numbers have theirs in `fields`.
        """
        return self._reading.split.manifest.classes

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that are read; `_split` counts in them where `splits` were given."""
        joined = self._reading.joined
        return (self._reading.split.manifest.split,) if joined is None else joined.names

    @property
    def epoch(self) -> int:
        """Epoch of the next batch, counted from 0."""
        return self._epoch

    @property
    def step(self) -> int:
        """Batches of this epoch that were received."""
        return self._step

    @property
    def rows(self) -> int:
        """Samples of an epoch, of all ranks: rows of the split that the filter leaves, or sequences, or draws."""
        return self._reading.epochs.samples

    @property
    def sample_rows(self) -> int:
        """Rows in one sample: 1, or the length of the sequences."""
        return self._reading.selection.length

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the same on all ranks."""
        whole, rest = divmod(self.rows, self._start.global_batch)
        return whole + (1 if rest and self._options.tail != "drop" else 0)

    @property
    def dropped_rows(self) -> int:
        """Samples of each epoch that no rank delivers, 0 unless tail='drop'."""
        return self.rows % self._start.global_batch if self._options.tail == "drop" else 0

    @property
    def skipped(self) -> tuple[PlacedError, ...]:
        """Why samples were left out of the epoch of the last batch, one error for each, in order of delivery."""
        return tuple(self._skipped)

    @property
    def memory_bound_bytes(self) -> int:
        """What this reader holds at most, beside the interpreter: see ORDER.md, "Memory"."""
        return self._sizes().total

    def _fresh_state(self, batch_size: int) -> State:
        shuffle, world = self._shuffle, self._shard.world
        total, window = batch_size * world, shuffle.window if shuffle else 1
        lanes = shuffle.lanes if shuffle else world
        if lanes is None:
            lanes = default_lanes(world=world, global_batch=total, limit=self._fitting_lanes(window))
        seed = shuffle.seed if shuffle else None
        contract = self._reading.epochs.contract if shuffle else CONTRACT
        return State(
            self._reading.epochs.fingerprint, seed, 0, 0, lanes, window, total, self._options.tail, contract
        )  # fmt: skip

    def _fitting_lanes(self, window: int) -> int:
        """Return the most lanes whose open windows fit the budget, at most 32; 0 if not even one does."""
        reading = self._reading
        if not reading.epochs.fewest:
            return _MOST_LANES
        largest = max((1, *reading.split.bytes_by_group))
        fits = (
            lanes
            for lanes in range(_MOST_LANES, 0, -1)
            if reading.epochs.open_groups(lanes=lanes, window=window, deep=2) * largest <= _WINDOW_BUDGET_BYTES
        )
        return next(fits, 0)

    def _sizes(self) -> Sizes:
        reading = self._reading
        return sizes_of(
            reading.split, reading.columns, reading.epochs, reading.selection.length, self._start, self._shard.world,
            self._options, reading.decoders, has_transform=reading.transform is not None, objects=reading.objects,
        )  # fmt: skip

    def _set_position(self, epoch: int, step: int) -> None:
        self._epoch, self._step = epoch, step
        self._planned = (epoch, step)
        self._taken = 0
        self._left_at = None
        for going in self._queue:
            going.future.cancel()
        self._queue.clear()

    def _drop_engine(self) -> None:
        engine, self._engine = self._engine, None
        for going in self._queue:
            going.future.cancel()
        self._queue.clear()
        self._planned, self._taken = (self._epoch, self._step), 0
        if engine is not None:
            engine.close()

    def _next_delivery(self) -> Delivery:
        """Return the next batch and keep the workers busy with those after it."""
        if not self._queue:
            self._planned = (self._epoch, self._step)
        elif (self._queue[0].epoch, self._queue[0].first + self._taken) != (self._epoch, self._step):
            self._set_position(self._epoch, self._step)  # Ctrl-C in the middle of the last call: its batch is due
        self._look_ahead()
        until = time.monotonic() + self._options.deadline_s
        future = self._wait(until)
        if isinstance(future.exception(), _OF_ONE_BATCH) and self._queue[0].last - self._queue[0].first > 1:
            self._split_first()
            future = self._wait(until)
        if future.exception() is not None:
            self._set_position(self._epoch, self._step)  # the next call makes the batch again
        deliveries = future.result()
        delivery = deliveries[self._taken]
        if self._skipped_in != self._epoch:
            self._skipped_in, self._skipped = self._epoch, []
        if len(self._skipped) + len(delivery.skipped) > self._options.skip_limit:
            raise delivery.skipped[0]
        self._skipped += delivery.skipped
        self._taken += 1
        if self._taken == len(deliveries):
            self._queue.popleft()
            self._taken = 0
            if self._options.pool != "inline":
                self._look_ahead()
        return delivery

    def _wait(self, until: float) -> Future[list[Delivery]]:
        """Wait until the first of the batches in the making are made, or have failed."""
        future = self._queue[0].future
        if not future.done() and not wait_done(future, max(0.0, until - time.monotonic())):
            raise self._too_late()
        self._check_usable()  # another thread may have closed it meanwhile
        return future

    def _split_first(self) -> None:
        """Make the first batches again, one by one: those before the one that failed are delivered."""
        assert self._engine is not None
        failed = self._queue.popleft()
        steps = range(failed.first, failed.last)
        self._queue.extendleft([self._submit(failed.epoch, step, step + 1) for step in steps][::-1])

    def _submit(self, epoch: int, first: int, last: int) -> _Going:
        assert self._engine is not None
        return _Going(epoch, first, last, self._engine.submit(epoch, first, last))

    def _look_ahead(self) -> None:
        """Have enough batches in the making, in order, not past the end of the pass."""
        if self._engine is None:
            sizes = self._sizes()
            self._engine = Engine(self._reading, self._start, sizes, self._stats)
            self._steps, self._chunks = sizes.steps, sizes.chunks
            self._end_with(self._engine)
        while len(self._queue) < self._chunks:
            epoch, step = self._planned
            if step == self.steps_per_epoch:
                if self._is_last_epoch(epoch):
                    return
                epoch, step = epoch + 1, 0
            last = min(step + self._steps, self.steps_per_epoch)
            self._queue.append(self._submit(epoch, step, last))
            self._planned = (epoch, last)

    def _agree(self) -> None:
        if self._has_agreed or self._shard.exchange is None:
            return
        state = {**self.state_dict(), "columns": [field.name for field in self.fields]}
        check_agreement(
            state, rank=self._shard.rank, world=self._shard.world, exchange=self._shard.exchange,
            deadline_s=self._options.deadline_s,
        )  # fmt: skip
        self._has_agreed = True

    def _is_last_epoch(self, epoch: int) -> bool:
        return self._epochs is not None and (epoch + 1) % self._epochs == 0

    def _too_late(self) -> DeadlineError:
        doing = "; ".join(self._engine.activity() if self._engine else []) or "nothing"
        return DeadlineError(
            f"batch {self._step} of epoch {self._epoch} did not come within {self._options.deadline_s:g} s; "
            f"the workers of the reader are doing: {doing}"
        )


def _check_arguments(reading: Reading, batch_size: int, shuffle: Shuffle | None, epochs: int | None) -> None:
    options, shard = reading.options, reading.shard
    if type(batch_size) is not int or batch_size < 1:
        raise FormatError(f"batch_size must be a positive integer, found {batch_size!r}")
    if epochs is not None and (type(epochs) is not int or epochs < 1):
        raise FormatError(f"epochs must be a positive integer or None, found {epochs!r}")
    if shuffle is not None and not isinstance(shuffle, Shuffle):
        raise FormatError(f"shuffle must be Shuffle(seed=...) or None, found {shuffle!r}")
    if options.tail == "ragged" and shard.world > 1:
        raise FormatError("tail='ragged' is for one rank: ranks would take different numbers of steps; use pad")
    if options.tail == "pad" and IS_PAD in {field.name for field in reading.split.fields}:
        raise FormatError(f"a column is named {IS_PAD}, like the mask of padding; read with tail='drop'")
    if reading.epochs.contract == DRAWS_CONTRACT and shuffle is None:
        raise FormatError("weights need a shuffle: draws come from its seed; give shuffle=Shuffle(seed=...)")
    if options.sample_seeds and shuffle is None:
        raise FormatError("sample_seeds needs a shuffle: its seed is what they come from")
