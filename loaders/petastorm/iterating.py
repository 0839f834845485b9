"""`Reader`: an iterator of rows or row groups that other threads and processes make ahead of it."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from loaders.errors import StateMismatchError
from loaders.options import usable_cores
from loaders.petastorm import resuming
from loaders.petastorm.arguments import SchemaFields, check_arguments, checked_ngram, checked_seed
from loaders.petastorm.cache import CacheBase, NullCache
from loaders.petastorm.choosing import choose_units
from loaders.petastorm.columns import rows_of
from loaders.petastorm.etl import dataset_metadata
from loaders.petastorm.fs_utils import open_dataset
from loaders.petastorm.kinds import FileSystem, Item
from loaders.petastorm.local_disk_cache import LocalDiskCache
from loaders.petastorm.making import RowGroupMaker, RowGroupSteps, SentSteps
from loaders.petastorm.ngram import NGram
from loaders.petastorm.predicates import PredicateBase
from loaders.petastorm.rowgroups.ahead import Ahead, Threads, Workers
from loaders.petastorm.rowgroups.folder import ParquetFolder
from loaders.petastorm.rowgroups.passes import tasks_of_pass
from loaders.petastorm.rowgroups.processes import Processes
from loaders.petastorm.rowgroups.work import Rows
from loaders.petastorm.selectors import RowGroupSelectorBase
from loaders.petastorm.shipping import Shipped
from loaders.petastorm.transform import TransformSpec, transform_schema
from loaders.petastorm.unischema import Unischema, is_structure
from loaders.petastorm.workers_pool.dummy_pool import DummyPool
from loaders.petastorm.workers_pool.process_pool import ProcessPool
from loaders.petastorm.workers_pool.thread_pool import ThreadPool
from loaders.workers.shell import ReaderShell

DEADLINE_S = 600.0
"""Seconds in which the next rows come. Petastorm has no such limit; a row group of a slow store may take minutes."""


class Reader(ReaderShell[Item]):
    """An iterator of rows, or of row groups. Use it in `with`, or call `stop()` and `join()`.

    `next` may be called from several threads. After an error the next call makes the same rows again.

    Attributes:
        schema: What the items are made of: the fields that are read, after the transform.
        ngram: The windows that are delivered, None without.
        is_batched_reader: Whether items are row groups.
        num_epochs: Epochs in one pass, None if it never ends.
        last_row_consumed: Whether the pass is at its end.
        dataset: The folder that is read.
        cache: Where made row groups are kept.
        epoch: Number of the epoch that the next item belongs to, from 0; passes count on.
        seed: What the orders come from; drawn at random if none was given.
        unasked_structures: Fields of structs, maps and lists of lists that are read because no fields were named.
    """

    _CLOSED = (
        "Trying to read a sample after a reader created by make_reader/make_batch_reader has stopped. This may "
        "happen if the make_reader/make_batch_reader context manager has exited but you try to fetch a sample "
        "from it anyway"
    )
    _INSTEAD_OF_SENDING = "make one in each"

    def __init__(
        self,
        pyarrow_filesystem: FileSystem,
        dataset_path: str | Path | Sequence[str | Path] | ParquetFolder,
        schema_fields: SchemaFields = None,
        seed: int | None = None,
        shuffle_rows: bool = False,
        shuffle_row_groups: bool = True,
        shuffle_row_drop_partitions: int = 1,
        predicate: PredicateBase | None = None,
        rowgroup_selector: RowGroupSelectorBase | None = None,
        reader_pool: ThreadPool | ProcessPool | DummyPool | None = None,
        num_epochs: int | None = 1,
        cur_shard: int | None = None,
        shard_count: int | None = None,
        cache: CacheBase | None = None,
        worker_class: object = None,
        transform_spec: TransformSpec | None = None,
        is_batched_reader: bool = False,
        filters: object = None,
        shard_seed: int | None = None,
        convert_early_to_numpy: bool = False,
        *,
        equal_shards: bool = False,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Open what `make_reader` and `make_batch_reader` open; the arguments are explained there.

        Args:
            pyarrow_filesystem: As `filesystem` there.
            dataset_path: A URL or path, a list of them, or an open `ParquetFolder`, which this reader then closes.
            reader_pool: Which workers, and how many; None: `ThreadPool(10)`.
            worker_class: Accepted, without effect: `is_batched_reader` says what the items are.
        """
        check_arguments(schema_fields, num_epochs, predicate, shuffle_row_drop_partitions, deadline_s)
        if shard_seed is not None:
            warnings.warn(
                "shard_seed was deprecated and will be removed in future versions. Use seed to apply randomization "
                "effects on sharding row groups.",
                stacklevel=2,
            )
            seed = shard_seed if seed is None else seed
        if not isinstance(dataset_path, ParquetFolder):
            dataset_path = open_dataset(dataset_path, filesystem=pyarrow_filesystem)
        self.dataset: ParquetFolder = dataset_path
        self.num_epochs, self.is_batched_reader = num_epochs, is_batched_reader
        self.cache: CacheBase = cache or NullCache()
        self.seed = secrets.randbits(63) if seed is None else checked_seed(seed)
        self._is_seeded = seed is not None
        self._pool = reader_pool or ThreadPool(10)
        self._deadline_s = deadline_s
        stored = dataset_metadata.infer_or_load_unischema(self.dataset)
        parsed = self.dataset.parsed(filters)
        self.ngram = checked_ngram(
            schema_fields, stored, parts=shuffle_row_drop_partitions, is_batched=is_batched_reader
        )
        fields = None if isinstance(schema_fields, NGram) else schema_fields
        if self.ngram is not None:  # the time decides over windows, whether or not it is delivered
            fields = [*self.ngram.get_field_names_at_all_timesteps(), stored.fields[self.ngram.timestamp_name]]
        view = stored.create_schema_view(list(fields)) if fields else stored
        if not view.fields:
            raise RuntimeError(
                f"No fields matching the criteria '{fields}' were found in the dataset {self.dataset.root}."
            )
        self.schema: Unischema = transform_schema(view, transform_spec) if transform_spec is not None else view
        kept = [] if fields else [name for name in view.fields if name in self.schema.fields]
        self.unasked_structures = tuple(name for name in kept if is_structure(view.fields[name]))
        self._shuffles_groups = shuffle_row_groups
        self._units, worker_predicate = choose_units(
            self.dataset, stored, predicate=predicate, selector=rowgroup_selector, cur_shard=cur_shard,
            shard_count=shard_count, filters=parsed, parts=shuffle_row_drop_partitions, equal_shards=equal_shards,
            is_batched=is_batched_reader,
        )  # fmt: skip
        if not self._units:
            warnings.warn(
                "No matching data is available for loading after rowgroup selector were applied and the data was "
                "sharded.",
                stacklevel=3,
            )
        self._recipe = RowGroupSteps(
            stored, view, self.schema, is_batched_reader, shuffle_rows, self.ngram, worker_predicate, parsed,
            transform_spec, self.cache,
        )  # fmt: skip
        self._predicate_name = resuming.name_of_predicate(worker_predicate)
        self.last_row_consumed = False
        self._pass_start = 0
        self._position = (0, 0, 0)  # epoch, place in it, items of that unit that were delivered
        self._delivered = 0
        self._rows: Rows | None = None  # those that come next, from item `_rows_at` of the unit on
        self._rows_at = self._unit_items = self._last_epoch = 0
        self._items: Iterator[Item] | None = None
        self._ahead: Ahead | None = None
        self._workers: Workers | None = None
        super().__init__(self.dataset.close)

    def __next__(self) -> Item:
        """Return the next row, window of rows, or row group.

        Raises:
            StopIteration: At the end of the pass; `reset` or `rewind` begin the next one.
            RuntimeError: If the reader was stopped.
            DeadlineError: If it did not come in time.
            Exception: What went wrong in a worker, with its traceback; a note says with which row group.
        """
        with self._lock:
            self._check_usable()
            try:
                while True:
                    if self._items is not None:
                        for item in self._items:
                            self._count(1)
                            return item
                        self._rows = self._items = None
                    if self._rows is None:
                        self._fetch()
                    self._items = self._items_of(self._rest())
            except StopIteration:
                raise
            except BaseException:  # Ctrl-C too: what was under way may be half noted
                self._drop()
                raise

    def next(self) -> Item:
        """The same as `next(reader)`."""
        return self.__next__()

    def next_rows(self) -> Rows:
        """Return the next rows that are made already, as columns: what loaders build batches from.

        The position is that of `next`: rows come once, here or there. A batch reader gives a row group.

        Raises:
            TypeError: If the reader gives windows of rows.
        """
        if self.ngram is not None:
            raise TypeError("windows of rows have no columns; iterate the reader")
        with self._lock:
            self._check_usable()
            try:
                while True:
                    if self._rows is None:
                        self._fetch()
                    rows = self._rest()
                    self._rows = self._items = None
                    if rows.count:
                        self._count(1 if self.is_batched_reader else rows.count)
                        return rows
            except StopIteration:
                raise
            except BaseException:
                self._drop()
                raise

    def __len__(self) -> int:
        """Return the items of one pass, where they are known before it.

        Raises:
            TypeError: If the pass is endless, or a predicate, filters, windows of rows or the transform of a row group
                decide.
        """
        recipe = self._recipe
        if self.num_epochs is None:
            raise TypeError("a reader with num_epochs=None has no length")
        if recipe.predicate is not None or recipe.filters is not None or self.ngram is not None:
            raise TypeError("how many rows a predicate, filters or an NGram leave is known only when they are read")
        if self.is_batched_reader and recipe.transform is not None and recipe.transform.func is not None:
            raise TypeError("how many rows the transform of a row group returns is known only when it was called")
        return self.num_epochs * (self._batches if self.is_batched_reader else self.num_rows)

    def __bool__(self) -> bool:
        return True  # whatever its length: code asks `if reader:`

    @property
    def num_rows(self) -> int:
        """Rows of this shard in an epoch, before predicate and filters; reads the footers that were not read yet."""
        whole = 0
        for unit in self._units:
            if unit.part == 0:
                rows = self.dataset.rows(self.dataset.pieces[unit.ordinal])
                whole += (rows if unit.last is None else unit.last) - unit.first
        return whole

    @cached_property
    def _fingerprint(self) -> str:
        return resuming.fingerprint(
            self.dataset, self._units, self._recipe, shuffles_groups=self._shuffles_groups,
            predicate=self._predicate_name,
        )  # fmt: skip

    @property
    def _batches(self) -> int:
        """Units that hold a row."""
        rows = [self.dataset.rows(self.dataset.pieces[unit.ordinal]) if unit.last is None else unit.last - unit.first
                for unit in self._units]  # fmt: skip
        return sum(unit.part < min(unit.parts, count) for unit, count in zip(self._units, rows, strict=True))

    @property
    def epoch(self) -> int:
        """Number of the epoch of the next item, from 0."""
        return self._position[0]

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._is_closed

    @property
    def batched_output(self) -> bool:
        """Whether items are row groups."""
        return self.is_batched_reader

    @property
    def diagnostics(self) -> dict[str, object]:
        """Counts of what is under way, under the names of all of Petastorm's pools."""
        ahead = self._ahead
        return {
            "output_queue_size": 0 if ahead is None else ahead.waiting,
            "items_consumed": self._delivered,
            "items_produced": self._delivered + (0 if ahead is None else ahead.waiting),
            "items_inprocess": 0 if ahead is None else ahead.under_way,
            "zmq_copy_buffers": False,
        }

    def reset(self) -> None:
        """Begin another pass of `num_epochs` epochs; their orders are new ones.

        Raises:
            NotImplementedError: If the pass is not at its end; `rewind` does it anywhere.
        """
        if self.stopped:
            return
        if not self.last_row_consumed:
            raise NotImplementedError(
                "Currently do not support resetting a reader while in the middle of iteration. You can call reset "
                "only after all samples were consumed."
            )
        self.rewind()

    def rewind(self) -> None:
        """Begin another pass, wherever this one is."""
        with self._lock:
            if self.stopped:
                return
            epoch, place, items = self._position
            self._begin((epoch + 1 if place or items else epoch, 0, 0))
            self._pass_start = self._position[0]

    def state_dict(self) -> dict[str, object]:
        """Return the position after the last item that was received: small, and JSON."""
        with self._lock:
            return {
                "format": resuming.FORMAT, "reading": self._fingerprint, "seed": self.seed,
                "pass_start": self._pass_start, "position": list(self._position),
            }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where a reader with the same arguments was; pool and workers may differ.

        Raises:
            StateMismatchError: If the state is of other data or of a reader with other arguments.
        """
        seed, start, position = resuming.checked_state(state, reading=self._fingerprint, units=len(self._units))
        if self._is_seeded and self.seed != seed:
            raise StateMismatchError(f"reader state: saved with seed {seed}, this reader has {self.seed}")
        with self._lock:
            self._check_usable()
            self.seed, self._pass_start = seed, start
            self._begin(position)

    def stop(self) -> None:
        """End the workers; a `next` under way in another thread ends."""
        self._is_closed = True
        self._give_up(patience_s=0.0)

    def join(self) -> None:
        """Wait for the workers to end, some two seconds at most, and close the files."""
        self._give_up(patience_s=2.0)
        self._end()

    def cleanup_cache(self) -> None:
        """Remove the files of a local cache, if it was made with `cleanup=True`."""
        if isinstance(self.cache, LocalDiskCache):
            self.cache.cleanup()

    def close(self) -> None:
        """Stop, wait for the workers to end, and clean the cache up: what leaving `with` does."""
        self.stop()
        self.join()
        self.cleanup_cache()

    def _fetch(self) -> None:
        """Take the next rows that are made; raises StopIteration at the end of the pass."""
        if self.last_row_consumed:
            raise StopIteration
        if self._ahead is None:
            self._start()
        assert self._ahead is not None
        while True:
            try:
                made = self._ahead.next()
            finally:
                self._check_usable()  # meanwhile stopped by another thread: whatever broke, broke of that
            if made is None:
                self._end_of_pass()
                raise StopIteration
            task, rows = made
            if (task.epoch, task.place) != self._position[:2]:
                self._position = (task.epoch, task.place, 0)
                self._unit_items = 0
            if rows.items:
                self._last_epoch = task.epoch
            elif self.num_epochs is None and task.epoch > self._last_epoch + 1:  # nothing in a whole epoch
                self._end_of_pass()
                raise StopIteration
            self._rows_at = self._unit_items
            self._unit_items += rows.items if not self.is_batched_reader or not rows.items else 1
            if self._unit_items > self._position[2]:  # else: delivered before the reader was continued
                self._rows, self._items = rows, None
                return

    def _start(self) -> None:
        tasks = tasks_of_pass(
            self._units, seed=self.seed, first_epoch=self._pass_start, epochs=self.num_epochs,
            begin=self._position[:2], is_shuffled=self._shuffles_groups,
        )  # fmt: skip
        if self._workers is None:
            self._workers = self._new_workers()
            self._end_with(self._workers)
        self._ahead = Ahead(self._workers, tasks, deadline_s=self._deadline_s)
        self._unit_items, self._last_epoch = 0, self._position[0]

    def _rest(self) -> Rows:
        """Return those of the rows at hand that were not delivered."""
        assert self._rows is not None
        done = self._position[2] - self._rows_at
        if not done or self._rows.windows is not None:
            return self._rows
        return self._rows[self._rows.count :] if self.is_batched_reader else self._rows[done:]

    def _items_of(self, rows: Rows) -> Iterator[Item]:
        if self.is_batched_reader:
            return iter([self.schema.make_namedtuple(**rows.columns)])
        if self.ngram is not None:
            return self._windows_of(rows, self._position[2] - self._rows_at)
        kind = self.schema._get_namedtuple()
        return map(kind._make, zip(*map(rows_of, rows.columns.values()), strict=True))

    def _windows_of(self, rows: Rows, skipped: int) -> Iterator[Item]:
        assert self.ngram is not None
        assert rows.windows is not None
        steps = [
            (step, self.ngram.get_schema_at_timestep(self.schema, step))
            for step in range(min(self.ngram.fields), max(self.ngram.fields) + 1)
        ]
        values = {name: rows_of(column) for name, column in rows.columns.items()}
        for window in rows.windows[skipped:].tolist():
            yield {
                step: schema.make_namedtuple(**{name: values[name][row] for name in schema.fields})
                for (step, schema), row in zip(steps, window, strict=True)
            }

    def _count(self, items: int) -> None:
        """Note that items of the piece were delivered."""
        epoch, place, done = self._position
        self._delivered += items
        self._position = (epoch, place, done + items)

    def _new_workers(self) -> Workers:
        if isinstance(self._pool, ProcessPool):
            plan = SentSteps(self.dataset.spec(), Shipped(self._recipe))
            return Processes(plan, workers=self._pool.workers_count, deadline_s=self._deadline_s)
        threads = 0
        if not isinstance(self._pool, DummyPool):
            # Decoding needs no more threads than cores; a caller's function may wait for something.
            calls = self._recipe.predicate is not None or self._recipe.transform is not None
            threads = self._pool.workers_count if calls else min(self._pool.workers_count, usable_cores(64))
        readers = min(threads, 4) if self.is_batched_reader or not isinstance(self.cache, NullCache) else 1
        return Threads(RowGroupMaker(self.dataset, self._recipe), threads=threads, readers=readers)

    def _begin(self, position: tuple[int, int, int]) -> None:
        self._drop()
        self._position = position
        self.last_row_consumed = False

    def _drop(self) -> None:
        """Forget what was made ahead; it is made again from the position of the last item."""
        ahead, self._ahead = self._ahead, None
        self._rows = self._items = None
        if ahead is not None:
            ahead.close()

    def _give_up(self, *, patience_s: float) -> None:
        if (ahead := self._ahead) is not None:
            ahead.close()
        if (workers := self._workers) is not None:
            workers.close(patience_s=patience_s)

    def _end_of_pass(self) -> None:
        self._drop()
        self.last_row_consumed = True
        self._position = (self._pass_start + (self.num_epochs or 1), 0, 0)
