"""The `_common_metadata` that lets Petastorm 0.13 read a split folder.

Petastorm keeps its schema as a pickle. It is written here as text, opcode by opcode (protocol 0, pure ASCII), from
our own fields or from a description of others: nothing is imported, nothing is unpickled. Readers of split folders
never look at it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from loaders.format.fields import Field, arrow_schema
from loaders.format.files import TEMPORARY_PREFIX, sync_file
from loaders.format.manifest import COMMON_METADATA, PartReceipt

_UNISCHEMA = b"dataset-toolkit.unischema.v1"
_ROW_GROUPS = b"dataset-toolkit.num_row_groups_per_file.v1"
_FIELDS = b"petrel.fields.v1"

_RECONSTRUCT = "ccopy_reg\n_reconstructor\n"
_OBJECT = "c__builtin__\nobject\nN"
_CODECS, _SPARK = "petastorm.codecs", "pyspark.sql.types"
_SPARK_TYPES = {
    "bool": "Boolean", "int8": "Byte", "int16": "Short", "int32": "Integer", "int64": "Long", "uint8": "Short",
    "uint16": "Integer", "float32": "Float", "float64": "Double", "string": "String", "binary": "Binary",
    "timestamp[us, UTC]": "Timestamp", "date32": "Date",
}  # fmt: skip
# numpy.bool_, str_ and bytes_ exist in numpy 1 and 2; numpy.bool does not.
_NUMPY_NAMES = {
    "bool": "bool_", "string": "str_", "binary": "bytes_", "timestamp[us, UTC]": "datetime64", "date32": "datetime64"
}  # fmt: skip
# Under these names an instance has something else than a field.
_TAKEN = frozenset((
    "_name", "_fields", "fields", "create_schema_view", "as_spark_schema", "make_namedtuple", "make_namedtuple_tf",
    "from_arrow_schema", "_get_namedtuple",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Instance:
    """An object in the pickle.

    Attributes:
        module: Where Petastorm imports its class from.
        name: Name of the class.
        state: Its attributes: text, numbers, other instances.
    """

    module: str
    name: str
    state: Mapping[str, str | int | Instance] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnischemaEntry:
    """A field of a `Unischema`.

    Attributes:
        name: Its name.
        dtype: Module and name of the class of its values: ("numpy", "int64"), ("decimal", "Decimal").
        shape: Of one value; None in a place: that axis varies.
        codec: Its codec, None for none.
        nullable: Whether a value may be missing.
    """

    name: str
    dtype: tuple[str, str]
    shape: tuple[int | None, ...]
    codec: Instance | None
    nullable: bool


def write_common_metadata(folder: Path, fields: Sequence[Field], parts: Sequence[PartReceipt]) -> Path:
    """Write `_common_metadata` of a split folder, whole or not at all, and return its path."""
    counts = {part.name: len(part.row_groups) for part in parts}
    schema = arrow_schema(fields).with_metadata(
        {
            _UNISCHEMA: unischema_pickle("petrel", entries_of(fields)).encode("ascii"),
            _ROW_GROUPS: json.dumps(counts, sort_keys=True).encode(),
            _FIELDS: json.dumps([each.to_json() for each in fields], sort_keys=True).encode(),
        }
    )
    path = folder / COMMON_METADATA
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}")
    pq.write_metadata(schema, str(temporary))
    sync_file(temporary)
    temporary.replace(path)
    return path


@dataclass(frozen=True, slots=True)
class StoredCodec:
    """A codec as it is pickled.

    Attributes:
        name: Of the class in `petastorm.codecs`.
        state: Its attributes that are text or numbers.
        spark_type: Name of the type of Spark's in which a `ScalarCodec` stores, else None.
        spark_state: Attributes of that type.
    """

    name: str
    state: Mapping[str, str | int] = field(default_factory=dict)
    spark_type: str | None = None
    spark_state: Mapping[str, int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredField:
    """A field of a Unischema as it is pickled.

    Attributes:
        name: Of the field.
        dtype: Module and name of its type: of numpy, or `Decimal`.
        shape: Of one value; None in a place: that axis varies.
        codec: How it is stored; None: as it is.
        nullable: Whether a value may be missing; None: not said.
    """

    name: str
    dtype: tuple[str, str]
    shape: tuple[int | None, ...] = ()
    codec: StoredCodec | None = None
    nullable: bool | None = False


def unischema_pickle(name: str, entries: Sequence[UnischemaEntry]) -> str:
    """Return the protocol 0 pickle of a `petastorm.unischema.Unischema` with this name and these fields."""
    fields = [(_text(entry.name), _field(entry)) for entry in entries]
    pairs = "".join(f"({name}{entry}l" for name, entry in fields)
    state = f"V_name\n{_text(name)}sV_fields\nccollections\nOrderedDict\n(({pairs}ltRs"
    state += "".join(f"{name}{entry}s" for name, entry in fields)
    return f"{_RECONSTRUCT}(cpetastorm.unischema\nUnischema\n{_OBJECT}tR(d{state}b."


def spark_type(name: str, **state: int) -> Instance:
    """Return a type of Spark's, as in `spark_type("LongType")`."""
    return Instance(_SPARK, name, state)


