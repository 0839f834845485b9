"""Records of a CSV file: its delimiter, and lines put together to records, each bounded."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from lakehouse.opinions.formats.common import Line, Lines, reject
from lakehouse.opinions.reading.answer import Note, Reject

MAX_RECORD_LINES = 1_000
"""A field with more lines than this is taken for a quote that was never closed."""

DELIMITERS = (",", ";", "\t", "|")
_EXCEL_HINT = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How records are written.

    Attributes:
        delimiter: Between columns; "" looks at the first line.
        quote: Around fields that hold delimiters or line ends.
        encoding: Of the text; one in which line ends and delimiters are those of ASCII.
        max_record_bytes: Longest record; longer ones are rejected.
    """

    delimiter: str = ""
    quote: str = '"'
    encoding: str = "utf-8"
    max_record_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of one record, and where it stands."""

    where: str
    cells: list[str]


def records(path: Path, dialect: Dialect, *, wanted: Collection[str] = ()) -> Iterator[Record | Reject | Note]:
    """Split into records with the standard parser. A record that never ends costs its first line, not the rest.

    Args:
        path: The file.
        dialect: How it is written.
        wanted: Columns that its first record should have, for looking for the delimiter.

    Returns:
        Records and rejects; and a note if the delimiter was looked for and is no comma.

    Raises:
        IngestError: If the file cannot be opened, or is UTF-16.
    """
    # The parser's own limit is a global of the process; ours bounds every record below it.
    csv.field_size_limit(max(csv.field_size_limit(), dialect.max_record_bytes))
    with Lines(path, limit=dialect.max_record_bytes) as lines:
        delimiter = dialect.delimiter or _delimiter(lines, dialect, wanted)
        if not dialect.delimiter and delimiter != DELIMITERS[0]:
            shown = "a tab" if delimiter == "\t" else repr(delimiter)
            text = f"columns are read as separated by {shown}; if by another, say so: --option delimiter="
            yield Note(path.name, "delimiter", text)
        while True:
            taken: list[Line] = []
            feed = _feed(lines, taken, dialect)
            parser = csv.reader(feed, delimiter=delimiter, quotechar=dialect.quote, strict=True)
            try:
                cells = next(parser)
            except StopIteration:
                return
            except (_TooLong, csv.Error, UnicodeDecodeError) as error:
                number, line = taken[0]
                lines.put_back(taken[1:])
                rule, reason = _why(error, line, len(taken), dialect)
                raw = None if line is None else line.decode("utf-8", "replace")
                yield reject(f"{path.name}:{number}", rule, reason, raw)
                continue
            if cells:
                yield Record(f"{path.name}:{taken[0][0]}", cells)


class _TooLong(Exception):
    pass


def _delimiter(lines: Lines, dialect: Dialect, wanted: Collection[str]) -> str:
    first = next(lines, None)
    if first is None or first[1] is None:
        lines.put_back([] if first is None else [first])
        return DELIMITERS[0]
    text = first[1].decode(dialect.encoding, "replace")
    if hint := _EXCEL_HINT.fullmatch(text):
        # Excel writes the delimiter of a file into a line of its own.
        return hint[1]
    lines.put_back([first])

    def fits(delimiter: str) -> tuple[int, int]:
        cells = [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter, quotechar=dialect.quote), [])]
        return len(set(wanted) & set(cells)), len(cells)

    return max(DELIMITERS, key=fits)


def _feed(lines: Lines, taken: list[Line], dialect: Dialect) -> Iterator[str]:
    size, limit = 0, dialect.max_record_bytes
    for number, line in lines:
        taken.append((number, line))
        size += limit + 1 if line is None else len(line)
        if line is None or size > limit or len(taken) > MAX_RECORD_LINES:
            raise _TooLong
        yield line.decode(dialect.encoding)


def _why(error: Exception, line: bytes | None, lines: int, dialect: Dialect) -> tuple[str, str]:
    if line is None:
        return "too_long", f"longer than {dialect.max_record_bytes:,} bytes"
    try:
        line.decode(dialect.encoding)
    except UnicodeDecodeError as found:
        name = "UTF-8" if dialect.encoding == "utf-8" else dialect.encoding
        return (
            f"not_{dialect.encoding.replace('-', '')}",
            f"is not {name} at byte {found.start}; say what it is, for example --option encoding=cp1252",
        )
    if lines > 1 or "unexpected end" in str(error):
        return "unclosed_quote", "opens a quote that does not close where the record should end"
    return "malformed", str(error)
