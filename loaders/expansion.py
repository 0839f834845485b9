"""Refuse Parquet that grows in memory far beyond its size: a file of 300 bytes can claim 500 MB.

Sizes in footers and manifests are only claims, so the pages themselves are counted before pyarrow expands them.
"""

from __future__ import annotations

from typing import Any

from loaders.pages import PageError, walk

EXPANSION = 64
"""A column chunk may become this many times its size in the file ..."""

FREE_BYTES = 64 << 20
"""... or 64 MiB, whichever is more: text that repeats one word may expand more than 64 times."""


def check_expansion(column: Any, raw: memoryview, *, rows: int) -> None:
    """Compare what the pages of a column chunk claim with their size.

    Args:
        column: pyarrow's metadata of the chunk.
        raw: Its bytes.
        rows: Rows of the row group.

    Raises:
        PageError: If the pages claim to be larger than is plausible, or are no pages.
    """
    limit = max(FREE_BYTES, EXPANSION * len(raw))
    total = values = 0
    for size, count in walk(raw):
        total += size
        values += count
        if total > limit or values * 8 > max(limit, 64 * rows):
            raise PageError(f"its pages claim {total:,} bytes and {values:,} values in {len(raw):,} bytes of file")
    if column.num_values > max(limit // 8, 8 * rows):
        raise PageError(f"the footer claims {column.num_values:,} values in {len(raw):,} bytes of file")