def codec(name: str, **state: str | int | Instance) -> Instance:
    """Return a codec, as in `codec("CompressedImageCodec", _image_codec=".png", _quality=80)`."""
    return Instance(_CODECS, name, state)


def entries_of(fields: Sequence[Field]) -> list[UnischemaEntry]:
    """Return what Petastorm is told of our fields.

    It is not told of those that it cannot read, and reads the others: maps, lists of text, and timestamps that may be
    missing, on whose nulls it fails.
    """
    return [_entry(field) for field in fields if _is_known(field)]


def _is_known(field: Field) -> bool:
    if pa.types.is_timestamp(field.type):
        return not field.nullable
    return not pa.types.is_map(field.type) and field.type_name != "list<string>"


def _entry(field: Field) -> UnischemaEntry:
    dtype, shape, stored = _petastorm_type(field)
    return UnischemaEntry(field.name, ("numpy", dtype), shape, stored, field.nullable)


def _petastorm_type(field: Field) -> tuple[str, tuple[int | None, ...], Instance | None]:
    if field.codec == "image" and (field.shape is None or len(field.shape) == 2 or field.shape[2] == 3):
        # OpenCV decodes by content, whatever the name says.
        return "uint8", field.shape or (None, None, 3), codec("CompressedImageCodec", _image_codec=".png", _quality=80)
    if field.codec == "npy":
        return _NUMPY_NAMES.get(field.dtype or "", field.dtype or ""), field.shape or (None,), codec("NdarrayCodec")
    if pa.types.is_list(field.type):
        element = field.type_name[len("list<") : -1]
        return _NUMPY_NAMES.get(element, element), (None,), None
    spark = _SPARK_TYPES.get(field.type_name)
    name = _NUMPY_NAMES.get(field.type_name, field.type_name)
    return name, (), None if spark is None else codec("ScalarCodec", _spark_type=spark_type(f"{spark}Type"))


# ------------------------------------------------------------------------------------------- opcodes


def _field(entry: UnischemaEntry) -> str:
    """A UnischemaField: a tuple subclass of (name, type, shape, codec, nullable)."""
    module, name = entry.dtype
    axes = "".join("N" if axis is None else f"I{int(axis)}\n" for axis in entry.shape)
    nullable = "I01\n" if entry.nullable else "I00\n"
    stored = "N" if entry.codec is None else _value(entry.codec)
    values = f"({_text(entry.name)}c{module}\n{name}\n({axes}t{stored}{nullable}t"
    return f"{_RECONSTRUCT}(cpetastorm.unischema\nUnischemaField\nc__builtin__\ntuple\n{values}tR"


def _value(value: str | int | Instance) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return {True: "I01\n", False: "I00\n"}[value] if isinstance(value, bool) else f"I{value}\n"
    made = f"{_RECONSTRUCT}(c{value.module}\n{value.name}\n{_OBJECT}tR"
    state = "".join(f"V{name}\n{_value(held)}s" for name, held in value.state.items())
    return f"{made}(d{state}b" if state else made


def _text(text: str) -> str:
    """The opcode of a text, which ends with the line: what would end it, or is not ASCII, is written as its number."""
    return "V" + "".join(char if " " <= char <= "~" and char != "\\" else _escape(ord(char)) for char in text) + "\n"


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
