"""Schemas and row group indexes that Petastorm stored as pickles: read as data, checked, made our own.

Every version of Petastorm, Python and numpy is understood, with neither of them needed. What is read is exactly what
`SCHEMA_NAMES` and `INDEX_NAMES` list; see `loaders.petastorm.etl.pickles` for why nothing else can happen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from loaders.axes import DType
from loaders.errors import FormatError
from loaders.petastorm import codecs
from loaders.petastorm.etl.pickles import DICT, SET, Data, Limits, Name, Record, Symbol, read_pickle, shown
from loaders.petastorm.spark_types import TYPE_NAMES, SparkType
from loaders.petastorm.unischema import Unischema, UnischemaField

SCHEMA_LIMITS = Limits(bytes=4 << 20, opcodes=400_000)
"""For 5,000 fields: those that Petrel stores take 70 opcodes each, 25 in a newer protocol."""

INDEX_LIMITS = Limits(bytes=64 << 20, opcodes=5_000_000)

Value = int | float | str | bytes | bool

# ------------------------------------------------------------------------------------------------- names

_PACKAGES = ("petastorm", "av.experimental.deepdrive.dataset_toolkit", "av.ml.dataset_toolkit")
_BUILTINS = ("builtins", "__builtin__")
_ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
_CODECS: Mapping[str, type[codecs.DataframeColumnCodec]] = {
    "ScalarCodec": codecs.ScalarCodec,
    "NdarrayCodec": codecs.NdarrayCodec,
    "CompressedNdarrayCodec": codecs.CompressedNdarrayCodec,
    "CompressedImageCodec": codecs.CompressedImageCodec,
}
_INDEXERS = ("SingleFieldIndexer", "FieldNotNullIndexer")
_NUMPY: Mapping[str, type[np.generic]] = {
    "bool": np.bool_, "bool_": np.bool_, "str_": np.str_, "unicode_": np.str_, "bytes_": np.bytes_,
    "string_": np.bytes_, "datetime64": np.datetime64, "timedelta64": np.timedelta64, "complex64": np.complex64,
    "complex128": np.complex128,
    **{name: np.dtype(name).type for name in (
        "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    )},
}  # fmt: skip
_PYTHON: Mapping[str, type[np.generic]] = {
    "bool": np.bool_, "bytes": np.bytes_, "str": np.str_, "unicode": np.str_, "int": np.int64, "long": np.int64,
    "float": np.float64,
}  # fmt: skip

_DTYPES: Mapping[Name, Any] = {
    **{("numpy", name): kind for name, kind in _NUMPY.items()},
    **{(module, name): kind for module in _BUILTINS for name, kind in _PYTHON.items()},
    ("decimal", "Decimal"): Decimal,
}
_UNISCHEMA = frozenset((f"{package}.unischema", "Unischema") for package in _PACKAGES)
_FIELD = frozenset((f"{package}.unischema", "UnischemaField") for package in _PACKAGES)
_CODEC = {(f"{package}.codecs", name): kind for package in _PACKAGES for name, kind in _CODECS.items()}
_SPARK = {("pyspark.sql.types", name): name for name in TYPE_NAMES}
_RECONSTRUCTOR = frozenset({("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor")})
_RESTORE = ("pyspark.serializers", "_restore")
_ORDERED = ("collections", "OrderedDict")
_OBJECT = frozenset((module, "object") for module in _BUILTINS)
_TUPLE = frozenset((module, "tuple") for module in _BUILTINS)

_SCHEMA_MAKERS = frozenset({*_UNISCHEMA, *_FIELD, *_CODEC, *_SPARK, *_RECONSTRUCTOR, _RESTORE, _ORDERED})
SCHEMA_NAMES = frozenset({*_SCHEMA_MAKERS, *_DTYPES, *_OBJECT, *_TUPLE})
"""Whatever a stored schema may name."""

_INDEXER = {(f"{package}.etl.rowgroup_indexers", name): name for package in _PACKAGES for name in _INDEXERS}
_DEFAULT_DICT = ("collections", "defaultdict")
_SET = frozenset((module, "set") for module in _BUILTINS)
_SCALAR = frozenset((module, "scalar") for module in _ARRAYS)
_DTYPE = ("numpy", "dtype")
_ENCODE = ("_codecs", "encode")
_INDEX_MAKERS = frozenset({*_INDEXER, *_RECONSTRUCTOR, *_SET, *_SCALAR, _DEFAULT_DICT, _DTYPE, _ENCODE})
INDEX_NAMES = frozenset({*_INDEX_MAKERS, *_OBJECT})
"""Whatever a stored index of row groups may name."""

# ------------------------------------------------------------------------------------------------- schema


def read_unischema(raw: bytes) -> Unischema:
    """Return the schema that is stored under `dataset-toolkit.unischema.v1`.

    Raises:
        UnsafePickleError: If the pickle names or does what no schema does.
        FormatError: If it describes no schema.
    """
    record = read_pickle(raw, names=SCHEMA_NAMES, makers=_SCHEMA_MAKERS, limits=SCHEMA_LIMITS)
    state = _state(_instance(record, _UNISCHEMA, "a Unischema"))
    name = _text(state.get("_name"), "the name of a schema")
    fields = []
    for key, value in _mapping(state.get("_fields"), "the fields of a schema", (_ORDERED, DICT)):
        made = _field(value)
        if made.name != key:
            raise _wrong(f"a field named {made.name!r}", f"one under the name {_show(key)}")
        fields.append(made)
    if len({made.name for made in fields}) != len(fields):
        raise _wrong("two fields with one name", "one")
    return Unischema(name, fields)


def _field(value: Data) -> UnischemaField:
    if isinstance(value, Record) and value.symbol.key == _RESTORE:
        values = _restored(value)
    elif isinstance(value, Record) and value.symbol.key in _RECONSTRUCTOR:
        values = _arguments(value, _FIELD, _TUPLE, "a field")
    elif isinstance(value, Record) and value.symbol.key in _FIELD and value.state is None:
        values = value.args
    else:
        raise _wrong(value, "a field")
    if len(values) != 5:
        raise _wrong(f"a field of {len(values)} values", "name, type, shape, codec, nullable")
    name, dtype, shape, codec, nullable = values
    _text(name, "the name of a field")
    if not isinstance(dtype, Symbol) or dtype.key not in _DTYPES:
        raise _wrong(dtype, f"the type of field {name!r}")
    if not (nullable is None or isinstance(nullable, bool)):
        raise _wrong(nullable, f"whether field {name!r} may be null")
    return UnischemaField(name, _DTYPES[dtype.key], _shape(shape, name), _codec(codec, name), nullable)


def _restored(value: Record) -> tuple[Any, ...]:
    """Return the values of a field as PySpark's replacement of named tuples wrote it: class, names, values."""
    wanted = UnischemaField._fields
    if len(value.args) != 3 or value.state is not None or value.args[0] != "UnischemaField":
        raise _wrong(value.args[0] if value.args else value, "UnischemaField")
    names, values = value.args[1:]
    if not isinstance(names, tuple | list) or not isinstance(values, tuple | list) or len(names) != len(values):
        raise _wrong(value, "names and values of a field")
    if len(names) != len(wanted) or any(name not in wanted for name in names if isinstance(name, str)):
        raise _wrong(value, f"a field with {', '.join(wanted)}")
    found = {_text(name, "a name"): each for name, each in zip(names, values, strict=True)}
    if found.keys() != set(wanted):
        raise _wrong(value, f"a field with {', '.join(wanted)}")
    return tuple(found[name] for name in wanted)


