"""One row group of a Parquet file: its column chunks are fetched, looked over, and decoded by pyarrow."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from loaders.reading.pages import PageError
from loaders.reading.ranges import Ranges, Rooms
from loaders.stores.storage import Files


def check_chunks(footer: pq.FileMetaData, at: int, columns: Sequence[str], size: int) -> None:
    """Look whether pyarrow can describe the chunks of columns, before it is asked to.

    Asked for the description of a chunk that is damaged in the footer, pyarrow 26 ends the process; on the way to
    read one it raises. So this reads zeros: what is whole fails at the first page.

    Raises:
        PageError: If a description is damaged.
    """
    try:
        with _opened(Ranges(size), footer, ()) as file:
            file.read_row_group(at, columns=list(columns), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        if "page header" not in str(error):
            raise PageError(f"the footer describes it wrongly: {error}") from error


def fetch(
    files: Files,
    name: str,
    size: int,
    chunks: Sequence[pq.ColumnChunkMetaData],
    *,
    gap: int | None = None,
    rooms: Rooms | None = None,
) -> tuple[Ranges, list[memoryview]]:
    """Read column chunks; return them at their places in the file, and one by one.

    Args:
        files: Where the file lies.
        name: The file.
        size: Its bytes.
        chunks: pyarrow's metadata of each chunk.
        gap: Chunks that are at most so many bytes apart are read in one go; None: each by itself.
        rooms: Whose memory is used again; None: memory of its own.

    Raises:
        PageError: If a chunk lies outside of its file.
        CorruptionError, StorageError, DeadlineError: Like `files.read_into`.
    """
    spans = [span(chunk, size) for chunk in chunks]
    first, last = min((start for start, _ in spans), default=0), max((end for _, end in spans), default=0)
    ranges = Ranges(size) if rooms is None else rooms.ranges(size, first, last)
    for start, end in merged(spans, gap):
        files.read_into(name, start, [ranges.room(start, end - start)])
    return ranges, [ranges.part(start, end - start) for start, end in spans]


def decode(
    ranges: Ranges, footer: pq.FileMetaData, at: int, columns: Sequence[str], *, dictionaries: Collection[str] = ()
) -> pa.Table:
    """Make columns of a row group from the chunks that were fetched; `dictionaries` name leaves that are kept as such.

    Raises:
        pyarrow.ArrowException, OSError: If a page is damaged, differs from its checksum, or is none.
    """
    with _opened(ranges, footer, dictionaries) as file:
        data = file.read_row_group(at, columns=list(columns), use_threads=False)
    data.validate(full=True)  # pyarrow believes places in a dictionary, and that text is UTF-8
    return data


def decode_in_steps(
    ranges: Ranges, footer: pq.FileMetaData, at: int, column: str, step: int
) -> Iterator[pa.RecordBatch]:
    """Make one column, `step` rows at a time; raises like `decode`."""
    with _opened(ranges, footer, ()) as file:
        for batch in file.iter_batches(step, row_groups=[at], columns=[column], use_threads=False):
            batch.validate(full=True)
            yield batch


@contextmanager
def _opened(ranges: Ranges, footer: pq.FileMetaData, dictionaries: Collection[str]) -> Iterator[pq.ParquetFile]:
    settings: dict[str, object] = {
        "metadata": footer,
        "page_checksum_verification": True,
        "read_dictionary": list(dictionaries),
        "pre_buffer": False,
    }
    with pq.ParquetFile(ranges.stream(), **settings) as file:
        yield file


def span(chunk: pq.ColumnChunkMetaData, size: int) -> tuple[int, int]:
    """Return the first byte of a chunk, and the byte after its last, in a file of `size` bytes.

    Raises:
        PageError: If they lie outside of it.
    """
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset:  # some writers leave either at 0
        start = min(start or chunk.dictionary_page_offset, chunk.dictionary_page_offset)
    end = start + chunk.total_compressed_size
    if not 0 <= start <= end <= size:
        raise PageError("the footer points out of the file")
    return start, end


def merged(spans: Sequence[tuple[int, int]], gap: int | None) -> list[tuple[int, int]]:
    """Return what is read in one go: spans at most `gap` apart; None: each by itself."""
    if gap is None:
        return list(spans)
    runs: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if runs and start - runs[-1][1] <= gap:
            runs[-1] = (runs[-1][0], max(end, runs[-1][1]))
        else:
            runs.append((start, end))
    return runs
