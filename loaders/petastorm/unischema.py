"""What a row is: named fields with a numpy type, a shape and a codec. Petastorm's `Unischema` under its names."""

from __future__ import annotations

import copy
import functools
import keyword
import operator
import re
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from loaders.petastorm import arrow_types, spark_types
from loaders.petastorm.codecs import DataframeColumnCodec
from loaders.petastorm.kinds import Item, NumpyType, Row, SparkKind, Value

__all__ = ["Unischema", "UnischemaField", "dict_to_spark_row", "insert_explicit_nulls", "match_unischema_fields"]


class UnischemaField(NamedTuple):
    """One field. Two are equal if all but their codecs are.

    Attributes:
        name: Of the field and of its column.
        numpy_dtype: Class of a numpy scalar, or `Decimal`.
        shape: Of one value; () for a single one; None in a place: that axis varies.
        codec: How a value is stored; None: in the column's own type.
        nullable: Whether a value may be missing.
    """

    name: str
    numpy_dtype: NumpyType
    shape: tuple[int | None, ...]
    codec: DataframeColumnCodec | None = None
    nullable: bool | None = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnischemaField) and _without_codec(self) == _without_codec(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(_without_codec(self))


def _without_codec(field: UnischemaField) -> tuple[Value, ...]:
    return field.name, field.numpy_dtype, field.shape, field.nullable


class Unischema:
    """Fields in their order; each is an attribute too, under its name, unless the class has one of that name.

    Args:
        name: Of the schema; rows are named tuples called `<name>_view`.
        fields: In order.
    """

    def __init__(self, name: str, fields: Iterable[UnischemaField]) -> None:
        self._name = name
        self._fields: OrderedDict[str, UnischemaField] = OrderedDict((field.name, field) for field in fields)
        for field in self._fields.values():
            if hasattr(self, field.name):
                warnings.warn(
                    f"Can not create dynamic property {field.name} because it conflicts with an existing property of "
                    "Unischema",
                    stacklevel=2,
                )
            else:
                setattr(self, field.name, field)

    @property
    def fields(self) -> OrderedDict[str, UnischemaField]:
        """{name: field}, in order."""
        return self._fields

    def __getattr__(self, name: str) -> Any:  # tells type checkers that fields are attributes
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def create_schema_view(self, fields: Sequence[UnischemaField | str]) -> Unischema:
        """Return a schema, `<name>_view`, of some of the fields: those given as fields first, in the order given.

        Those that patterns match follow in the order of this schema.

        Args:
            fields: Fields of this schema, of which the name counts alone, and regular expressions that match whole
                names.

        Raises:
            ValueError: If one is neither, or a field is not of this schema.
        """
        patterns = [field for field in fields if isinstance(field, str)]
        named = dict.fromkeys(field[0] for field in fields if isinstance(field, tuple) and field)
        if any(not isinstance(field, str | tuple) or not field for field in fields if field != ""):
            raise ValueError(
                'Elements of "fields" must be either a string (regular expressions) or an instance of UnischemaField '
                "class."
            )
        unknown = named.keys() - self._fields.keys()
        if unknown:
            raise ValueError(f"field {unknown} does not belong to the schema {self}")
        named |= dict.fromkeys(field.name for field in match_unischema_fields(self, patterns))
        return Unischema(f"{self._name}_view", [self._fields[name] for name in named])

    def make_namedtuple(self, /, **kargs: Value) -> Item:
        """Return a row of these values, one for each field."""
        return self._get_namedtuple()._make(self._in_order(kargs))

    def make_namedtuple_tf(self, /, *args: Value, **kargs: Value) -> Item:
        """Return a row of these values, in the order of the fields or by name."""
        if args and not kargs:
            return self._get_namedtuple()(*args)
        return self._get_namedtuple()._make([*args, *self._in_order(kargs, skip=len(args))])

    def as_spark_schema(self) -> SparkKind:
        """Return Spark's `StructType` of the columns in which rows are stored.

        Raises:
            ValueError: If a field has no codec and no type of Spark's fits it.
            ImportError: If PySpark is not installed.
        """
        return spark_types.struct_type(
            [(field.name, _spark_dtype(field), bool(field.nullable)) for field in self._fields.values()]
        )

    @classmethod
    def from_arrow_schema(cls, parquet_dataset: object, omit_unsupported_fields: bool = True) -> Unischema:
        """Return the schema, `inferred_schema`, of a folder of Parquet files of any origin; no field has a codec.

        See `arrow_types.numpy_form` for what becomes of each type.

        Args:
            parquet_dataset: A folder, with its `schema` and the names of its partitions; or an Arrow schema.
            omit_unsupported_fields: Leave out, with a warning, columns that have no form in numpy; else raise.

        Raises:
            ValueError: If a column is not supported and is not to be left out.
        """
        schema: pa.Schema = getattr(parquet_dataset, "schema", parquet_dataset)
        partitions = set(getattr(parquet_dataset, "partition_names", ()))
        fields = []
        for column in schema:
            try:
                dtype, shape = arrow_types.numpy_form(column.type)
            except ValueError:
                if not omit_unsupported_fields:
                    raise
                warnings.warn(
                    f"Column {column.name!r} has an unsupported field {column.type!r}. Ignoring...", stacklevel=2
                )
                continue
            nullable = column.nullable and column.name not in partitions
            fields.append(UnischemaField(column.name, dtype, shape, None, nullable))
        return cls("inferred_schema", fields)

    def _get_namedtuple(self) -> type[Item]:
        return row_type(self._name, tuple(self._fields))

    def _in_order(self, values: Row, skip: int = 0) -> list[Value]:
        names = list(self._fields)[skip:]
        if values.keys() != set(names):
            missing, unknown = sorted(set(names) - values.keys()), sorted(values.keys() - set(names))
            raise TypeError(f"a row of {self._name} needs one value for each field; missing {missing}, extra {unknown}")
        return [values[name] for name in names]

    def __str__(self) -> str:
        lines = "".join(
            f"  {type(field).__name__}('{field.name}', {_dtype_name(field.numpy_dtype)}, {field.shape}, {field.codec}, "
            f"{field.nullable}),\n"
            for field in self._fields.values()
        )
        return f"{type(self).__name__}({self._name}, [\n{lines}])"

    def __getstate__(self) -> dict[str, object]:
        return {"name": self._name, "fields": list(self._fields.values())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are taken it was warned when the schema was made
            self.__init__(state["name"], state["fields"])  # type: ignore[misc]


def match_unischema_fields(schema: Unischema, field_regex: Sequence[str] | None) -> list[UnischemaField]:
    """Return the fields of which the whole name matches one of the regular expressions, in the schema's order.

    Warns if a field matches with the beginning of its name alone: old versions of Petastorm took these too.
    """
    patterns = [re.compile(pattern) for pattern in field_regex or ()]
    fields = [field for field in schema.fields.values() if any(each.fullmatch(field.name) for each in patterns)]
    begins = [field.name for field in schema.fields.values() if any(each.match(field.name) for each in patterns)]
    lost = sorted(set(begins) - {field.name for field in fields})
    if lost:
        warnings.warn(
            "schema_fields behavior has changed. Now, regular expression pattern must match the entire field name. "
            f"The change in the behavior affects the following fields: {', '.join(lost)}",
            stacklevel=2,
        )
    return fields


def insert_explicit_nulls(unischema: Unischema, row_dict: Row) -> None:
    """Put None, in `row_dict` itself, where a field that may be null has no value.

    Raises:
        ValueError: If one that may not be null has none.
    """
    for name, field in unischema.fields.items():
        if name not in row_dict:
            if not field.nullable:
                raise ValueError(f"Field {name} is not found in the row_dict, but is not nullable.")
            row_dict[name] = None


def is_structure(field: UnischemaField) -> bool:
    """Whether a field that was inferred holds structs, maps or lists of lists."""
    nested = len(field.shape) > 1 and None in field.shape
    return field.codec is None and (field.numpy_dtype is np.object_ or nested)


def dict_to_spark_row(unischema: Unischema, row_dict: Row) -> Row:
    """Return a `pyspark.Row` with the values as they are stored, in the schema's order.

    Raises:
        ValueError: If the names are not those of the schema, or a value is not what its field declares.
        TypeError: If a field for single values is given several.
        ImportError: If PySpark is not installed.
    """
    encoded = encode_row(unischema, row_dict)
    made: Row = spark_types.make_row(list(encoded), list(encoded.values()))
    return made


def encode_row(unischema: Unischema, row_dict: Row) -> Row:
    """Return the values as they are stored, in the schema's order; raises as `dict_to_spark_row`."""
    if not isinstance(unischema, Unischema):
        raise TypeError(f"expected a Unischema, found {type(unischema).__name__}")
    row = copy.copy(row_dict)
    insert_explicit_nulls(unischema, row)
    if row.keys() != unischema.fields.keys():
        found, wanted = "\n".join(sorted(row)), "\n".join(unischema.fields)
        raise ValueError(f"Dictionary fields \n{found}\n do not match schema fields \n{wanted}")
    return {name: _encoded(field, row[name]) for name, field in unischema.fields.items()}


def _encoded(field: UnischemaField, value: Value) -> Value:
    if value is None:
        if not field.nullable:
            raise ValueError(f'Field {field.name} is not "nullable", but got a None value')
        return None
    if field.codec is not None:
        return field.codec.encode(field, value)
    value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    return _as_text(field, value) if isinstance(value, bytes) else value


def _as_text(field: UnischemaField, value: bytes) -> str:
    """Return bytes of a field without a codec, whose column holds text."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        message = f"Field {field.name} holds bytes that are no text; give it ScalarCodec(BinaryType())"
        raise ValueError(message) from error


def _spark_dtype(field: UnischemaField) -> SparkKind:
    if isinstance(field.codec, DataframeColumnCodec):
        return field.codec.spark_dtype()
    if field.shape != ():
        raise ValueError(
            f"An instance of non-scalar UnischemaField '{field.name}' has codec set to None. Don't know how to guess a "
            "Spark type for it"
        )
    kind = spark_types.type_of_numpy(field.numpy_dtype)
    if kind is None:
        raise ValueError(f"Was not able to map type {field.numpy_dtype} to a spark type.")
    return kind


def _dtype_name(numpy_dtype: NumpyType) -> str:
    return numpy_dtype.__name__ if isinstance(numpy_dtype, type) else str(numpy_dtype)


_SPECIAL = re.compile(r"__[a-z]+__")
"""Names of what Python calls by itself; values of a row must not stand there."""


@functools.cache
def row_type(schema_name: str, names: tuple[str, ...]) -> type[Item]:
    """Return the class of rows, `<schema_name>_view`: a named tuple, one for each name and fields, that pickles.

    Names that a named tuple does not allow, as `_source` or `my-column`, stay as they are: `row._source`,
    `getattr(row, "my-column")`. Those of the form of Python's own methods, as `__del__`, are no attributes.
    """
    type_name = re.sub(r"\W", "_", f"{schema_name}_view")
    if type_name[0].isdigit() or keyword.iskeyword(type_name):
        type_name = f"_{type_name}"
    base: Any = namedtuple(type_name, names, rename=True)  # type: ignore[misc]
    members: dict[str, object] = {"__slots__": (), "__reduce__": _reduce_row, "_schema_name": schema_name}
    if base._fields != names:
        members |= {"_fields": names, "__match_args__": names, "__repr__": _repr_row, "_replace": _replace_row}
        members |= {
            name: property(operator.itemgetter(at)) for at, name in enumerate(names)
            if not hasattr(base, name) and name not in members and not _SPECIAL.fullmatch(name)
        }  # fmt: skip
    return type(type_name, (base,), {**members, "__module__": __name__})


def _reduce_row(row: Item) -> tuple[Value, ...]:
    return _restored_row, (row._schema_name, row._fields, tuple(row))


def _restored_row(schema_name: str, names: tuple[str, ...], values: tuple[Value, ...]) -> Item:
    return row_type(schema_name, names)._make(values)


def _repr_row(row: Item) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in zip(row._fields, row, strict=True))
    return f"{type(row).__name__}({values})"


def _replace_row(row: Item, /, **values: Value) -> Any:
    unknown = values.keys() - set(row._fields)
    if unknown:
        raise ValueError(f"Got unexpected field names: {sorted(unknown)!r}")
    return row._make([values.get(name, value) for name, value in zip(row._fields, row, strict=True)])


def scalar_type(numpy_dtype: NumpyType) -> NumpyType:
    """Return the class of a field's values: `Decimal`, or that of a numpy scalar; `object_` for None, any value."""
    if numpy_dtype is None:
        return np.object_  # to numpy None is float64
    return Decimal if numpy_dtype is Decimal else np.dtype(numpy_dtype).type