def _shape(value: Data, name: str) -> tuple[int | None, ...]:
    is_shape = isinstance(value, tuple) and len(value) <= 32
    if not is_shape or any(not (axis is None or (type(axis) is int and 0 <= axis < 1 << 31)) for axis in value):
        raise _wrong(value, f"the shape of field {name!r}")
    return value  # type: ignore[no-any-return]


def _codec(value: Data, name: str) -> Any:
    if value is None:
        return None
    record = _instance(value, _CODEC, f"the codec of field {name!r}")
    kind = _CODECS[_class_of(record).name]
    state = _state(record)
    if kind is codecs.ScalarCodec:
        return codecs.ScalarCodec(_spark_type(state.get("_spark_type"), name))
    if kind is not codecs.CompressedImageCodec:
        return kind()
    image, quality = state.get("_image_codec"), state.get("_quality", 80)
    if not isinstance(image, str) or not image.startswith(".") or not image[1:].isalnum() or len(image) > 16:
        raise _wrong(image, f"the kind of picture of field {name!r}")
    if type(quality) is not int or not 0 <= quality <= 100:
        raise _wrong(quality, f"the quality of pictures of field {name!r}")
    return codecs.CompressedImageCodec(image[1:], quality)


def _spark_type(value: Data, name: str) -> SparkType:
    record = _instance(value, _SPARK, f"the Spark type of field {name!r}")
    kind = _class_of(record).name
    if kind != "DecimalType":
        return SparkType(kind)
    state = _state(record)
    precision, scale = state.get("precision", 10), state.get("scale", 0)
    if type(precision) is not int or type(scale) is not int or not 0 <= scale <= precision <= 38:
        raise _wrong((precision, scale), f"precision and scale of field {name!r}")
    return SparkType(kind, precision, scale)


