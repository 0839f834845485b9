"""The first records of a file of answers, for guessing what its columns are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.common import Lines, plain_files
from lakehouse.opinions.formats.csv import TAB
from lakehouse.opinions.formats.csv_records import Dialect, Record, records
from lakehouse.opinions.formats.jsonl import KNOWN, MAX_LINE_BYTES, VALUES, key_value
from lakehouse.opinions.reading.strict_json import strict_loads

ROWS = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """Names of columns, and the cells of the first records.

    Attributes:
        names: Columns in their order; of JSON lines the keys that are no columns of silver.opinions, those inside
            objects with dots, and subject and label.
        rows: Cells by column, as text.
        has_value: Whether a column holds answers under its own name (JSON lines only).
    """

    names: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    has_value: bool = False

    def cells(self, names: Sequence[str]) -> Iterator[list[str]]:
        """Yield the cells of some columns, row by row."""
        for row in self.rows:
            yield [row.get(name, "") for name in names]


def sample_csv(path: Path, options: Mapping[str, object]) -> Sample:
    """Return the first records of a CSV file, or of the first one of a folder.

    Raises:
        IngestError: If it cannot be read.
    """
    file = path / plain_files(path, "*.csv")[0] if path.is_dir() else path
    delimiter = str(options.get("delimiter", ""))
    dialect = Dialect(
        "\t" if delimiter in TAB else delimiter, str(options.get("quote", '"')), str(options.get("encoding", "utf-8"))
    )
    found = (each.cells for each in records(file, dialect) if isinstance(each, Record))
    lines = list(itertools.islice(found, ROWS + 1))
    if not lines:
        return Sample((), ())
    header = [name.strip() for name in lines[0]]
    if options.get("header") is False:
        header = [str(place) for place in range(1, len(header) + 1)]
    else:
        lines = lines[1:]
    rows = [dict(zip(header, cells, strict=True)) for cells in lines if len(cells) == len(header)]
    return Sample(tuple(header), tuple(rows))


def sample_jsonl(path: Path) -> Sample:
    """Return the first lines of a file of JSON lines, or of the first one of a folder.

    Raises:
        IngestError: If it cannot be read.
    """
    file = path / plain_files(path, "*.jsonl")[0] if path.is_dir() else path
    rows: list[dict[str, str]] = []
    keys: dict[str, None] = {}
    has_value = False
    with Lines(file, limit=MAX_LINE_BYTES) as lines:
        for _, line in itertools.islice(lines, ROWS):
            try:
                record = strict_loads((line or b"").decode("utf-8"))
            except (RejectedInputError, UnicodeDecodeError):
                continue
            if not isinstance(record, dict):
                continue
            has_value = has_value or any(record.get(name) is not None for name in (*VALUES, "probs", "op", "value_ref"))
            names = [name for name in _paths(record) if name in ("subject", "label") or name not in KNOWN]
            if "subject_id" in record or "subject_key" in record:
                record["subject"] = record.get("subject_id") or record.get("subject_key")
                names.append("subject")
            keys.update(dict.fromkeys(names))
            rows.append({name: str(key_value(record, name)) for name in names})
    return Sample(tuple(keys), tuple(rows), has_value)


def _paths(record: Mapping[str, object], before: str = "") -> Iterator[str]:
    for key, value in record.items():
        if isinstance(value, Mapping) and not (not before and key in KNOWN):
            yield from _paths(value, f"{before}{key}.")
        else:
            yield before + key
