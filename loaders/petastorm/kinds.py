"""The words for what passes through Petastorm's API, of which only its users know more.

Arrays are those of `loaders.axes`; a column of a row group is (rows, ...), a value of it has the rest of the axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias

from loaders.axes import Array

Value: TypeAlias = Any
"""A value of a field: a number of numpy's, text, bytes, an array, a Decimal, None, or what a user's codec makes."""

Row: TypeAlias = dict[str, Value]
"""The values of a row, or of its rows together, by field."""

Column: TypeAlias = Array | list[Value]
"""The values of some rows: an array (rows, ...), or a list where they fit none."""

Item: TypeAlias = Any
"""What a reader gives: a namedtuple of the fields of a row or of a row group, or a window {step: namedtuple}."""

NumpyType: TypeAlias = Any
"""What says the type of a field: a type of numpy's, a dtype, its name, `Decimal`, or a type of Python's."""

SparkKind: TypeAlias = Any
"""A type of Spark's, whose package is not needed to read."""

FileSystem: TypeAlias = Any
"""A file system of `pyarrow.fs` or of `fsspec`."""

Frame: TypeAlias = Any
"""A `pandas.DataFrame` or one of its columns, whose package is loaded where a user's function wants one."""

Settings: TypeAlias = Mapping[str, Any]
"""Keyword arguments of a function of others."""


class AnyReader(Protocol):
    """What the loaders ask of a reader, ours or another's."""

    @property
    def batched_output(self) -> bool:
        """Whether its items are row groups."""

    @property
    def schema(self) -> Value:
        """A `Unischema`: what the items are made of."""

    @property
    def ngram(self) -> Value:
        """The `NGram` whose windows are the items, or None."""

    @property
    def num_epochs(self) -> Value:
        """Epochs in one pass, None if it never ends."""

    @property
    def last_row_consumed(self) -> bool:
        """Whether the pass is at its end."""

    def __len__(self) -> int: ...

    def __next__(self) -> Item: ...

    def __iter__(self) -> Iterator[Item]: ...

    def reset(self) -> None:
        """Begin another pass."""

    def stop(self) -> None:
        """End the workers."""

    def join(self) -> None:
        """Wait for their end."""
