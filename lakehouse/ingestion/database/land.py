"""Landing rows of a database: files in them become objects, all else records of bronze, from where the last run ended.

Where a run ended is written in the same commit as its rows. Rows at that place are read again, so that those which
share a value of the cursor are not lost; what the lake has already is no new record.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

import pyarrow as pa

from lakehouse.errors import IngestError
from lakehouse.ingestion.containers.member import DIVIDER
from lakehouse.ingestion.database.connection import Database, Undecoded, connected
from lakehouse.ingestion.database.places import before, place_of, value_of
from lakehouse.ingestion.landed import keep_stored, store_plan
from lakehouse.ingestion.sources.forms import DatabaseOptions
from lakehouse.ingestion.sources.layout import Kept, check_layout, kept_row, latest
from lakehouse.ingestion.sources.listing import plain_path
from lakehouse.ingestion.sources.record_text import plain, record_text
from lakehouse.ingestion.sources.sidecar import stated
from lakehouse.ingestion.sources.source import Source
from lakehouse.ingestion.storing.healing import start_healing
from lakehouse.ingestion.storing.items import Described, Item, store_items
from lakehouse.ingestion.storing.pending import StorePlan
from lakehouse.lake import Lake
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import head
from schemas.canonical import content_id
from schemas.tables import LANDED_FILES, RAW_RECORDS

FILE_COUNTS = ("seen", "stored", "duplicate", "refused")
ROW_COUNTS = ("rows", "new", "same", "erased", "without_cursor")


def land_database(lake: Lake, source: Source) -> Receipt:
    """Land the rows of a table, or of a query, that came since the last run.

    Args:
        lake: The lake.
        source: Its `folder` is the file of SQLite, or `postgresql://user@host/database`.

    Returns:
        Receipt with counts rows = new + same + erased + without_cursor (records), and seen = stored + duplicate +
        refused (files in them).

    Raises:
        IngestError: If the database cannot be read, or has lost columns or changed their types.
        ConfigError: If no such password is in the environment.
    """
    options: DatabaseOptions = source.chosen_options
    origin = origin_of(source)
    with step(lake, "land") as record, connected(source) as database:
        base = options.query or f"SELECT * FROM {quoted(options.table)}"
        found = database.columns(base, options.table)
        required = frozenset({*options.cursor, *options.key, *source.group_keys.values(),
                              *filter(None, (options.name, source.captured_at))})  # fmt: skip
        check_layout(lake, source, found, record, origin=origin, required=required)
        counts = record.counts = dict.fromkeys((*ROW_COUNTS, *FILE_COUNTS), 0)
        _count_without_cursor(database, base, options, origin, record)
        _check_kinds(database, base, options, origin)
        last = latest(lake, source, origin=origin, kind="cursor")
        reading = _Reading(lake, source, origin, tuple(found), record)
        for rows in _portions(database, base, options, last):
            last = reading.land(rows, last)
        counts["rows"] = reading.rows + counts["without_cursor"]
        balance("land", "rows", {name: counts[name] for name in ROW_COUNTS[1:]}, counts["rows"])
        balance("land", "files seen", {name: counts[name] for name in FILE_COUNTS[1:]}, counts["seen"])
        record.details["up_to"] = "nothing" if last is None else json.dumps(last[0]["after"])
    return record.finished()


def origin_of(source: Source) -> str:
    """Return what names the table of a source; another query is read from its beginning."""
    options: DatabaseOptions = source.chosen_options
    return f"{source.address}{DIVIDER}" + (options.table or f"query-{content_id([options.query], digits=16)}")


def quoted(table: str) -> str:
    """Return a name, with its schema if it has one, as SQL."""
    return ".".join('"' + step.replace('"', '""') + '"' for step in table.split("."))


def _count_without_cursor(
    database: Database, base: str, options: DatabaseOptions, origin: str, record: StepRecord
) -> None:
    null = " OR ".join(f"{quoted_column(name)} IS NULL" for name in options.cursor)
    ((found,),) = database.rows(f"SELECT count(*) FROM ({base}) AS asked WHERE {null}", ())
    if found:
        record.counts["without_cursor"] = int(str(found))
        record.note("without_cursor", f"{origin}: rows whose {', '.join(options.cursor)} is NULL are before and behind "
                    "nothing, and are not read; give them a value", count=int(str(found)))


def _check_kinds(database: Database, base: str, options: DatabaseOptions, origin: str) -> None:
    for name in options.cursor:
        kinds = database.kinds(base, quoted_column(name))
        if len(kinds) > 1:
            raise IngestError(f"{origin}: cursor {name}: values of several types, {' and '.join(kinds)}: what comes "
                              "later may be before them and would never be read; give all rows one type")  # fmt: skip


def quoted_column(name: str) -> str:
    """Return the name of a column as SQL."""
    return '"' + name.replace('"', '""') + '"'


def _portions(
    database: Database, base: str, options: DatabaseOptions, last: Kept | None
) -> Iterator[Iterator[Sequence[object]]]:
    """Yield the rows from the last place on, in order, as many at once as one commit gets."""
    cursor = ", ".join(map(quoted_column, options.cursor))
    known = " AND ".join(f"{quoted_column(name)} IS NOT NULL" for name in options.cursor)
    text, params = f"SELECT * FROM ({base}) AS asked WHERE {known}", list[object]()
    if last is not None:
        params = [value_of(each) for each in last[0]["after"]]
        if options.overlap:
            params = [before(params[0], options.overlap)]
        text += f" AND ({cursor}) >= ({', '.join([database.mark] * len(params))})"
    order = ", ".join(map(quoted_column, dict.fromkeys((*options.cursor, *options.key))))
    rows = database.rows(f"{text} ORDER BY {order}", params)
    for first in rows:
        yield itertools.chain([first], itertools.islice(rows, options.rows_per_commit - 1))


class _Reading:
    """One run over the rows of a table; `rows` counts them."""

    def __init__(
        self, lake: Lake, source: Source, origin: str, columns: tuple[str, ...], record: StepRecord
    ) -> None:
        self._lake, self._source, self._origin, self._columns, self._record = lake, source, origin, columns, record
        self._options: DatabaseOptions = source.chosen_options
        self._healing = start_healing(lake, source, origin, before=head(lake.home, LANDED_FILES))
        self.rows = 0

    def land(self, rows: Iterator[Sequence[object]], last: Kept | None) -> Kept:
        """Land a portion of rows, and where it ends, in one commit; files come first, as everywhere."""
        plan, records, places = store_plan(self._lake, self._source), list[dict[str, object]](), list[list[object]]()
        batches = list(store_items(self._items(rows, plan, records, places), plan))
        if batches:
            self._record.counts["seen"] += sum(each.num_rows for each in batches)
            stored = self._lake.engine.from_arrow(pa.Table.from_batches(batches))
            keep_stored(self._lake, stored, plan, self._record, self._healing, again={})
        is_further = last is None or places[-1] != last[0]["after"]
        if is_further:
            row = kept_row(self._source, {"after": places[-1]}, origin=self._origin, kind="cursor", after=last)
            last = ({"after": places[-1]}, int(str(row["ordinal"])))
        written = insert_rows(self._lake, RAW_RECORDS, [*records, *([row] if is_further else [])], step="land")
        self._record.writes.append(written)
        counts, new = self._record.counts, written.rows_new - is_further
        counts["new"] += new
        counts["same"] += len(records) - new
        counts["erased"] += len(places) - len(records)
        assert last is not None
        return last

    def _items(
        self, rows: Iterator[Sequence[object]], plan: StorePlan, records: list[dict[str, object]],
        places: list[list[object]],
    ) -> Iterator[Item]:
        """Yield the files of the rows; what else is in them is added to the records."""
        for cells in rows:
            self.rows += 1
            row = dict(zip(self._columns, cells, strict=True))
            places.append([place_of(name, row[name]) for name in self._options.cursor])
            files = {name: bytes(value) for name, value in row.items() if _is_file(value)}
            told = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
            payload = record_text(
                row | {name: {"sha256": told[name], "size_bytes": len(data)} for name, data in files.items()}
            )
            described = Described()
            # Of what was erased nothing comes back, whatever else the row says.
            if plan.erased.isdisjoint(told.values()):
                found = stated(self._source, {name: plain(value) for name, value in row.items() if name not in files},
                               payload, where=f"{self._origin}, row {self.rows}")
                described = Described(found.text, found.captured_at, dict(found.group_keys))
                records.append({
                    "record_id": content_id([self._source.name, self._origin, payload]), "source": self._source.name,
                    "origin": self._origin, "ordinal": self.rows, "kind": "row", "payload": payload,
                })  # fmt: skip
            for name, data in files.items():
                yield self._item(row, name, data, described)

    def _item(self, row: Mapping[str, object], column: str, data: bytes, described: Described) -> Item:
        key = [urllib.parse.quote(str(plain(row[name])), safe="") for name in self._options.key]
        path = f"{'/'.join(key)}/{column}"
        name = str(plain(row[self._options.name])) if self._options.name else path
        return Item(
            uri=f"{self._origin}{DIVIDER}{path}", path=plain_path(name.encode()), name=name.rpartition("/")[2],
            size=len(data), content=io.BytesIO(data), described=described, container_uri=self._origin,
        )  # fmt: skip


def _is_file(value: object) -> TypeGuard[bytes | bytearray | memoryview]:
    return isinstance(value, bytes | bytearray | memoryview) and not isinstance(value, Undecoded)