# ------------------------------------------------------------------------------------------------- index


_MOST_ORDINALS = 5_000_000
"""Row groups that an index may list, over all its values: a shared set counts wherever it stands."""


@dataclass(frozen=True, slots=True)
class StoredIndex:
    """One index of row groups.

    Attributes:
        class_name: `SingleFieldIndexer` or `FieldNotNullIndexer`.
        index_name: Under which selectors ask for it.
        column_name: What it is an index of.
        values: {value: ordinals of the row groups that hold it}, of a `SingleFieldIndexer`.
        ordinals: Row groups in which the column is not null throughout, of a `FieldNotNullIndexer`.
    """

    class_name: str
    index_name: str
    column_name: str
    values: dict[Value, set[int]] = field(default_factory=dict)
    ordinals: set[int] = field(default_factory=set)


def read_indexes(raw: bytes) -> dict[str, StoredIndex]:
    """Return what is stored under `dataset-toolkit.rowgroups_index.v1`, by name.

    Values are Python's own, not numpy's.

    Raises:
        UnsafePickleError: If the pickle names or does what no index does.
        FormatError: If it describes no indexes.
    """
    graph = read_pickle(raw, names=INDEX_NAMES, makers=_INDEX_MAKERS, limits=INDEX_LIMITS)
    indexes = {}
    for key, value in _mapping(graph, "indexes by name", (DICT,)):
        record = _instance(value, _INDEXER, "an index of row groups")
        state = _state(record)
        kind, name = _class_of(record).name, _text(state.get("_index_name"), "the name of an index")
        if name != key:
            raise _wrong(f"an index named {name!r}", f"one under the name {_show(key)}")
        column, data = _text(state.get("_column_name"), "a column's name"), state.get("_index_data")
        if kind == "FieldNotNullIndexer":
            indexes[name] = StoredIndex(kind, name, column, ordinals=_ordinals(data))
        else:
            indexes[name] = StoredIndex(kind, name, column, values=_by_value(data))
    return indexes


def _by_value(data: Data) -> dict[Value, set[int]]:
    if isinstance(data, Record) and data.symbol.key == _DEFAULT_DICT:
        made_of = [arg.key if isinstance(arg, Symbol) else None for arg in data.args]
        if len(made_of) > 1 or not _SET.issuperset(made_of):
            raise _wrong(data.args[0], "a defaultdict of sets")
        pairs = data.pairs
    else:
        pairs = _mapping(data, "row groups by value", (DICT,))
    found: dict[Value, set[int]] = {}
    made: dict[int, set[int]] = {}  # one set may stand under many keys, and is looked at once
    count = 0
    for key, value in pairs:
        if id(value) not in made:
            made[id(value)] = _ordinals(value)
        count += len(made[id(value)])
        if count > _MOST_ORDINALS:
            raise FormatError(f"an index of row groups that lists more than {_MOST_ORDINALS:,} ordinals")
        found.setdefault(_value(key), set()).update(made[id(value)])
    return found


def _ordinals(value: Data) -> set[int]:
    if not isinstance(value, Record) or value.symbol.key not in {SET, *_SET} or value.state is not None:
        raise _wrong(value, "a set of row groups")
    if len(value.args) > 1 or (value.args and not isinstance(value.args[0], list | tuple)):
        raise _wrong(value, "a set of row groups")
    items = [_value(item) for item in (*(value.args[0] if value.args else ()), *value.items)]
    if any(type(item) is not int or item < 0 for item in items):
        raise _wrong(value, "a set of ordinals")
    return set(items)  # type: ignore[arg-type]


def _value(value: Data) -> Value:
    """Return a value of a column: Python's, or numpy's unpacked by hand."""
    if type(value) in (int, float, str, bytes, bool):
        return value  # type: ignore[no-any-return]
    if not isinstance(value, Record) or value.symbol.key not in _SCALAR or value.state is not None:
        raise _wrong(value, "a value of a column")
    if len(value.args) != 2:
        raise _wrong(value, "a numpy scalar")
    dtype, raw = _dtype(value.args[0]), _bytes(value.args[1])
    if len(raw) != dtype.itemsize:
        raise _wrong(f"{len(raw)} bytes", f"one value of {dtype}")
    return np.frombuffer(raw, dtype=dtype)[0].item()  # type: ignore[no-any-return]


