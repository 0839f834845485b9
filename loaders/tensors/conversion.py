"""Nulls, and arrays of different sizes, as plain arrays with a second column that says which and how large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from loaders.axes import Array, DType, Ints
from loaders.decoding.values import Batch, dense_dtype
from loaders.errors import FormatError
from loaders.format.fields import Field
from loaders.tensors.ragged import empty_value, join, pad, varying_axes

Ragged = Literal["pad", "nested", "list"]
Nulls = Literal["error", "mask"] | Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Joined:
    """The values of a column end to end.

    Attributes:
        values: (sum of lengths, ...).
        offsets: Where each begins and the last ends, int64 (N + 1,).
    """

    values: Array
    offsets: Ints


class Conversion:
    """Makes columns that one tensor can hold of those that it cannot.

    Args:
        fields: Columns of the batches; a transform may add others.
        ragged: What becomes of columns of arrays that differ in size: `pad`, `nested` (`Joined`), `list`.
        nulls: What becomes of nulls in arrays: `error`, `mask`, or the value to put in their place, by column.

    Raises:
        FormatError: If a column is unknown, or an option does not fit it.
    """

    def __init__(self, fields: Sequence[Field], *, ragged: Mapping[str, Ragged], nulls: Nulls) -> None:
        self._fields = {field.name: field for field in fields}
        self._ragged = dict(ragged)
        self._nulls: Nulls = nulls if isinstance(nulls, str) else dict(nulls)
        self._check()

    def convert(self, batch: Batch) -> Batch:
        """Return the batch in which numbers come in arrays without masks; the rest is as it was.

        Raises:
            FormatError: If a column holds nulls that nobody wants, or arrays that do not fit together.
        """
        out: Batch = {}
        for name, value in batch.items():
            if isinstance(value, list) and name in self._ragged:
                out |= self._convert_ragged(name, value)
            elif isinstance(value, np.ma.MaskedArray) and value.dtype.kind in "biufc":
                out |= self._convert_masked(name, value)
            else:
                out[name] = value
        return out

    def _convert_masked(self, name: str, value: np.ma.MaskedArray[tuple[int, ...], DType]) -> Batch:
        if self._nulls == "mask":
            # The reader masks whole rows; of an array that a transform masked in part, no row with a hole is valid.
            mask = np.ma.getmaskarray(value).reshape(len(value), -1)  # (rows, elements of a row)
            return {name: value.data, f"{name}_valid": ~mask.any(axis=1)}
        if np.ma.is_masked(value):
            return {name: value.filled(self._in_place_of_null(name))}
        return {name: value.data}

    def _convert_ragged(self, name: str, values: Sequence[Array]) -> Batch:
        field, out = self._fields[name], Batch()
        if any(isinstance(value, list) for value in values):
            raise FormatError(
                f"column {name}, ragged={self._ragged[name]!r}: samples are sequences, each with a list of arrays; "
                "leave the column out of `ragged` or lay it together in the reader's transform"
            )
        if self._nulls == "mask" and field.nullable:
            out[f"{name}_valid"] = np.array([value is not None for value in values], dtype=bool)
        if any(value is None for value in values):
            blank = empty_value(field, next((value for value in values if value is not None), None))
            if self._nulls != "mask":
                blank = np.asarray(self._in_place_of_null(name), dtype=blank.dtype)
            values = [blank if value is None else value for value in values]
        try:
            return {**self._laid_together(name, values), **out}
        except FormatError as error:
            raise FormatError(f"column {name}, ragged={self._ragged[name]!r}: {error}") from None

    def _laid_together(self, name: str, values: Sequence[Array]) -> Batch:
        how = self._ragged[name]
        if how == "list":
            return {name: list(values)}
        if how == "nested":
            return {name: Joined(*join(values))}
        padded, sizes = pad(values, axes=varying_axes(self._fields[name]))
        if sizes.shape[1] == 1:
            return {name: padded, f"{name}_lengths": sizes[:, 0]}
        return {name: padded, f"{name}_sizes": sizes}

    def _in_place_of_null(self, name: str) -> Any:
        if isinstance(self._nulls, Mapping) and name in self._nulls:
            return self._nulls[name]
        raise FormatError(
            f"column {name} holds nulls, and a tensor cannot; fill them, nulls={{{name!r}: 0}}, have them marked, "
            f"nulls='mask', or fill them in the reader's transform, e.g. batch[{name!r}] = batch[{name!r}].filled(0)"
        )

    def _check(self) -> None:
        filled: Mapping[str, object] = {} if isinstance(self._nulls, str) else self._nulls
        if isinstance(self._nulls, str) and self._nulls not in ("error", "mask"):
            raise FormatError(f"nulls is 'error', 'mask' or a value for each column, found {self._nulls!r}")
        for option, names in (("ragged", self._ragged), ("nulls", filled)):
            if unknown := sorted(set(names) - self._fields.keys()):
                raise FormatError(f"{option} names {unknown}, the reader has {sorted(self._fields)}")
        for name, how in self._ragged.items():
            axes = varying_axes(self._fields[name])
            if how not in ("pad", "nested", "list"):
                raise FormatError(f"column {name}: ragged is 'pad', 'nested' or 'list', found {how!r}")
            if axes == 0:
                raise FormatError(f"column {name} has a fixed shape and comes as one array; leave it out of ragged")
            if how == "nested" and axes != 1:
                raise FormatError(f"column {name}: more than one axis varies; 'nested' is for one, use 'pad' or 'list'")
        for name, value in filled.items():
            _check_filler(self._fields[name], value)


def _check_filler(field: Field, value: object) -> None:
    """Refuse a value that would become another one: 0.5 or NaN for integers, 300 for uint8."""
    dtype = dense_dtype(field)
    if dtype is not None and dtype.kind in "biufc":
        given = np.asarray(value)
        with np.errstate(all="ignore"):
            if given.dtype.kind in "biuf" and (dtype.kind == "f" or np.array_equal(given, given.astype(dtype))):
                return
    raise FormatError(f"nulls={{{field.name!r}: {value!r}}} is no value of {dtype or field.type_name}")
