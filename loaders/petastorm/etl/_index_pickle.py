"""The pickle in which Petastorm 0.13 finds indexes of row groups, written opcode by opcode.

As `loaders.format.petastorm_metadata` does with schemas: text (protocol 0), nothing is imported. Only indexed bytes,
which have no opcode in that protocol, are written as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np

from loaders.petastorm.etl.rowgroup_indexers import FieldNotNullIndexer, SingleFieldIndexer
from loaders.petastorm.kinds import Value

_SET = b"c__builtin__\nset\n"


def index_pickle(indexers: Sequence[SingleFieldIndexer | FieldNotNullIndexer]) -> bytes:
    """Return the pickle of {name of the index: indexer}.

    Raises:
        TypeError: If an indexed value is no number, text or bytes.
    """
    return b"(d" + b"".join(_scalar(each.index_name) + _indexer(each) + b"s" for each in indexers) + b"."


def _indexer(indexer: SingleFieldIndexer | FieldNotNullIndexer) -> bytes:
    [column] = indexer.column_names
    if isinstance(indexer, FieldNotNullIndexer):
        data = _ordinals(indexer.get_row_group_indexes())
    else:
        data = b"ccollections\ndefaultdict\n(" + _SET + b"tR"
        for value in indexer.indexed_values:
            try:
                data += _scalar(value) + _ordinals(indexer.get_row_group_indexes(value)) + b"s"
            except TypeError as error:
                raise TypeError(f"index {indexer.index_name!r} of field {column!r}: {error}") from None
    name = type(indexer).__name__.encode()
    state = b"V_index_name\n%bsV_column_name\n%bsV_index_data\n%bs" % (
        _scalar(indexer.index_name), _scalar(column), data,
    )  # fmt: skip
    made = b"ccopy_reg\n_reconstructor\n(cpetastorm.etl.rowgroup_indexers\n" + name + b"\nc__builtin__\nobject\nNtR"
    return made + b"(d" + state + b"b"


def _ordinals(values: Iterable[int]) -> bytes:
    return _SET + b"((l" + b"".join(b"I%d\na" % value for value in sorted(values)) + b"tR"


def _scalar(value: Value) -> bytes:
    """Return a value as Python has it: equal to numpy's and found under it."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool):
        return b"I0%d\n" % plain
    if isinstance(plain, int):
        return b"L%dL\n" % plain
    if isinstance(plain, float):
        return b"F%r\n" % plain
    if isinstance(plain, str):
        return b"V%b\n" % "".join(map(_escaped, plain)).encode("ascii")
    if isinstance(plain, bytes):
        return b"B%b%b" % (struct.pack("<I", len(plain)), plain)
    raise TypeError(f"values of type {type(value).__name__} are not indexed; numbers, text and bytes are")


def _escaped(character: str) -> str:
    if " " <= character <= "~" and character != "\\":
        return character
    return f"\\u{ord(character):04x}" if character <= "\uffff" else f"\\U{ord(character):08x}"
