"""A reader without a dataset: it makes up every row from the schema."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np

from loaders.petastorm.kinds import Item, Row, Value
from loaders.petastorm.unischema import Unischema, UnischemaField, scalar_type

_AXIS = 10


class ReaderMock:
    """Gives rows without end, as `make_reader` does; the loaders take it for a reader.

    Args:
        schema: What a row is.
        schema_data_generator: Given the schema, returns the values of one row by name.
        ngram: Must be None.

    Raises:
        ValueError: If `ngram` is given.
    """

    def __init__(
        self, schema: Unischema, schema_data_generator: Callable[[Unischema], Row], ngram: object = None
    ) -> None:
        if ngram is not None:
            raise ValueError("Sequence argument not supported for ReaderMock")
        self.schema = schema
        self.schema_data_generator = schema_data_generator
        self.ngram = None
        self.batched_output = False
        self.is_batched_reader = False
        self.last_row_consumed = False

    def fetch(self) -> Item:
        """Return the next row, a namedtuple."""
        return self.schema.make_namedtuple(**self.schema_data_generator(self.schema))

    def next(self) -> Item:
        """Return the next row."""
        return self.fetch()

    def reset(self) -> None:
        """Begin again; there is no end, so nothing changes."""

    def stop(self) -> None:
        """End; there is nothing to end."""

    def join(self) -> None:
        """Wait for the end; there is nothing to wait for."""

    def __iter__(self) -> ReaderMock:
        return self

    def __next__(self) -> Item:
        return self.fetch()

    def __enter__(self) -> ReaderMock:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def schema_data_generator_example(schema: Unischema) -> Row:
    """Return a row of zeros: arrays of the field's type and shape, 10 for an axis that is open."""
    return {name: _zeros(field) for name, field in schema.fields.items()}


def _zeros(field: UnischemaField) -> Value:
    kind = scalar_type(field.numpy_dtype)
    if kind is Decimal:
        return Decimal("0.0")
    shape = [_AXIS if axis is None else axis for axis in field.shape]
    return np.zeros(shape, dtype="datetime64[us]" if kind is np.datetime64 else kind)
