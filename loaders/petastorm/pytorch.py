"""Batches of tensors from a reader, with Petastorm's names. This file and `waiting` alone import torch.

    with DataLoader(make_reader(url, num_epochs=1), batch_size=64, shuffling_queue_capacity=10_000) as loader:
        for batch in loader:                                # {field: tensor (64, ...), or list of str or Decimal}
            loss = model(batch["image"])

A loader is a plain iterable, as in Petastorm, neither a torch DataLoader nor a dataset: Lightning, Accelerate and plain
loops take it as it is; readers have workers of their own, so nothing has to be said about `num_workers`.

Rows stay columns on their way: a block of rows is cut into batches, or copied once into a shuffling queue and gathered
from there. Row by row goes only what asks for it: a `collate_fn` of one's own, an NGram, a reader that is not ours.

Types: bool becomes uint8, uint16 int32, uint32 int64. uint64 stays (torch.uint64), nothing of it is lost. Decimals and
strings come as lists. Tensors are writable; the loader never writes to one that it gave.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

import numpy as np
import torch
from torch.utils.data import default_collate

from loaders.petastorm.kinds import AnyReader, Value
from loaders.petastorm.shuffling import InOrder, Shuffled
from loaders.petastorm.values import (
    NUMBERS,
    for_transform,
    promoted,
    row_dicts,
    sanitised,
    stacked,
    stretches,
    writable,
)
from loaders.petastorm.waiting import Columns, Tensors, gathered, in_numpy

logger = logging.getLogger(__name__)


_TENSOR = {torch.Tensor}
_WHOLE_ROW = "row"  # the one column of rows that go to a collate_fn as they are


def decimal_friendly_collate(batch: Sequence[Value]) -> Value:
    """Collate as torch's default_collate does, and leave decimals and strings as they are.

    Args:
        batch: Rows: dicts, also nested, sequences, or plain values.

    Raises:
        TypeError, RuntimeError: As default_collate: values that are no numbers; arrays that differ in shape.
    """
    first = batch[0]
    if isinstance(first, Decimal | str | bytes):
        return batch
    if isinstance(first, Mapping):
        return {key: decimal_friendly_collate([row[key] for row in batch]) for key in first}
    if isinstance(first, Sequence):
        return [decimal_friendly_collate(values) for values in zip(*batch, strict=False)]
    together = stacked(batch)
    return default_collate(list(batch)) if together is None else torch.from_numpy(together)


class LoaderBase:
    """What the loaders share: one pass at a time, a new pass from the start of the reader."""

    reader: AnyReader
    batch_size: int
    shuffling_queue_capacity: int
    _seed: int | None

    def __init__(self) -> None:
        self._in_iter: bool | None = None  # None: there was no pass yet
        self._is_complete = False
        self._passes = 0
        self._error: str | None = None

    def __iter__(self) -> Iterator[Value]:
        """Begin a pass; after one that was left early, too. Nothing of an earlier pass comes again.

        Raises:
            RuntimeError: If another pass goes on, or an earlier one failed.
        """
        if self._error is not None:
            raise RuntimeError(
                f"Cannot start a new iteration because last time iteration failed with error {self._error}."
            )
        if self._in_iter:
            raise RuntimeError(
                "You must finish a full pass of Petastorm DataLoader before making another pass from the beginning. "
                "To leave a pass early, close its iterator, or leave the loop that holds it."
            )
        if self._in_iter is not None:
            logger.info("pass=%d reader starts again complete=%s", self._passes, self._is_complete)
            self._start_again()
        self._in_iter, self._is_complete = True, False
        try:
            yield from self._iter_impl()
            self._is_complete = True
        except Exception as error:
            self._error = repr(error)
            raise
        finally:
            self._in_iter = False
            self._passes += 1

    def __len__(self) -> int:
        """Batches of a pass.

        Raises:
            TypeError: If the reader does not know its rows: it is endless, say, or a predicate chooses them.
        """
        reader = self.reader
        if not hasattr(reader, "num_rows"):
            raise TypeError(f"{type(self).__name__} has no len(): its reader does not know how many rows it will give")
        rows: int = len(reader) and reader.num_epochs * reader.num_rows
        return -(-rows // self.batch_size)

    def __bool__(self) -> bool:
        return True  # not a question for len()

    def __enter__(self) -> Value:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.stop()
        self.reader.join()

    def _iter_impl(self) -> Iterator[Value]:
        """Give the batches of one pass."""
        raise NotImplementedError

    def _batches(self, whole: bool) -> InOrder | Shuffled:
        """Return what makes batches of the rows of one pass."""
        if self.shuffling_queue_capacity <= 0:
            return InOrder(Tensors(), self.batch_size)
        seed = getattr(self.reader, "seed", None) if self._seed is None else self._seed
        entropy = None if seed is None else [seed, self._passes, 0x5EED]  # a stream of its own beside the reader's
        generator = np.random.default_rng(entropy)
        return Shuffled(Tensors(), self.batch_size, self.shuffling_queue_capacity, whole, generator)

    def _start_again(self) -> None:
        rewind = None if self._is_complete else getattr(self.reader, "rewind", None)
        (rewind or self.reader.reset)()


class DataLoader(LoaderBase):
    """Batches of the rows of a reader; of a batch reader, too. The last batch may be smaller."""

    def __init__(
        self,
        reader: AnyReader,
        batch_size: int = 1,
        collate_fn: Callable[[list[Value]], Value] = decimal_friendly_collate,
        shuffling_queue_capacity: int = 0,
        *,
        seed: int | None = None,
    ) -> None:
        """Make a loader.

        Args:
            reader: From make_reader or make_batch_reader; or anything that iterates over namedtuples and has
                `batched_output`.
            batch_size: Rows of a batch.
            collate_fn: Makes a batch of a list of dicts. With another than the default rows go one by one.
            shuffling_queue_capacity: If above 0: this many rows wait, less one, before a batch is drawn uniformly
                from them and it. A row group of a batch reader joins them as a whole.
            seed: Of the shuffling queue; each pass draws differently. None: the reader's, or else none.

        Raises:
            ValueError: If `batch_size` is below 1.
            TypeError: While iterating, if a value is null, or an array of strings or objects.
        """
        super().__init__()
        self.reader = reader
        self.batch_size = _checked(batch_size)
        self.collate_fn = collate_fn
        self.shuffling_queue_capacity = shuffling_queue_capacity
        self._seed = seed

    def _iter_impl(self) -> Iterator[Value]:
        whole = self.reader.batched_output
        batches = self._batches(whole)
        if self.collate_fn is decimal_friendly_collate and getattr(self.reader, "ngram", None) is None:
            waits = self.shuffling_queue_capacity > 0
            for columns, count in stretches(self.reader, self.batch_size):
                ready = {name: _column(name, values, whole, waits=waits) for name, values in columns.items()}
                yield from map(_finished, batches.add(ready, count))
            yield from map(_finished, batches.end())
            return
        for rows in row_dicts(self.reader, self.batch_size):
            yield from map(self._collated, batches.add({_WHOLE_ROW: rows}, len(rows)))
        yield from map(self._collated, batches.end())

    def _collated(self, batch: Columns) -> Value:
        return self.collate_fn([sanitised("row", row) for row in batch[_WHOLE_ROW]])


class BatchedDataLoader(LoaderBase):
    """As DataLoader, for fields that are all tensors, and with a function that makes them."""

    def __init__(
        self,
        reader: AnyReader,
        batch_size: int = 1,
        transform_fn: Callable[[Value], Value] | None = None,
        shuffling_queue_capacity: int = 0,
        *,
        seed: int | None = None,
    ) -> None:
        """Make a loader.

        Args:
            reader: As for DataLoader.
            batch_size: Rows of a batch.
            transform_fn: Makes a tensor (rows, ...) of the values of some rows of one column, such as
                `partial(torch.as_tensor, device="cuda")`: an array (rows, ...), of a row reader, too; a list where
                the values fit no array. None: torch.as_tensor.
            shuffling_queue_capacity: As for DataLoader. Rows wait as tensors, where transform_fn put them.
            seed: As for DataLoader.

        Raises:
            ValueError: If `batch_size` is below 1; while iterating, if a field holds strings.
            TypeError: While iterating, if a value is null, or an array of strings or objects.
        """
        super().__init__()
        self.reader = reader
        self.batch_size = _checked(batch_size)
        self.transform_fn = transform_fn or _as_tensor
        self.shuffling_queue_capacity = shuffling_queue_capacity
        self._seed = seed

    def _iter_impl(self) -> Iterator[dict[str, Value]]:
        whole = self.reader.batched_output
        batches = self._batches(whole)
        for tensors, count in _tensors(self.reader, self.transform_fn, self.batch_size):
            yield from map(_finished, batches.add({**tensors}, count))
        yield from map(_finished, batches.end())


class InMemBatchedDataLoader:
    """Batches of rows that are in memory: the first rows of a reader, which is stopped as soon as they are there."""

    def __init__(
        self,
        reader: AnyReader,
        batch_size: int = 1,
        transform_fn: Callable[[Value], Value] | None = None,
        num_epochs: int = 1,
        seed: int = 0,
        rows_capacity: int = 1024,
        shuffle: bool = False,
    ) -> None:
        """Read the rows.

        Args:
            reader: As for DataLoader.
            batch_size: Rows of a batch.
            transform_fn: As for BatchedDataLoader.
            num_epochs: How often the rows come.
            seed: Epoch e comes in the order of `torch.randperm` with a torch.Generator of seed + e.
            rows_capacity: How many rows are read, at most.
            shuffle: Whether there is an order of its own in each epoch.

        Raises:
            ValueError: If `batch_size` is below 1, or a field holds strings.
            TypeError: If a value is null, or an array of strings or objects.
        """
        self._batch_size = _checked(batch_size)
        self._num_epochs, self._seed, self._shuffle = num_epochs, seed, shuffle
        self._in_iter = False
        self._count, self._columns = _loaded(reader, transform_fn or _as_tensor, rows_capacity)

    def __iter__(self) -> Iterator[dict[str, Value]]:
        """Give all epochs, once.

        Raises:
            RuntimeError: If there was a pass.
        """
        if self._in_iter:
            raise RuntimeError(
                "InMemBatchedDataLoader couldn't be used multiple times, please specify total number of epochs using "
                "num_epochs in constructor."
            )
        self._in_iter = True
        for epoch in range(self._num_epochs):
            order = np.arange(self._count)
            if self._shuffle:
                generator = torch.Generator().manual_seed(self._seed + epoch)
                order = torch.randperm(self._count, generator=generator).numpy()
            for start in range(0, self._count, self._batch_size):
                chosen = order[start : start + self._batch_size]
                yield {name: gathered(column, chosen) for name, column in self._columns.items()}

    def __len__(self) -> int:
        """Batches of all epochs."""
        return self._num_epochs * -(-self._count // self._batch_size)

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> InMemBatchedDataLoader:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _tensors(
    reader: AnyReader, transform: Callable[[Value], Value], most: int
) -> Iterator[tuple[dict[str, torch.Tensor], int]]:
    """Yield (columns, rows), each column a tensor that `transform` made."""
    for columns, count in stretches(reader, most):
        tensors = {}
        for name, values in columns.items():
            made = transform(for_transform(name, values, reader.batched_output))
            tensors[name] = made = made if isinstance(made, torch.Tensor) else torch.as_tensor(made)
            if made.shape[:1] != (count,):
                shape = tuple(made.shape)
                raise ValueError(f"transform_fn made a tensor of shape {shape} of {count} rows of field {name}")
        yield tensors, count


def _loaded(reader: AnyReader, transform: Callable[[Value], Value], capacity: int) -> tuple[int, dict[str, Value]]:
    """Return how many rows there are, and their columns, and stop the reader: it may be endless."""
    parts: dict[str, list[torch.Tensor]] = {}
    missing = capacity
    try:
        for tensors, count in _tensors(reader, transform, min(1024, capacity)):
            for name, tensor in tensors.items():
                parts.setdefault(name, []).append(tensor[:missing])
            missing -= min(count, missing)
            if not missing:
                break
    finally:
        reader.stop()
        reader.join()
    # Column by column: what one was joined from is given back before the next is joined.
    columns = {name: _finished({name: Tensors().join(parts.pop(name))})[name] for name in list(parts)}
    return capacity - missing, {name: in_numpy(column) for name, column in columns.items()}


def _column(name: str, values: Value, whole: bool, *, waits: bool) -> Value:
    """Return a column of DataLoader; what no tensor holds stays as values, of which `_collated` thinks later.

    Rows that wait are copied there, and stay an array as it is until then.
    """
    if not isinstance(values, np.ndarray):
        return list(values)
    if whole or values.dtype.kind in NUMBERS:
        values = promoted(name, values)
    if values.dtype.kind not in NUMBERS:
        return list(values)
    return values if waits else torch.from_numpy(writable(values))


def _as_tensor(values: Value) -> torch.Tensor:
    if isinstance(values, np.ndarray) and values.dtype.kind in NUMBERS:
        return torch.from_numpy(values)
    if isinstance(values, list) and isinstance(values[0], np.ndarray):
        return default_collate(values)  # type: ignore[no-any-return]  # says how they differ
    return torch.as_tensor(values)


def _finished(batch: Columns) -> dict[str, Value]:
    if {*map(type, batch.values())} == _TENSOR:
        return batch
    return {n: v if isinstance(v, torch.Tensor) else _collated(n, v) for n, v in batch.items()}


def _collated(name: str, values: list[Value]) -> Value:
    """Collate values of one field, of which some may have been tensors before others came that fit none."""
    kinds = set(map(type, values))
    if len(kinds) == 1 and issubclass(kinds.pop(), Decimal | str | bytes):
        return values
    values = [sanitised(name, value) for value in values]
    if any(isinstance(value, torch.Tensor) for value in values):
        values = [torch.as_tensor(v) if isinstance(v, np.ndarray | np.generic) else v for v in values]
    return decimal_friendly_collate(values)


def _checked(batch_size: int) -> int:
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, found {batch_size}")
    return batch_size
