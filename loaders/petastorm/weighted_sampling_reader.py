"""One reader out of several, each item drawn from one of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import numpy as np

from loaders.petastorm.kinds import AnyReader, Item

__all__ = ["WeightedSamplingReader"]


class WeightedSamplingReader(Iterator[Item]):
    """Items of several readers, mixed with given probabilities, until the first of the readers has no more.

    It can stand wherever a reader can. The readers are stopped with it.

    Attributes:
        batched_output: Whether items are row groups; the same in all readers.
        ngram: The windows that the readers give, None without.
        schema: Of the first reader; the others have the same fields.

    Args:
        readers: Two or more.
        probabilities: How often each is to be drawn from, in proportion to their sum.
        seed: What the draws come from; the same seed, the same draws. None: numpy's global generator.

    Raises:
        ValueError: If there are fewer than two readers, they do not go together, or the probabilities are none.
    """

    def __init__(
        self, readers: Sequence[AnyReader], probabilities: Sequence[float], *, seed: int | None = None
    ) -> None:
        if len(readers) < 2:
            raise ValueError(f"Two or more readers must be specified. Got {len(readers)}.")
        if len(readers) != len(probabilities):
            raise ValueError("readers and probabilities are expected to be lists of the same length")
        weights = np.asarray(probabilities, dtype=np.float64)
        if not np.all(np.isfinite(weights) & (weights >= 0)) or not weights.any():
            raise ValueError(f"probabilities must be numbers from 0 on, of which one is larger, found {probabilities}")
        for other in readers[1:]:
            _check_alike(readers[0], other)
        self._readers = list(readers)
        self._borders = np.cumsum(weights / weights.sum())
        self._borders[np.flatnonzero(weights)[-1] :] = 1.0  # whatever the rounding: a draw is below 1
        self._draws = None if seed is None else np.random.default_rng(seed)
        self._lock = threading.Lock()
        self.batched_output: bool = readers[0].batched_output
        self.ngram = readers[0].ngram
        self.schema = readers[0].schema

    def __len__(self) -> int:
        """Return the items of all readers together, more than will come; raises TypeError if one has no length."""
        return sum(len(reader) for reader in self._readers)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> WeightedSamplingReader:
        return self

    def __next__(self) -> Item:
        with self._lock:
            draw = np.random.random() if self._draws is None else self._draws.random()
        return next(self._readers[int(np.searchsorted(self._borders, draw, side="right"))])

    def next(self) -> Item:
        """The same as `next(reader)`."""
        return self.__next__()

    @property
    def last_row_consumed(self) -> bool:
        """Whether one of the readers is at its end."""
        return any(reader.last_row_consumed for reader in self._readers)

    def reset(self) -> None:
        """Begin another pass of all readers; the draws go on."""
        for reader in self._readers:
            (reader.rewind if hasattr(reader, "rewind") else reader.reset)()

    rewind = reset

    def stop(self) -> None:
        """Stop all readers."""
        with ExitStack() as stack:
            for reader in reversed(self._readers):
                stack.callback(reader.stop)

    def join(self) -> None:
        """Wait for all readers to end."""
        with ExitStack() as stack:
            for reader in reversed(self._readers):
                stack.callback(reader.join)

    def __enter__(self) -> WeightedSamplingReader:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:
            stack.callback(self.join)
            self.stop()


def _check_alike(first: AnyReader, other: AnyReader) -> None:
    same = "All readers passed to WeightedSamplingReader should have the same"
    if first.batched_output != other.batched_output:
        raise ValueError(f'{same} value of "batched_output" attribute')
    if set(first.schema.fields) != set(other.schema.fields):
        raise ValueError(f"{same} schema")
    if (first.ngram is None) != (other.ngram is None) or first.ngram != other.ngram:
        raise ValueError(f"{same} ngram spec")
