"""Rows made up from a schema, for tests and for measuring."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from loaders.petastorm.kinds import Row, Value
from loaders.petastorm.unischema import Unischema, UnischemaField, scalar_type

LIST_SIZE = 13
"""Length of an axis that the schema leaves open."""


def generate_datapoint(schema: Unischema) -> Row:
    """Return a row with a random value, never null, for each field: arrays of the field's type and shape.

    Whole numbers are from the whole range of their type, others from 0 to 1; single values are arrays of shape (), as
    codecs take them, but text, bytes, dates and decimals, which are single values of their own types.
    """
    return {name: _value(field) for name, field in schema.fields.items()}


def _value(field: UnischemaField) -> Value:
    shape = tuple(LIST_SIZE if axis is None else axis for axis in field.shape)
    kind = scalar_type(field.numpy_dtype)
    random = np.random.default_rng()
    if kind is Decimal:
        return Decimal(int(random.integers(0, 1000))) / 100
    if issubclass(kind, np.integer):
        limits = np.iinfo(kind)
        return np.asarray(random.integers(limits.min, limits.max, size=shape, dtype=kind, endpoint=True))
    if kind is np.bool_:
        return np.asarray(random.random(shape) < 0.5)
    if issubclass(kind, np.inexact):
        return np.asarray(random.random(shape)).astype(kind)
    made = np.asarray(random.integers(0, 10_000, size=shape))
    unit = "datetime64[D]" if kind is np.datetime64 else "timedelta64[s]" if kind is np.timedelta64 else kind
    values = made.astype(unit)
    return values if shape else values[()]
