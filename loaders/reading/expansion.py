"""Refuse Parquet that grows in memory far beyond its size: a file of 300 bytes can claim 500 MB.

Sizes in footers and manifests are only claims, so the pages themselves are counted before pyarrow expands them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loaders.reading.pages import PageError, walk

if TYPE_CHECKING:
    import pyarrow.parquet as pq

EXPANSION = 4
"""A column chunk may become this many times its size in the file (the format does not compress) ..."""

_PAGES = 10_000
_BYTES = ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")

FREE_BYTES = 64 << 20
"""... or 64 MiB, whichever is more: text that repeats one word expands much more."""


def check_expansion(column: pq.ColumnChunkMetaData, raw: memoryview, *, rows: int, is_text: bool) -> None:
    """Compare what the pages of a column chunk claim with their size.

    Args:
        column: pyarrow's metadata of the chunk.
        raw: Its bytes.
        rows: Rows of the row group.
        is_text: Whether it is a column of text, which is read with its dictionary.

    Raises:
        PageError: If the pages claim to be larger than is plausible, are not those of the footer, or are no pages.
    """
    limit = max(FREE_BYTES, EXPANSION * len(raw))
    total = values = words = pages = 0
    for size, count, is_dictionary in walk(raw):
        pages += 1
        total += size
        values, words = (values, words + count) if is_dictionary else (values + count, words)
        if total > limit or max(values, words) * 8 > max(limit, 64 * rows) or pages > max(_PAGES, 2 * rows):
            raise PageError(
                f"its {pages:,} pages claim {total:,} bytes and {values:,} values in {len(raw):,} bytes of file"
            )
        if is_dictionary and not is_text and column.physical_type in _BYTES:  # each use of a word is a copy of it
            raise PageError("a dictionary of bytes; the format has dictionaries for text only")
    if column.num_values != values:  # no checksum covers the headers of pages
        raise PageError(f"its pages hold {values:,} values, the footer says {column.num_values:,}")
