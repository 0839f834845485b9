"""The `_common_metadata` that lets Petastorm 0.13 read a split folder.

Petastorm keeps its schema as a pickle. It is written here as text, opcode by opcode (protocol 0, pure ASCII), from
our own fields: nothing is imported, nothing is unpickled, and our readers never look at it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
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
_SPARK_TYPES = {
    "bool": "Boolean", "int8": "Byte", "int16": "Short", "int32": "Integer", "int64": "Long", "uint8": "Short",
    "uint16": "Integer", "float32": "Float", "float64": "Double", "string": "String", "binary": "Binary",
    "timestamp[us, UTC]": "Timestamp", "date32": "Date",
}  # fmt: skip
# numpy.bool_, str_ and bytes_ exist in numpy 1 and 2; numpy.bool does not.
_NUMPY_NAMES = {
    "bool": "bool_", "string": "str_", "binary": "bytes_", "timestamp[us, UTC]": "datetime64", "date32": "datetime64"
}  # fmt: skip


def write_common_metadata(folder: Path, fields: Sequence[Field], parts: Sequence[PartReceipt]) -> Path:
    """Write `_common_metadata` of a split folder, whole or not at all, and return its path."""
    counts = {part.name: len(part.row_groups) for part in parts}
    schema = arrow_schema(fields).with_metadata(
        {
            _UNISCHEMA: unischema_pickle(fields).encode("ascii"),
            _ROW_GROUPS: json.dumps(counts, sort_keys=True).encode(),
            _FIELDS: json.dumps([field.to_json() for field in fields], sort_keys=True).encode(),
        }
    )
    path = folder / COMMON_METADATA
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}")
    pq.write_metadata(schema, str(temporary))
    sync_file(temporary)
    temporary.replace(path)
    return path


def unischema_pickle(fields: Sequence[Field]) -> str:
    """Return the protocol 0 pickle of a `petastorm.unischema.Unischema` with these fields.

    Columns that Petastorm cannot name (maps, lists of text) are left out; it then reads the others.
    """
    entries = [(field.name, _field(field)) for field in fields if _is_known(field)]
    pairs = "".join(f"(V{name}\n{entry}l" for name, entry in entries)
    state = f"V_name\nVpetrel\nsV_fields\nccollections\nOrderedDict\n(({pairs}ltRs"
    state += "".join(f"V{name}\n{entry}s" for name, entry in entries)
    return f"{_RECONSTRUCT}(cpetastorm.unischema\nUnischema\n{_OBJECT}tR(d{state}b."


def _is_known(field: Field) -> bool:
    return not pa.types.is_map(field.type) and field.type_name != "list<string>"


def _field(field: Field) -> str:
    """A UnischemaField: a tuple subclass of (name, numpy type, shape, codec, nullable)."""
    dtype, shape, codec = _petastorm_type(field)
    axes = "".join("N" if axis is None else f"I{axis}\n" for axis in shape)
    nullable = "I01\n" if field.nullable else "I00\n"
    values = f"(V{field.name}\ncnumpy\n{dtype}\n({axes}t{codec}{nullable}t"
    return f"{_RECONSTRUCT}(cpetastorm.unischema\nUnischemaField\nc__builtin__\ntuple\n{values}tR"


def _petastorm_type(field: Field) -> tuple[str, tuple[int | None, ...], str]:
    if field.codec == "image" and (field.shape is None or len(field.shape) == 2 or field.shape[2] == 3):
        state = "(dV_image_codec\nV.png\nsV_quality\nI80\nsb"  # cv2 decodes by content, whatever the name says
        return "uint8", field.shape or (None, None, 3), _codec("CompressedImageCodec", state)
    if field.codec == "npy":
        return _NUMPY_NAMES.get(field.dtype or "", field.dtype or ""), field.shape or (None,), _codec("NdarrayCodec")
    if pa.types.is_list(field.type):
        element = field.type_name[len("list<") : -1]
        return _NUMPY_NAMES.get(element, element), (None,), "N"
    spark = _SPARK_TYPES.get(field.type_name)
    name = _NUMPY_NAMES.get(field.type_name, field.type_name)
    if spark is None:
        return name, (), "N"
    kind = f"{_RECONSTRUCT}(cpyspark.sql.types\n{spark}Type\n{_OBJECT}tR"
    return name, (), _codec("ScalarCodec", f"(dV_spark_type\n{kind}sb")


def _codec(name: str, state: str = "") -> str:
    return f"{_RECONSTRUCT}(cpetastorm.codecs\n{name}\n{_OBJECT}tR{state}"
