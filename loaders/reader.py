"""`make_reader`: batches of a published split, in an order that can be repeated and continued anywhere."""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from loaders.batches import IS_PAD, BatchMaker, Made
from loaders.decode import Batch, dense_dtype, dense_shape
from loaders.errors import DeadlineError, FormatError, PlacedError, StateMismatchError
from loaders.fields import Field
from loaders.options import ReadOptions, Shard, Shuffle
from loaders.order import EpochOrder, Window, check_shape, default_lanes
from loaders.source import Split
from loaders.state import State, check_same_run, parse_state
from loaders.threads import Pool, wait_done, within
from loaders.windows import EpochRows, Rows, load_window

_WINDOW_BUDGET_BYTES = 512 << 20
"""512 MiB: what the open windows of all ranks together may hold when the number of lanes is chosen for you."""

_MOST_LANES = 32

_OVERHEAD_BYTES = 64 << 20
"""Decoders, thread stacks and what allocators keep: 60 MiB measured with 2,000 photos of 341 x 256."""


def make_reader(
    folder: str | Path,
    *,
    batch_size: int,
    columns: Sequence[str] | None = None,
    shuffle: Shuffle | None = None,
    shard: Shard | None = None,
    num_epochs: int | None = 1,
    transform: Callable[[Batch], Batch] | None = None,
    options: ReadOptions | None = None,
) -> Reader:
    """Read a published split as batches.

    Args:
        folder: One split of a dataset, `datasets/<name>/<version id>/train`.
        batch_size: Rows of each batch of this rank.
        columns: Names of the columns to read, None for all.
        shuffle: How to shuffle; None reads in stored order (with several ranks: each its stretch of it).
        shard: Which of several ranks this is; None reads everything.
        num_epochs: Epochs in one pass of `for batch in reader`; the next pass goes on with the following epoch.
            None never ends.
        transform: Called with each batch in a decoding thread, several at once; returns the batch to deliver.
        options: How to read; changes no order.

    Returns:
        A reader; use it in `with`, or call `close()`.

    Raises:
        FormatError: If the folder is no published split, or arguments do not fit each other.
        CorruptionError: If a file of the split is missing or cut.
        DeadlineError: If the folder does not open in time.
    """
    options, shard = options or ReadOptions(), shard or Shard()
    split = within(options.deadline_s, f"opening {folder}", lambda: Split(folder, columns=columns,
                                                                          cache_bytes=options.cache_bytes))
    return Reader(split, batch_size, shuffle, shard, num_epochs, transform, options)


