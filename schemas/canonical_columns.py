"""Canonical JSON and row hashes of whole columns: the texts of `schemas.canonical`, made by Arrow a column at a time.

A row of a table costs 30 µs and more as a dict and some 2 µs here. What columns cannot say exactly (nested values,
maps of several keys, floats with a fraction, text that needs escapes) is said value by value by
`schemas.canonical` itself: there is one definition, and a test compares the two over all types.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from json.encoder import encode_basestring

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.canonical import canonical_json
from schemas.model import TIMESTAMP, Table

TEXT = pa.large_string()
"""Texts here have 64-bit offsets: a batch of long texts may pass 2 GiB."""

SLICE_ROWS = 65_536
"""Rows whose texts are in memory at once."""

_EXACT = 2.0**53
_FIRST_INSTANT = datetime(1, 1, 1, tzinfo=UTC)
_LAST_INSTANT = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


def row_hashes(rows: pa.RecordBatch, table: Table) -> pa.Array:
    """Return the content hash of every row: `schemas.canonical.row_hash`, column by column.

    Args:
        rows: Columns by name, of the types of `table`; one that is missing counts as NULL, others are left out.
        table: Definition of the table.

    Returns:
        string, shape (rows,), 64 hex digits each.

    Raises:
        ValueError, TypeError: As `canonical_json`.
    """
    hashes: list[str] = []
    for start in range(0, rows.num_rows, SLICE_ROWS):
        hashes += _hashes(row_texts(rows.slice(start, SLICE_ROWS), table))
    return pa.array(hashes, pa.string())


def content_ids(values: Sequence[pa.Array | str], *, digits: int = 32) -> pa.Array:
    """Return for every row the id of the list of its values: `schemas.canonical.content_id`, column by column.

    Args:
        values: Columns of one length, at least one; a text stands in every row.
        digits: Hex digits of an id.

    Returns:
        string, shape (rows,).

    Raises:
        ValueError, TypeError: As `canonical_json`.
    """
    rows = next(len(each) for each in values if isinstance(each, pa.Array))
    said = [canonical_json(each) if isinstance(each, str) else texts_of(each) for each in values]
    pieces = [piece for text in said for piece in (",", text)]
    texts = _joined(["[", *pieces[1:], "]"], rows)
    return pa.array([each[:digits] for each in _hashes(texts)], pa.string())


def row_texts(rows: pa.RecordBatch, table: Table) -> pa.Array:
    """Return the canonical JSON of the content of every row: large_string, shape (rows,).

    Raises:
        ValueError, TypeError: As `canonical_json`.
    """
    pieces: list[str | pa.Array] = []
    constant = "{"
    present = set(rows.schema.names)
    comma = ""
    for name in sorted(table.content_columns):
        column = rows.column(name) if name in present else None
        missing = column is None or column.null_count == len(column)
        said = f"{canonical_json(name)}:"
        if name in table.late_columns:
            # Left out where it is NULL, with its comma: which follows as long as nothing that is always there came.
            if column is not None and not missing:
                around = [comma + said, _texts(column, name, table), "" if comma else ","]
                stated = _joined(around, rows.num_rows)
                pieces += [constant, pc.if_else(column.is_valid(), stated, pa.scalar("", TEXT))]
                constant = ""
            continue
        constant += comma + said
        comma = ","
        if column is None or missing:
            constant += "null"
            continue
        pieces += [constant, _texts(column, name, table)]
        constant = ""
    return _joined([*pieces, constant + "}"], rows.num_rows)


def texts_of(values: pa.Array) -> pa.Array:
    """Return the canonical JSON of every value: large_string, as long as `values`, without NULL.

    Raises:
        ValueError, TypeError: As `canonical_json`.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return texts_of(values.dictionary_decode())
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        texts = values.cast(TEXT)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = _quoted(values)
    elif pa.types.is_float32(kind) or pa.types.is_float64(kind):
        texts = _number_texts(values)
    elif kind == TIMESTAMP and _within_calendar(values):
        texts = _instant_texts(values)
    elif (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and not pa.types.is_nested(kind.value_type):
        texts = _bracketed("[", texts_of(values.flatten()), pc.list_value_length(values), "]")
    elif pa.types.is_map(kind) and not pc.max(_lengths(values)).as_py():
        texts = pa.repeat(pa.scalar("[]", TEXT), len(values))
    else:
        texts = _one_by_one(values, canonical_json)
    return pc.if_else(values.is_valid(), texts, pa.scalar("null", TEXT)) if values.null_count else texts


def _texts(column: pa.Array, name: str, table: Table) -> pa.Array:
    return _map_texts(column) if name in table.map_columns else texts_of(column)


def _map_texts(values: pa.MapArray) -> pa.Array:
    listed, items, lengths = _as_lists(values, values.keys), _as_lists(values, values.items), _lengths(values)
    most = pc.max(lengths).as_py() or 0
    if most == 0:
        texts = pa.repeat(pa.scalar("{}", TEXT), len(values))
    elif most > 1 or not pa.types.is_string(values.type.key_type):
        # Arrow hands out a map as a list of pairs; its order is not content.
        texts = _one_by_one(values, lambda value: canonical_json(dict(value)))  # type: ignore[call-overload]
    else:
        keys = listed.flatten()
        pairs = _joined([texts_of(keys), ":", texts_of(items.flatten())], len(keys))
        texts = _bracketed("{", pairs, lengths, "}")
    return pc.if_else(values.is_valid(), texts, pa.scalar("null", TEXT)) if values.null_count else texts


def _lengths(values: pa.MapArray) -> pa.Array:
    return pc.list_value_length(_as_lists(values, values.keys))


def _as_lists(values: pa.MapArray, children: pa.Array) -> pa.ListArray:
    # Its `flatten`, unlike `keys` and `items` of a map, knows of slices and of what hides behind NULL.
    return pa.Array.from_buffers(
        pa.list_(children.type), len(values), values.buffers()[:2], offset=values.offset, children=[children]
    )


def _bracketed(opening: str, elements: pa.Array, lengths: pa.Array, closing: str) -> pa.Array:
    # lengths: (values,), elements: (sum of lengths,).
    ends = np.cumsum(lengths.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int32)
    lists = pa.ListArray.from_arrays(np.concatenate([np.zeros(1, np.int32), ends]), elements)
    return _joined([opening, pc.binary_join(lists, pa.scalar(",", TEXT)), closing], len(lists))


def _quoted(values: pa.Array) -> pa.Array:
    if _is_plain(values):
        return _joined(['"', values.cast(TEXT).fill_null(""), '"'], len(values))
    return _one_by_one(values, _text)


def _text(value: object) -> str:
    return encode_basestring(value) if isinstance(value, str) and value.isascii() else canonical_json(value)


def _is_plain(values: pa.Array) -> bool:
    """Whether no text needs an escape, or has letters that NFC may change; a look at their bytes together."""
    width = np.int64 if pa.types.is_large_string(values.type) else np.int32
    _, offsets, data = values.buffers()
    if data is None or offsets is None or not len(values):
        return True
    places = np.frombuffer(offsets, width)
    found = np.frombuffer(data, np.uint8)[places[values.offset] : places[values.offset + len(values)]]
    return not bool(((found < 0x20) | (found > 0x7F) | (found == ord('"')) | (found == ord("\\"))).any())


def _number_texts(values: pa.Array) -> pa.Array:
    numbers = values.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
    strange = np.flatnonzero(~np.isfinite(numbers))
    if strange.size:
        canonical_json(float(numbers[strange[0]]))  # raises
    whole = (np.trunc(numbers) == numbers) & (np.abs(numbers) < _EXACT)
    texts = pa.array(np.where(whole, numbers, 0.0).astype(np.int64)).cast(TEXT)
    if whole.all():
        return texts
    return pc.replace_with_mask(texts, pa.array(~whole), pa.array(map(repr, numbers[~whole].tolist()), TEXT))


def _within_calendar(values: pa.Array) -> bool:
    ends = pc.min_max(values.cast(pa.int64()))
    least, most = ends["min"].as_py(), ends["max"].as_py()
    first, last = (pa.scalar(each, TIMESTAMP).cast(pa.int64()).as_py() for each in (_FIRST_INSTANT, _LAST_INSTANT))
    return least is None or bool(first <= least and most <= last)


def _instant_texts(values: pa.Array) -> pa.Array:
    texts = values.cast(pa.timestamp("us")).cast(TEXT)
    return _joined(['"', pc.utf8_replace_slice(texts, 10, 11, "T").fill_null(""), 'Z"'], len(values))


def _one_by_one(values: pa.Array, text: Callable[[object], str]) -> pa.Array:
    return pa.array(["null" if value is None else text(value) for value in values.to_pylist()], TEXT)


def _joined(pieces: Sequence[str | pa.Array], rows: int) -> pa.Array:
    if all(isinstance(piece, str) for piece in pieces):
        return pa.array(["".join(map(str, pieces))] * rows, TEXT)
    parts = [pa.scalar(piece, TEXT) if isinstance(piece, str) else piece for piece in pieces]
    return pc.binary_join_element_wise(*parts, pa.scalar("", TEXT))


def _hashes(texts: pa.Array) -> list[str]:
    _, offsets, data = texts.buffers()
    places = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1].tolist()
    view = memoryview(data)
    return [hashlib.sha256(view[start:end]).hexdigest() for start, end in itertools.pairwise(places)]
