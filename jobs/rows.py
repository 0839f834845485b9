"""Rows of an answer, written out: a table for eyes, JSON lines and CSV for programs, Parquet into a file."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from jobs.output import json_line, say, say_table
from lakehouse.ending import removed_at_end
from lakehouse.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.sql.contained import Answer


def show_rows(rows: pa.Table, form: str, *, wide: bool) -> None:
    """Write rows to stdout as `table`, `json` or `csv`.

    Args:
        rows: The rows.
        form: How.
        wide: Whether long values of a table are shown whole on a terminal too; elsewhere they always are.
    """
    terminal = sys.stdout.isatty()
    if form == "table":
        width = shutil.get_terminal_size().columns if terminal and not wide else None
        cut = say_table(rows.column_names, [list(row.values()) for row in rows.to_pylist()], width=width)
        say(f"({rows.num_rows:,} rows)")
        if cut:
            sys.stderr.write(f"petrel: {cut:,} long values are cut; --wide or --format json shows them whole\n")
    elif form == "json":
        for row in rows.to_pylist():
            say(json_line(row))
    elif terminal:
        for line in _csv(rows, header=True).decode().splitlines():
            say(line)
    else:
        sys.stdout.buffer.write(_csv(rows, header=True))


def write_rows(answer: Answer, form: str, path: Path) -> int:
    """Write all rows of an answer into a file, whole or not at all; return how many.

    Args:
        answer: The rows; they need no more memory than a few batches.
        form: `parquet`, `json` (one object a line) or `csv`.
        path: The file; one that is there is replaced at the end.

    Raises:
        ConfigError: If the file cannot be written.
        QueryFailedError: If the query fails; the file is as it was.
    """
    with _whole(path) as file:
        return _write_parquet(answer, file) if form == "parquet" else _write_lines(answer, form, file)


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    if path.is_dir():
        raise ConfigError(f"--output {path}: is a folder; give the name of a file")
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise ConfigError(f"--output {path}: cannot be written ({error.strerror})") from error
    with removed_at_end(folder):
        try:
            draft = folder / path.name
            with open(draft, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _write_parquet(answer: Answer, file: BinaryIO) -> int:
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(file, answer.schema, write_page_checksum=True) as writer:
        for batch in answer:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _write_lines(answer: Answer, form: str, file: BinaryIO) -> int:
    import pyarrow as pa

    rows = 0
    if form == "csv":
        file.write(_csv(pa.Table.from_batches([], schema=answer.schema), header=True))
    for batch in answer:
        if form == "csv":
            file.write(_csv(pa.Table.from_batches([batch]), header=False))
        else:
            file.writelines(f"{json_line(row)}\n".encode() for row in batch.to_pylist())
        rows += batch.num_rows
    return rows


def _csv(rows: pa.Table, *, header: bool) -> bytes:
    import pyarrow as pa
    import pyarrow.csv

    flat = {name: _plain(rows[name]) for name in rows.column_names}
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(pa.table(flat), sink, pyarrow.csv.WriteOptions(include_header=header))
    return bytes(sink.getvalue())


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    import pyarrow as pa

    # CSV has no maps, lists and intervals: they become their JSON-like text.
    if pa.types.is_nested(column.type) or pa.types.is_interval(column.type):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    return column
