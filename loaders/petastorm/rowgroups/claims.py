"""What a column chunk of any writer's claims to become in memory, checked before pyarrow believes it.

A file may well be a thousand times smaller than what it holds; a file of 300 bytes that claims 500 MB is none of
those. Words of a dictionary that are used again and again stay a dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.axes import Octets
from loaders.reading.pages import Head, PageError, heads

EXPANSION = 1000
"""A column chunk may become this many times the size of its row group in the file ..."""

FREE_BYTES = 64 << 20
"""... or 64 MiB, whichever is more."""

FREE_ROW_GROUP_BYTES = 1 << 30
"""All chunks that are read together may become 1 GiB, or `EXPANSION` times their size."""

_BYTE_ARRAY = "BYTE_ARRAY"
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8, _BYTE_ARRAY: 4}
_DELTA_BYTE_ARRAY, _DICTIONARY_INDICES = 7, (2, 8)
_PAGES = 10_000
_FEW_WORDS = 4096
_CODECS = {"LZ4": "lz4_raw"}  # other names are those of pyarrow


@dataclass(frozen=True, slots=True)
class Claim:
    """How much a chunk becomes, and how it is best read.

    Attributes:
        bytes: At most so many.
        keeps_words: Its dictionary is kept.
        kept_bytes: What it becomes if its dictionary is kept; None: that is impossible.
        step: Rows that are made at once, where values repeat parts of one another and none knows how long they are;
            0: all.
        pages: The headers of its pages, if its values are all of one size.
    """

    bytes: int
    keeps_words: bool = False
    kept_bytes: int | None = None
    step: int = 0
    pages: tuple[Head, ...] = ()


def limit_of(row_group_bytes: int) -> int:
    """Return the bytes that one chunk of a row group of this size may become."""
    return max(FREE_BYTES, EXPANSION * row_group_bytes)


def check_rows(rows: int, limit: int) -> None:
    """Refuse a row group that claims far more rows than may be made of it.

    Raises:
        PageError: If it does.
    """
    if rows < 0 or rows * 8 > limit:
        raise PageError(f"it claims {rows:,} rows")


def check_width(kind: pa.DataType, rows: int, values: int, limit: int) -> None:
    """Refuse a column whose type alone makes it large: each null of a list of fixed size takes the room of a list.

    Args:
        kind: Its Arrow type.
        rows: Its rows.
        values: Entries that lists of it may have together.
        limit: Bytes that it may become.

    Raises:
        PageError: If it is too large.
    """
    if (size := _room(kind, rows, values)) > limit:
        raise PageError(f"{rows:,} rows of type {kind} take {size:,} bytes")


def _room(kind: pa.DataType, entries: int, values: int) -> int:
    if isinstance(kind, pa.BaseExtensionType):
        return _room(kind.storage_type, entries, values)
    if pa.types.is_fixed_size_list(kind):
        return _room(kind.value_type, entries * kind.list_size, values)
    if pa.types.is_struct(kind):
        return sum(_room(kind.field(at).type, entries, values) for at in range(kind.num_fields))
    if pa.types.is_nested(kind):
        return sum(_room(kind.field(at).type, values, values) for at in range(kind.num_fields))
    return entries * (kind.byte_width if pa.types.is_fixed_size_binary(kind) else 8)


def claim_of(
    chunk: pq.ColumnChunkMetaData, raw: memoryview, leaf: pq.ColumnSchema, *, rows: int, limit: int, is_text: bool
) -> Claim:
    """Look at the pages of a chunk.

    Args:
        chunk: pyarrow's metadata of it.
        raw: Its bytes.
        leaf: pyarrow's description of its column in the Parquet schema.
        rows: Rows of the row group.
        limit: Bytes that it may become.
        is_text: Whether it is a column of text or binary, not inside of another, which may keep its dictionary.

    Raises:
        PageError: If it claims more, or is no sequence of pages.
    """
    pages = _checked(chunk, raw, rows=rows, limit=limit, is_flat=leaf.max_repetition_level == 0)
    unpacked = sum(page.unpacked for page in pages)
    width = leaf.length if chunk.physical_type == "FIXED_LEN_BYTE_ARRAY" else _WIDTHS.get(chunk.physical_type, 8)
    fixed = chunk.num_values * max(1, width)
    if fixed > limit:
        raise PageError(f"{len(raw):,} bytes of file claim {chunk.num_values:,} values of {width:,} bytes")
    if chunk.physical_type != _BYTE_ARRAY:
        return Claim(fixed + unpacked, pages=tuple(pages))
    words = next((page for page in pages if page.is_dictionary), None)
    uses = sum(page.values for page in pages if page.encoding in _DICTIONARY_INDICES and not page.is_dictionary)
    repeating = [page for page in pages if page.encoding == _DELTA_BYTE_ARRAY]
    grown = sum(page.values * page.unpacked for page in repeating)
    if grown > limit and leaf.max_repetition_level:
        raise PageError("strings inside lists that repeat parts of one another (DELTA_BYTE_ARRAY); write them plainly")
    step = max(1, limit // max(page.unpacked for page in repeating)) if grown > limit else 0
    if words is None or not uses:
        return Claim(min(limit, unpacked + fixed + grown), step=step)
    kept_bytes = unpacked + fixed if is_text and not step else None
    is_whole, has_many = uses == chunk.num_values, words.values > _FEW_WORDS
    if kept_bytes is not None and is_whole and (has_many or words.values * 2 <= uses):
        return Claim(kept_bytes, keeps_words=True)
    plain = unpacked + fixed + uses * words.unpacked
    if plain > FREE_BYTES:
        plain = unpacked + fixed + uses * _longest_word(words, raw, chunk)
    if plain <= limit:
        return Claim(plain, kept_bytes=kept_bytes, step=step)
    if kept_bytes is not None:
        return Claim(kept_bytes, keeps_words=True)
    raise PageError(f"{uses:,} uses of its words make up to {plain:,} bytes out of {len(raw):,} bytes of file")


def settle(claims: list[Claim], limit: int) -> list[Claim]:
    """Return how the chunks of one read are read: where they become too much together, dictionaries are kept.

    Raises:
        PageError: If they are too much even so.
    """
    settled, total = list(claims), sum(claim.bytes for claim in claims)
    if total <= FREE_ROW_GROUP_BYTES:
        return settled
    for at in sorted(range(len(claims)), key=lambda at: -claims[at].bytes):
        kept_bytes = claims[at].kept_bytes
        if total > max(FREE_ROW_GROUP_BYTES, limit) and kept_bytes is not None:
            settled[at] = Claim(kept_bytes, keeps_words=True)
            total -= claims[at].bytes - kept_bytes
    if total > max(FREE_ROW_GROUP_BYTES, limit):
        raise PageError(f"its columns claim {total:,} bytes")
    return settled


def _checked(chunk: pq.ColumnChunkMetaData, raw: memoryview, *, rows: int, limit: int, is_flat: bool) -> list[Head]:
    pages: list[Head] = []
    unpacked = values = 0
    for page in heads(raw):
        pages.append(page)
        unpacked += page.unpacked
        values += 0 if page.is_dictionary else page.values
        if unpacked > limit or len(pages) > max(_PAGES, 2 * rows):
            raise PageError(f"its {len(pages):,} pages claim {unpacked:,} bytes in {len(raw):,} bytes of file")
    if values != chunk.num_values or (is_flat and values != rows):  # no checksum covers the headers of pages
        raise PageError(f"its pages hold {values:,} values, the footer says {chunk.num_values:,} in {rows:,} rows")
    return pages


def _longest_word(words: Head, raw: memoryview, chunk: pq.ColumnChunkMetaData) -> int:
    """Return the bytes of the longest word of a dictionary, or more."""
    if words.values > words.unpacked // 4:
        raise PageError(f"a dictionary of {words.values:,} words in {words.unpacked:,} bytes")
    plain: memoryview | pa.Buffer = raw[words.start : words.start + words.bytes]
    if chunk.compression != "UNCOMPRESSED":
        try:
            plain = pa.Codec(_CODECS.get(chunk.compression, chunk.compression.lower())).decompress(
                plain, words.unpacked
            )
        except (OSError, ValueError, pa.ArrowException):  # pyarrow knows more codecs inside of files, or it is damaged
            return words.unpacked
    plain = np.frombuffer(plain, dtype=np.uint8)
    return _longest_short_word(plain, words.values) or _longest_of(bytes(plain), words.values)


def _longest_short_word(plain: Octets, count: int) -> int | None:
    """Return the length of the longest of words shorter than 256 bytes without zeros, None for others.

    The length before each is then the only place of three zeros, so that all are found at once.
    """
    is_zero = plain == 0
    starts = np.flatnonzero(is_zero[1:-2] & is_zero[2:-1] & is_zero[3:])
    if len(starts) != count or not count or starts[0] != 0:
        return None
    lengths = plain[starts].astype(np.int64)
    ends = starts + 4 + lengths
    is_chain = ends[-1] == len(plain) and bool(np.array_equal(ends[:-1], starts[1:]))
    return int(lengths.max()) if is_chain else None


def _longest_of(plain: bytes, count: int) -> int:
    at = longest = 0
    for _ in range(count):
        length = int.from_bytes(plain[at : at + 4], "little")
        longest, at = max(longest, length), at + 4 + length
    if at > len(plain):
        raise PageError(f"its words take {at:,} bytes, their page has {len(plain):,}")
    return longest
