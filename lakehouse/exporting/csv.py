"""csv: `<split>/<entity id>.<ending>` and `<split>/metadata.csv`, as Hugging Face, pandas and people read them.

Where a column is nested it is `metadata.jsonl`: a cell holds no list.
"""

from __future__ import annotations

import csv
import itertools
import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from lakehouse.exporting.card import put_card
from lakehouse.exporting.columns import columns_of, is_nested, values_of
from lakehouse.exporting.folders import write_files
from lakehouse.exporting.names import file_of
from lakehouse.exporting.rows import Row, Selection
from lakehouse.exporting.shards import WITHOUT_SPLIT
from lakehouse.exporting.writing import Job
from lakehouse.opinions.formats.losing import Loss
from lakehouse.target import Target

NAME = "file_name"

NOTHING = frozenset({
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL",
    "NaN", "None", "n/a", "nan", "null",
})  # fmt: skip
"""What pandas, and with it Hugging Face, reads as no value."""


def check_csv(selection: Selection) -> None:
    """Refuse fields that are called as the format's own.

    Raises:
        ConfigError: If there is one.
    """
    columns_of(selection, beside=(NAME,))


def is_flat(selection: Selection) -> bool:
    """Return whether cells hold every column."""
    return not any(map(is_nested, columns_of(selection).values()))


def lost_in_csv(selection: Selection, row: Row) -> Iterator[Loss]:
    """Yield texts of a row that readers of CSV, who are told no types, take for something else."""
    found = list(_read_otherwise(selection, row))
    # Asked of the few rows that have any: it works all columns out.
    if found and is_flat(selection):
        yield from found


def _read_otherwise(selection: Selection, row: Row) -> Iterator[Loss]:
    for name, value in values_of(selection, row).items():
        if value == "":
            yield "empty_text", f"{row.entity_id}: {name} is an empty text; a cell of it is read as no value"
        elif isinstance(value, str) and (value in NOTHING or _is_number(value)):
            how = "read it as text (pandas: dtype=str, na_filter=False)"
            yield "read_as_other", f"{row.entity_id}: {name} is the text {value!a:.80}; {how}"


def write_csv(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write files in folders by split, in each folder the table of them, and a card that names the splits."""
    begin, name = (_begin_csv, "metadata.csv") if is_flat(job.selection) else (_begin_jsonl, "metadata.jsonl")
    for split, part in itertools.groupby(rows, key=lambda row: row.split):
        _write_split(job, split or WITHOUT_SPLIT, part, target, begin, name)
    put_card(job, target, lambda split: f"{split}/**", apart=name == "metadata.jsonl")


Tell = Callable[[dict[str, Any]], object]


def _write_split(
    job: Job, folder: str, rows: Iterable[Row], target: Target, begin: Callable[[TextIO, list[str]], Tell], name: str
) -> None:
    path = job.scratch / f"{uuid.uuid4().hex}.table"
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            tell = begin(file, [NAME, *columns_of(job.selection)])

            def told() -> Iterator[Row]:
                for row in rows:
                    tell({NAME: file_of(row.entity_id, row.media_type)} | values_of(job.selection, row))
                    yield row

            write_files(job, told(), target, lambda row: f"{folder}/{file_of(row.entity_id, row.media_type)}")
        if not target.has(f"{folder}/{name}", path.stat().st_size):
            target.put(f"{folder}/{name}", path)
    finally:
        path.unlink(missing_ok=True)


def _begin_csv(file: TextIO, names: list[str]) -> Tell:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    return lambda values: writer.writerow([_cell(values[name]) for name in names])


def _begin_jsonl(file: TextIO, names: list[str]) -> Tell:
    def tell(values: dict[str, Any]) -> None:
        file.write(json.dumps({name: _stated(values[name]) for name in names}, ensure_ascii=False) + "\n")

    return tell


def _stated(value: Any) -> Any:
    # Readers that guess types stumble over lists of nothing but null.
    if not isinstance(value, dict):
        return value
    return {name: each for name, each in value.items() if each == [] or any(one is not None for one in each)}


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.lower() in ("true", "false")
    return True
