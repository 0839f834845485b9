"""Filters as users of pyarrow, pandas and Petastorm write them: checked, brought into one form, evaluated.

    [("label_index", "in", [1, 2]), ("width", ">=", 640)]          both must hold
    [[("label_index", "=", 1)], [("weight", "is null")]]           one of the lists must hold

A value is taken in the type of its column: 0.7 means float32(0.7) beside a float32 column. Text is compared by code
point, binary by byte. A null matches `is null` and nothing else; NaN matches `!=`, `not in` and `is not null`, as in
numpy.
"""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.axes import Mask
from loaders.errors import FormatError
from loaders.format.digest import one_array
from loaders.format.fields import Field, numpy_dtype
from loaders.ordering.bounds import Bounds
from schemas.canonical import canonical_json

Value: TypeAlias = Any
"""A plain value of Python's that a column is compared with: a number, text, bytes, a Decimal, True or False."""

_COMPARE: Mapping[str, Callable[[Value, Value], object]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_COMPUTE: Mapping[str, Callable[[pa.Array, pa.Scalar], pa.Array]] = {
    "=": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip
_NULLS = ("is null", "is not null")
_LISTS = ("in", "not in")
OPERATORS = ("=", "==", *(name for name in _COMPARE if name != "="), *_LISTS, *_NULLS)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_EXAMPLE = '[("label_index", "in", [1, 2]), ("width", ">=", 640)]'


class FilterColumn(Protocol):
    """A column that a filter looks at: a `Field`, or what else says this of itself."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def type(self) -> pa.DataType:
        """Its Arrow type."""

    @property
    def codec(self) -> str:
        """`raw` for values that can be compared."""


C = TypeVar("C", bound=FilterColumn)


@dataclass(frozen=True, slots=True)
class Term:
    """One condition.

    Attributes:
        field: The column.
        operator: One of `OPERATORS`, `=` for `==`.
        values: What it is compared with, in the column's type (dates as days, timestamps in the column's unit): one
            value; any number, sorted, for `in` and `not in`; none for `is null` and `is not null`.
    """

    field: FilterColumn
    operator: str
    values: tuple[Value, ...] = ()

    def canonical(self) -> list[object]:
        """Return the term as JSON: equal for terms that mean the same."""
        return [self.field.name, self.operator, [_canonical_value(value) for value in self.values]]

    def may_match(self, bounds: Bounds) -> bool:
        """Return False if no row of a row group with these bounds can match."""
        if self.operator == "is null":
            return bounds.nulls != 0
        if bounds.nulls == bounds.rows:
            return False
        lower, upper = bounds.lower, bounds.upper
        if self.operator == "is not null" or lower is None or upper is None:
            return True
        match self.operator:
            case "=" | "in":
                return any(lower <= value <= upper for value in self.values)
            case "!=" | "not in":
                # Bounds say nothing about NaN, which matches.
                return pa.types.is_floating(self.field.type) or lower != upper or lower not in self.values
            case "<" | "<=":
                return bool(_COMPARE[self.operator](lower, self.values[0]))
            case _:
                return bool(_COMPARE[self.operator](upper, self.values[0]))

    def matches(self, column: pa.Array | pa.ChunkedArray) -> Mask:
        """Return which values of an Arrow column match; shape (rows,)."""
        values = one_array(column)
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        found = values.is_valid()
        if self.operator == "is null":
            found = pc.invert(found)
        elif self.operator != "is not null":
            found = pc.and_(found, self._compared(_comparable(values)))
        mask: Mask = found.fill_null(False).to_numpy(zero_copy_only=False)
        return mask

    def _compared(self, values: pa.Array) -> pa.Array:
        """Return where the values that are not null are as the term says; bool, where they are null whatever."""
        kind = values.type
        if self.operator in _LISTS:
            listed = _listed(values, self.values)
            return listed if self.operator == "in" else pc.invert(listed)
        given = self.values[0]
        if pa.types.is_integer(kind) and not _fits(given, kind):  # beyond all that can be stored, so as beside 0
            return pa.scalar(bool(_COMPARE[self.operator](0, given)))
        return _COMPUTE[self.operator](values, pa.scalar(given, None if pa.types.is_decimal(kind) else kind))


@dataclass(frozen=True, slots=True)
class Filter:
    """Alternatives; a row is read if all terms of one of them match.

    Attributes:
        alternatives: At least one, of at least one term each; sorted, without repetitions.
    """

    alternatives: tuple[tuple[Term, ...], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns it looks at, sorted."""
        return tuple(sorted({term.field.name for terms in self.alternatives for term in terms}))

    def canonical(self) -> list[object]:
        """Return the filter as JSON: the same for another order of terms, alternatives or listed values."""
        return [[term.canonical() for term in terms] for terms in self.alternatives]

    def may_match(self, bounds: Callable[[FilterColumn], Bounds]) -> bool:
        """Return False if the bounds of its columns exclude that any row of a row group matches."""
        return any(all(term.may_match(bounds(term.field)) for term in terms) for terms in self.alternatives)

    def matches(self, data: pa.Table) -> Mask:
        """Return which rows match; shape (rows,). `data` holds at least `columns`."""
        found = [
            reduce(np.logical_and, [term.matches(data.column(term.field.name)) for term in terms])
            for terms in self.alternatives
        ]
        mask: Mask = reduce(np.logical_or, found)
        return mask


def parse_filter(value: object, fields: Sequence[FilterColumn]) -> Filter:
    """Check a filter as the user wrote it.

    Args:
        value: A list of (column, operator, value), all of which must hold; or a list of such lists, one of which
            must hold. `is null` and `is not null` take no value.
        fields: All columns of the split, also those that are not read.

    Raises:
        FormatError: If it has another form, names an unknown column or operator, or compares what cannot be.
    """
    alternatives = _alternatives(value)
    known = {field.name: field for field in fields}
    parsed = {}
    for terms in alternatives:
        unique = {canonical_json(term.canonical()): term for term in (_term(entry, known) for entry in terms)}
        chosen = tuple(unique[text] for text in sorted(unique))
        parsed[canonical_json([term.canonical() for term in chosen])] = chosen
    return Filter(tuple(parsed[text] for text in sorted(parsed)))


def scalar_field(name: object, known: Mapping[str, Field], *, role: str) -> Field:
    """Return the column of that name.

    Raises:
        FormatError: If there is none, naming the nearest, or it holds no plain numbers, text, times or booleans.
    """
    field = _known(name, known, role=role)
    if field.codec != "raw" or (numpy_dtype(field.type) is None and not pa.types.is_string(field.type)):
        raise FormatError(
            f"{role}: column {field.name} holds {field.type} (codec {field.codec}); "
            "only numbers, booleans, text, timestamps and dates can be compared"
        )
    return field


def _known(name: object, known: Mapping[str, C], *, role: str) -> C:
    field = known.get(name) if isinstance(name, str) else None
    if field is None:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
        raise FormatError(f"{role}: there is no column {name!r}; {hint}")
    return field


def _alternatives(value: object) -> list[Sequence[object]]:
    if not isinstance(value, list | tuple) or not value or isinstance(value[0], str):
        raise FormatError(f"a filter is a list of terms like {_EXAMPLE}, or a list of such lists; found {value!r}")
    is_flat = [_is_term(entry) for entry in value]
    if all(is_flat):
        return [value]
    if any(is_flat) or not all(isinstance(entry, list | tuple) and entry for entry in value):
        raise FormatError(f"a filter holds either terms like {_EXAMPLE} or lists of terms, not both; found {value!r}")
    return list(value)


def _is_term(entry: object) -> bool:
    return isinstance(entry, list | tuple) and bool(entry) and isinstance(entry[0], str)


def _term(entry: object, known: Mapping[str, FilterColumn]) -> Term:
    if not isinstance(entry, list | tuple) or not 2 <= len(entry) <= 3:
        raise FormatError(f"a term of a filter is (column, operator, value), found {entry!r}")
    field = _known(entry[0], known, role="filter")
    if field.codec != "raw" or not _is_comparable(field.type):
        raise FormatError(
            f"filter: column {field.name} holds {field.type} (codec {field.codec}); "
            "only numbers, booleans, text, binary, timestamps and dates can be compared"
        )
    name = "=" if entry[1] == "==" else entry[1]
    if name not in OPERATORS:
        raise FormatError(f"filter on {field.name}: unknown operator {name!r}; use one of {', '.join(OPERATORS)}")
    value = entry[2] if len(entry) == 3 else None
    if name in _NULLS:
        if value is not None:
            raise FormatError(f"filter on {field.name}: {name!r} takes no value, found {value!r}")
        return Term(field, name)
    if value is None:
        raise FormatError(f"filter on {field.name}: {name!r} needs a value; for missing values use 'is null'")
    if name in _LISTS:
        if isinstance(value, str | bytes) or not isinstance(value, Collection) or isinstance(value, Mapping):
            raise FormatError(f"filter on {field.name}: {name!r} needs a list of values, found {value!r}")
        return Term(field, name, tuple(sorted({_value(item, field) for item in value})))
    if pa.types.is_boolean(field.type) and name not in ("=", "!="):
        raise FormatError(f"filter on {field.name}: booleans have no order; use = or !=, not {name!r}")
    return Term(field, name, (_value(value, field),))


def _value(value: object, field: FilterColumn) -> Value:
    """Return a value in the type of the column, as a plain Python value."""
    kind = field.type
    given = value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value
    found: Value = None
    if pa.types.is_boolean(kind):
        found = given if isinstance(given, bool) else None
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        found = given if isinstance(given, str) and _is_unicode(given) else None
    elif pa.types.is_temporal(kind):
        found = _clock(given, kind)
    elif pa.types.is_decimal(kind):
        found = _decimal(given)
    elif _is_text(kind):
        found = given if isinstance(given, bytes) else None
    elif isinstance(given, int | float) and not isinstance(given, bool):
        found = _number(given, kind)
    if found is None:
        raise FormatError(
            f"filter on {field.name}: the column holds {kind}, which cannot be compared with {value!r} "
            f"({type(value).__name__})"
        )
    return found


def _number(value: float, kind: pa.DataType) -> float | None:
    """Return a number as the column would store it; integers of any size stay as they are."""
    if pa.types.is_integer(kind):
        return int(value) if isinstance(value, int) or value.is_integer() else None
    try:
        with np.errstate(over="ignore"):
            stored = float(np.dtype(kind.to_pandas_dtype()).type(float(value)))
    except OverflowError:
        return None
    too_large = math.isinf(stored) and not math.isinf(value)
    return None if math.isnan(stored) or too_large else stored + 0.0  # -0 becomes 0


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    found = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return found if found.is_finite() else None


def _clock(value: object, kind: pa.DataType) -> int | None:
    """Return days for a date, a count of its units for a timestamp; numpy's times are in UTC."""
    is_date = pa.types.is_date(kind)
    if isinstance(value, np.datetime64):
        wanted = value.astype("datetime64[D]" if is_date else f"datetime64[{kind.unit}]")
        return int(wanted.astype(np.int64)) if wanted == value else None
    if is_date:
        return (value - _EPOCH.date()).days if isinstance(value, date) and not isinstance(value, datetime) else None
    if not pa.types.is_timestamp(kind) or not isinstance(value, datetime):
        return None
    if (value.tzinfo is None) != (kind.tz is None):
        return None
    epoch = _EPOCH if value.tzinfo is not None else _EPOCH.replace(tzinfo=None)
    count, rest = divmod((value - epoch) // timedelta(microseconds=1) * 1000, _NANOSECONDS[kind.unit])
    return None if rest else count


def _is_text(kind: pa.DataType) -> bool:
    """Whether values are text or binary, which Arrow compares."""
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    is_binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return bool(is_text or is_binary)


def _is_comparable(kind: pa.DataType) -> bool:
    is_clock = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(pa.types.is_boolean(kind) or is_number or is_clock or _is_text(kind))


def _canonical_value(value: Value) -> object:
    """Return JSON for one value: text as bytes, for canonical JSON brings text into NFC and we compare it as it is."""
    if isinstance(value, str):
        return {"text": value.encode()}
    if isinstance(value, bytes):
        return {"bytes": value}
    if isinstance(value, Decimal):
        return {"decimal": str(value.normalize())}
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _comparable(values: pa.Array) -> pa.Array:
    """Return a column in the type in which Arrow compares it: times as integers, as `Term.values` has them."""
    kind = values.type
    if pa.types.is_date(kind):
        return values.cast(pa.date32()).cast(pa.int32())
    if pa.types.is_timestamp(kind):
        return values.cast(pa.int64())
    if pa.types.is_float16(kind):
        return values.cast(pa.float32())
    is_fixed = pa.types.is_fixed_size_binary(kind) and not pa.types.is_decimal(kind)
    return values.cast(pa.binary()) if is_fixed else values


def _listed(values: pa.Array, given: tuple[Value, ...]) -> pa.Array:
    kind = values.type
    if pa.types.is_decimal(kind):  # Arrow looks up only those of one precision and scale
        return reduce(pc.or_, [pc.equal(values, value) for value in given], pc.is_null(values))
    if pa.types.is_integer(kind):
        given = tuple(value for value in given if _fits(value, kind))
    elif pa.types.is_floating(kind) and 0.0 in given:
        given = (*given, -0.0)  # the same number, and looked up as another
    return pc.is_in(values, value_set=pa.array(given, kind))


def _fits(value: int, kind: pa.DataType) -> bool:
    """Whether a type of integers can hold a value."""
    limits = np.iinfo(kind.to_pandas_dtype())
    return bool(limits.min <= value <= limits.max)
