"""The `_common_metadata` that lets Petastorm 0.13 read a split folder.

Petastorm keeps its schema as a pickle. It is written here as text, opcode by opcode (protocol 0, pure ASCII), from
our own fields or from a description of others: nothing is imported, nothing is unpickled. Readers of split folders
never look at it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from loaders.format.fields import Field, arrow_schema
from loaders.format.manifest import PartReceipt

_UNISCHEMA = b"dataset-toolkit.unischema.v1"
_ROW_GROUPS = b"dataset-toolkit.num_row_groups_per_file.v1"
_FIELDS = b"petrel.fields.v1"

_RECONSTRUCT = "ccopy_reg\n_reconstructor\n"
_OBJECT = "c__builtin__\nobject\nN"
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


def common_metadata(fields: Sequence[Field], parts: Sequence[PartReceipt]) -> bytes:
    """Return the bytes of `_common_metadata` of a split folder."""
    counts = {part.name: len(part.row_groups) for part in parts}
    schema = arrow_schema(fields).with_metadata(
        {
            _UNISCHEMA: unischema_pickle(fields).encode("ascii"),
            _ROW_GROUPS: json.dumps(counts, sort_keys=True).encode(),
            _FIELDS: json.dumps([each.to_json() for each in fields], sort_keys=True).encode(),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_metadata(schema, sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


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


def unischema_pickle(fields: Sequence[Field]) -> str:
    """Return the protocol 0 pickle of a `petastorm.unischema.Unischema` with these fields.

    Columns that Petastorm cannot read are left out, and it reads the others: maps, lists of text, and timestamps that
    may be missing, on whose nulls it fails.
    """
    return schema_pickle("petrel", [_stored(each) for each in fields if _is_known(each)])


def schema_pickle(name: str, fields: Sequence[StoredField]) -> str:
    """Return the protocol 0 pickle, ASCII, of a `petastorm.unischema.Unischema` with these name and fields."""
    entries = [(_text(each.name), _field(each), each.name) for each in fields]
    pairs = "".join(f"({key}{entry}l" for key, entry, _ in entries)
    state = f"{_text('_name')}{_text(name)}s{_text('_fields')}ccollections\nOrderedDict\n(({pairs}ltRs"
    state += "".join(f"{key}{entry}s" for key, entry, plain in entries if plain not in _TAKEN)
    return f"{_RECONSTRUCT}(cpetastorm.unischema\nUnischema\n{_OBJECT}tR(d{state}b."


def _is_known(field: Field) -> bool:
    if pa.types.is_timestamp(field.type):
        return not field.nullable
    return not pa.types.is_map(field.type) and field.type_name != "list<string>"


def _stored(field: Field) -> StoredField:
    dtype, shape, codec = _petastorm_type(field)
    return StoredField(field.name, ("numpy", _NUMPY_NAMES.get(dtype, dtype)), shape, codec, field.nullable)


def _petastorm_type(field: Field) -> tuple[str, tuple[int | None, ...], StoredCodec | None]:
    if field.codec == "image" and (field.shape is None or len(field.shape) == 2 or field.shape[2] == 3):
        # Decoders go by content, whatever the name says.
        codec = StoredCodec("CompressedImageCodec", {"_image_codec": ".png", "_quality": 80})
        return "uint8", field.shape or (None, None, 3), codec
    if field.codec == "npy":
        return field.dtype or "", field.shape or (None,), StoredCodec("NdarrayCodec")
    if pa.types.is_list(field.type):
        return field.type_name[len("list<") : -1], (None,), None
    spark = _SPARK_TYPES.get(field.type_name)
    return field.type_name, (), None if spark is None else StoredCodec("ScalarCodec", spark_type=f"{spark}Type")


def _field(field: StoredField) -> str:
    """A UnischemaField: a tuple subclass of (name, numpy type, shape, codec, nullable)."""
    module, dtype = field.dtype
    axes = "".join("N" if axis is None else f"I{axis}\n" for axis in field.shape)
    codec = "N" if field.codec is None else _codec(field.codec)
    nullable = "N" if field.nullable is None else _value(field.nullable)
    values = f"({_text(field.name)}c{module}\n{dtype}\n({axes}t{codec}{nullable}t"
    return f"{_RECONSTRUCT}(cpetastorm.unischema\nUnischemaField\nc__builtin__\ntuple\n{values}tR"


def _codec(codec: StoredCodec) -> str:
    state = {key: _value(value) for key, value in codec.state.items()}
    if codec.spark_type is not None:
        inner = {key: _value(value) for key, value in codec.spark_state.items()}
        state["_spark_type"] = _instance("pyspark.sql.types", codec.spark_type, inner)
    return _instance("petastorm.codecs", codec.name, state)


def _instance(module: str, name: str, state: Mapping[str, str]) -> str:
    made = f"{_RECONSTRUCT}(c{module}\n{name}\n{_OBJECT}tR"
    return made + f"(d{''.join(f'{_text(key)}{value}s' for key, value in state.items())}b" if state else made


def _value(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "I01\n" if value else "I00\n"
    return _text(value) if isinstance(value, str) else f"I{value}\n"


def _text(value: str) -> str:
    """Text, with all but printable ASCII escaped, as the opcode reads it."""
    return "V" + "".join(one if " " <= one <= "~" and one != "\\" else _escaped(one) for one in value) + "\n"


def _escaped(one: str) -> str:
    return f"\\u{ord(one):04x}" if ord(one) < 1 << 16 else f"\\U{ord(one):08x}"
