"""Row groups as pandas DataFrames, for the predicates and transforms of `make_batch_reader`, and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from loaders.decoding.arrow import expanded
from loaders.petastorm.columns import batch_column
from loaders.petastorm.kinds import Frame, Row, Value
from loaders.petastorm.transform import TransformSpec
from loaders.petastorm.unischema import Unischema, UnischemaField


def frame_of(columns: Mapping[str, Value]) -> Frame:
    """Return Arrow columns as a pandas DataFrame.

    Raises:
        ImportError: If pandas is not installed.
    """
    try:
        import pandas  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "predicates and transforms of make_batch_reader get a pandas DataFrame: pip install pandas"
        ) from error
    return pa.table({name: expanded(column) for name, column in columns.items()}).to_pandas()


def columns_of_frame(frame: Frame, schema: Unischema, transform: TransformSpec) -> Row:
    """Return a DataFrame that a transform returned as numpy columns.

    Raises:
        ValueError: If its columns are not those of the schema, or an array has another shape than its field.
    """
    dropped = set(transform.removed_fields or [])
    if transform.selected_fields is not None:
        dropped |= set(frame.columns) - set(schema.fields)
    found = [str(name) for name in frame.columns if name not in dropped]
    if set(found) != set(schema.fields):
        raise ValueError(
            f"Transformed result columns ({','.join(found)}) do not match required schema "
            f"columns({','.join(schema.fields)})"
        )
    return {
        name: _stacked(frame[name], field) if len(field.shape) > 1 else _series(frame[name], field)
        for name, field in schema.fields.items()
    }


def _series(series: Frame, field: UnischemaField) -> Value:
    if series.dtype != object and getattr(series.dtype, "kind", "O") in "biufM":
        return series.to_numpy()
    return batch_column(field, pa.Array.from_pandas(series))


def _stacked(series: Frame, field: UnischemaField) -> Value:
    """Return arrays of a DataFrame as one; the checks and messages are Petastorm's."""
    if None in field.shape:
        raise ValueError(
            f"All dimensions of a shape: {field.shape} in: {field.name} field must be constant. If a dimension is "
            "variable, we won't be able to coalesce rows when preparing a batch."
        )
    for value in series:
        if not isinstance(value, np.ndarray):
            raise ValueError(f"field {field.name} must be numpy array type.")
        if value.shape != tuple(field.shape):
            raise ValueError(f"field {field.name} must be the shape {field.shape}")
        if not value.flags.c_contiguous:
            raise ValueError(f"field {field.name} error: only support row major multi-dimensional array.")
    return np.stack(series.tolist())