def _dtype(value: Data) -> DType:
    """Return the type of a numpy scalar: `dtype(name, align, copy)` with the state (version, byte order, ...)."""
    if not isinstance(value, Record) or value.symbol.key != _DTYPE or not value.args:
        raise _wrong(value, "a numpy dtype")
    name, state = value.args[0], value.state
    is_known = isinstance(name, str) and len(name) <= 12 and name[:1] in "biufSU" and name[1:].isdecimal()
    if not is_known or not isinstance(state, tuple | None) or (state and (len(state) < 2 or state[1] not in _ORDERS)):
        raise _wrong(name, "the dtype of a value of a column")
    try:
        dtype = np.dtype(name)
    except TypeError as error:
        raise _wrong(name, "the dtype of a value of a column") from error
    ordered: DType = dtype.newbyteorder(state[1]) if state else dtype
    return ordered


_ORDERS = ("<", ">", "|", "=")


def _bytes(value: Data) -> bytes:
    """Return bytes: as they are, as Python 2's text, or as Python 3 wrote them in old protocols."""
    if isinstance(value, Record) and value.symbol.key == _ENCODE and value.args[1:] in (("latin1",), ("latin-1",)):
        value = value.args[0]
    if isinstance(value, str):
        try:
            return value.encode("latin-1")
        except UnicodeEncodeError as error:
            raise _wrong(value, "bytes") from error
    if not isinstance(value, bytes):
        raise _wrong(value, "bytes")
    return value


# ------------------------------------------------------------------------------------------------- records


def _instance(value: Data, classes: Mapping[Name, Any] | frozenset[Name], what: str) -> Record:
    """Check that a record stands for an instance, made without arguments, of one of these classes."""
    if isinstance(value, Record) and value.symbol.key in classes and value.args == ():
        return value
    if isinstance(value, Record) and value.symbol.key in _RECONSTRUCTOR:
        if _arguments(value, classes, _OBJECT, what) is None:
            return value
    raise _wrong(value, what)


def _arguments(value: Record, classes: Mapping[Name, Any] | frozenset[Name], bases: frozenset[Name], what: str) -> Any:
    """Return the third argument of `_reconstructor(class, base, state)`."""
    if len(value.args) != 3 or not all(isinstance(arg, Symbol) for arg in value.args[:2]):
        raise _wrong(value, what)
    made, base, state = value.args
    if made.key not in classes:
        raise _wrong(made, what)
    if base.key not in bases or (base.key in _TUPLE) != isinstance(state, tuple):
        raise _wrong(base, what)
    return state


def _class_of(record: Record) -> Symbol:
    made = record.args[0] if record.symbol.key in _RECONSTRUCTOR else record.symbol
    return made


def _state(record: Record) -> dict[str, Any]:
    if record.state is None:
        return {}
    return {_text(key, "an attribute"): value for key, value in _mapping(record.state, "attributes", (DICT,))}


def _mapping(value: Data, what: str, kinds: Sequence[Name]) -> list[tuple[Any, Any]]:
    """Return the pairs of a mapping, be they put in one by one or given as a list of pairs."""
    if not isinstance(value, Record) or value.symbol.key not in kinds or value.state is not None:
        raise _wrong(value, what)
    given = value.args[0] if len(value.args) == 1 else value.args
    if not isinstance(given, list | tuple):
        raise _wrong(given, what)
    if any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in given):
        raise _wrong(value, what)
    return [*((pair[0], pair[1]) for pair in given), *value.pairs]


def _text(value: Data, what: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 1000:
        raise _wrong(value, what)
    return value


def _wrong(found: Data, wanted: str) -> FormatError:
    return FormatError(f"a stored schema or index is refused: expected {wanted}, found {_show(found)}")


def _show(value: Data) -> str:
    if isinstance(value, Record):
        inner = value.args[0] if value.symbol.key in _RECONSTRUCTOR and value.args else None
        return f"{value.symbol} of {inner}" if isinstance(inner, Symbol) else str(value.symbol)
    if isinstance(value, str | Symbol):
        return shown(str(value))
    return repr(value) if value is None or isinstance(value, bool) else f"a {type(value).__name__}"