class Reader(Iterator[Batch]):
    """An iterator of batches: dicts of arrays, in the order of ORDER.md. Make one with `make_reader`.

    One pass gives `num_epochs` epochs; iterating again gives the next ones, and after a `break` the rest.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        shuffle: Shuffle | None,
        shard: Shard,
        num_epochs: int | None,
        transform: Callable[[Batch], Batch] | None,
        options: ReadOptions,
    ) -> None:
        if type(batch_size) is not int or batch_size < 1:
            raise FormatError(f"batch_size must be a positive integer, found {batch_size!r}")
        if num_epochs is not None and (type(num_epochs) is not int or num_epochs < 1):
            raise FormatError(f"num_epochs must be a positive integer or None, found {num_epochs!r}")
        if shuffle is not None and not isinstance(shuffle, Shuffle):
            raise FormatError(f"shuffle must be Shuffle(seed=...) or None, found {shuffle!r}")
        if options.tail == "ragged" and shard.world > 1:
            raise FormatError("tail='ragged' is for one rank: ranks would take different numbers of steps; use pad")
        if options.tail == "pad" and IS_PAD in {field.name for field in split.fields}:
            raise FormatError(f"a column is named {IS_PAD}, like the mask of padding; read with tail='drop'")
        if options.sample_seeds and shuffle is None:
            raise FormatError("sample_seeds needs a shuffle: its seed is what they come from")
        self._split, self._shard, self._options, self._shuffle = split, shard, options, shuffle
        self._num_epochs, self._transform = num_epochs, transform
        self._start = self._fresh_state(batch_size)
        check_shape(lanes=self._start.lanes, world=shard.world, global_batch=self._start.global_batch)
        if not self.rows:
            raise FormatError(f"{split.folder} holds no rows")
        if not self.steps_per_epoch:
            raise FormatError(f"{self.rows} rows give no whole batch of {self._start.global_batch}; use tail='pad'")
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._skipped: list[PlacedError] = []
        self._epoch = self._step = 0
        self._queue: deque[Future[Made]] = deque()
        self._set_position(0, 0)
        self._open_pools()

    def __iter__(self) -> Reader:
        return self

    def __next__(self) -> Batch:
        """Return the next batch.

        Raises:
            StopIteration: At the end of a pass.
            DeadlineError: If the batch did not come in time; calling again waits for the same batch.
            CorruptionError, DecodeError, TransformError: What went wrong with this batch; calling again repeats it.
        """
        with self._lock:
            self._check_usable()
            if self._step == self.steps_per_epoch:
                self._set_position(self._epoch + 1, 0)
                raise StopIteration
            self._look_ahead()
            future = self._queue[0]
            if not wait_done(future, self._options.deadline_s):
                raise self._too_late()
            self._check_usable()  # another thread may have closed it meanwhile
            made = future.result()
            if len(self._skipped) + len(made.skipped) > self._options.skip_limit:
                raise made.skipped[0]
            self._queue.popleft()
            self._skipped += made.skipped
            self._step += 1
            if self._step == self.steps_per_epoch and not self._is_last_epoch(self._epoch):
                self._epoch, self._step = self._epoch + 1, 0
            self._look_ahead()
            return made.batch

    def __len__(self) -> int:
        """Return the number of batches in one whole pass."""
        if self._num_epochs is None:
            raise TypeError("a reader with num_epochs=None has no length; see steps_per_epoch")
        return self.steps_per_epoch * self._num_epochs

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> object:
        raise TypeError(
            "a Reader has threads of its own and does not travel between processes; iterate it directly, or wrap it "
            "in DataLoader(tensors(reader), batch_size=None, num_workers=0)"
        )

    def close(self) -> None:
        """End the threads. A thread that hangs in the file system is left to itself and holds up nothing."""
        for pool in self._pools:
            pool.close()
        self._queue.clear()

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
            self._start = ours
            is_between = saved.step == self.steps_per_epoch and not self._is_last_epoch(saved.epoch)
            self._set_position(saved.epoch + 1, 0) if is_between else self._set_position(saved.epoch, saved.step)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns that are read."""
        return self._split.fields

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
        """Rows of the split."""
        return self._split.manifest.rows

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the same on all ranks."""
        whole, rest = divmod(self.rows, self._start.global_batch)
        return whole + (1 if rest and self._options.tail != "drop" else 0)

    @property
    def dropped_rows(self) -> int:
        """Rows of each epoch that no rank delivers, 0 unless tail='drop'."""
        return self.rows % self._start.global_batch if self._options.tail == "drop" else 0

    @property
    def skipped(self) -> tuple[PlacedError, ...]:
        """Why samples were left out so far, one error for each, in order of delivery."""
        return tuple(self._skipped)

    @property
    def memory_bound_bytes(self) -> int:
        """What this reader holds at most, beside the interpreter: see ORDER.md, "Memory"."""
        start, options, split = self._start, self._options, self._split
        lanes = start.lanes // self._shard.world
        ahead = (options.prefetch + 1) * (start.global_batch // start.lanes)
        window_rows = start.window * min(split.rows_by_group)
        window_bytes = start.window * split.largest_row_group_bytes
        total = sum(size for part in split.manifest.parts for size in part.row_group_bytes)
        batches = (options.prefetch + 1 + options.threads) * (start.global_batch // self._shard.world)
        windows = min(lanes * (2 + math.ceil(ahead / window_rows)) * window_bytes, total)
        being_read = min(options.read_threads * window_bytes, total)
        return (
            _OVERHEAD_BYTES
            + 2 * (windows + being_read)
            + split.cached_bytes
            + batches * sum(_row_bytes(field) for field in self.fields)
        )

    def _fresh_state(self, batch_size: int) -> State:
        shuffle, world = self._shuffle, self._shard.world
        total, window = batch_size * world, shuffle.window if shuffle else 1
        lanes = shuffle.lanes if shuffle else world
        if lanes is None:
            fitting = _WINDOW_BUDGET_BYTES // (2 * window * max(1, self._split.largest_row_group_bytes))
            lanes = default_lanes(world=world, global_batch=total, limit=min(_MOST_LANES, fitting))
        seed = shuffle.seed if shuffle else None
        return State(self._split.manifest.fingerprint, seed, 0, 0, lanes, window, total, self._options.tail)

    def _set_position(self, epoch: int, step: int) -> None:
        self._epoch, self._step = epoch, step
        self._planned = (epoch, step)
        self._rows_of_epoch: tuple[int, EpochRows] | None = None
        for future in self._queue:
            future.cancel()
        self._queue.clear()

    def _open_pools(self) -> None:
        self._reading = Pool(self._options.read_threads, "petrel-read")
        self._decoding = Pool(self._options.threads, "petrel-decode")
        self._pools = [self._reading, self._decoding]
        seed = self._shuffle.seed if self._shuffle else None
        self._maker = BatchMaker(self._split, self._options, seed, self._transform, self._decoding.closed)
        weakref.finalize(self, _close, list(self._pools))

    def _look_ahead(self) -> None:
        """Have `prefetch` batches in the making, in order, not past the end of the pass."""
        while len(self._queue) < self._options.prefetch:
            epoch, step = self._planned
            if step == self.steps_per_epoch:
                if self._is_last_epoch(epoch):
                    return
                epoch, step = epoch + 1, 0
            plan = self._epoch_rows(epoch).plan(step, keep_filler=self._options.tail == "pad")
            what = f"decoding batch {step} of epoch {epoch}"
            self._queue.append(self._decoding.submit(what, self._maker.make, plan))
            self._planned = (epoch, step + 1)

    def _epoch_rows(self, epoch: int) -> EpochRows:
        if self._rows_of_epoch is None or self._rows_of_epoch[0] != epoch:
            start, world = self._start, self._shard.world
            order = EpochOrder(
                self._split.rows_by_group, start.fingerprint, start.seed, epoch, start.lanes, start.window
            )
            each = start.lanes // world
            lanes = range(self._shard.rank * each, (self._shard.rank + 1) * each)

            def submit(window: Window) -> Future[Rows]:
                what = f"reading {self._split.group_name(window.pieces[0][0])} and {len(window.pieces) - 1} more"
                skip = self._options.on_error == "skip"
                return self._reading.submit(what, lambda: load_window(self._split, order, window, skip=skip))

            rows = EpochRows(order, lanes=lanes, rows_per_lane=start.global_batch // start.lanes, submit=submit)
            self._rows_of_epoch = (epoch, rows)
        return self._rows_of_epoch[1]

    def _is_last_epoch(self, epoch: int) -> bool:
        return self._num_epochs is not None and (epoch + 1) % self._num_epochs == 0

    def _check_usable(self) -> None:
        if self._decoding.closed.is_set():
            raise RuntimeError("this reader is closed; make a new one")
        if os.getpid() != self._pid:
            raise RuntimeError(
                "this reader was made before a fork, and threads do not survive one; make it in the process that "
                "reads, or wrap it in DataLoader(tensors(reader), batch_size=None, num_workers=0)"
            )

    def _too_late(self) -> DeadlineError:
        doing = "; ".join(self._reading.activity() + self._decoding.activity()) or "nothing"
        return DeadlineError(
            f"batch {self._step} of epoch {self._epoch} did not come within {self._options.deadline_s:g} s; "
            f"the threads of the reader are doing: {doing}"
        )


def _row_bytes(field: Field) -> int:
    """Bytes of one decoded value; unknown shapes count as one megapixel, or 1 KiB."""
    shape, dtype = dense_shape(field), dense_dtype(field)
    if shape is None or dtype is None:
        return 3 << 20 if field.codec == "image" else 1 << 10
    return math.prod(shape) * dtype.itemsize


def _close(pools: list[Pool]) -> None:
    for pool in pools:
        pool.close(patience_s=0.0)
