"""What a person looks at: rows of one question in SQL, asked once through the gate and held while one looks."""

from __future__ import annotations

import threading
from collections import OrderedDict

from lakehouse.errors import ConfigError, QueryFailedError, one_line
from lakehouse.extractors.registry import all_dimensions
from lakehouse.lake import Lake
from lakehouse.query import fetch, query
from lakehouse.sql.contained import open_query
from lakehouse.sql.held_rows import HeldRows, Row, kind_of, plain
from schemas.tables import ENTITIES

MOST_HELD = 4
"""Answers that are kept: the one looked at, and those that the back button leads to."""
MEMORY_MB, MEMORY_OF_COLUMN_MB = 64, 2
"""That each of them takes at most, and more for each column; the rows lie in files of the lake's scratch folder."""
LONGEST_SQL = 100_000

TECHNICAL = ("object_uri", "parameters_json", "row_hash", "first_version", "operation", "storage")
"""Columns of entities that are not shown without a question."""
MEASURED = "select distinct dimension from silver.dimensions"
SHOWN = tuple(name for name in ENTITIES.column_names if name not in TECHNICAL)
BY = "order by entity_id"
"""How everything comes: the same each time, and the beginning of it is found without the rest."""
BEGIN_ROWS = 200
"""As many as the grid asks for at once."""
BEGIN = f"select {', '.join(SHOWN)} from silver.entities {BY} limit {BEGIN_ROWS}"
COUNT = "select count(*) as n from silver.entities"


class Selections:
    """Answers to questions, the newest few of them. Several threads may ask; equal questions wait for one answer.

    Args:
        lake: The lake that is asked.
        lock: Held while its engine is; None: nobody else uses it meanwhile.
    """

    def __init__(self, lake: Lake, lock: threading.Lock | None = None) -> None:
        self._lake, self._folder, self._lock = lake, lake.scratch / "held", lock or threading.Lock()
        self._guard = threading.Lock()
        self._asking: dict[tuple[str, str], threading.Lock] = {}
        self._held: OrderedDict[tuple[str, str], HeldRows] = OrderedDict()
        self._begun: tuple[int, list[Row]] | None = None
        self._written = 0

    def begin(self) -> tuple[int, list[Row]]:
        """Return how many rows everything has and the first `BEGIN_ROWS` of them, without what was measured.

        They are the first rows of `of("")` too, which takes ten times as long where much was measured.
        """
        with self._lock:
            begun, written = self._begun, self._written
            if begun is None:
                found = self._lake.engine.arrow(query(self._lake, BEGIN)).to_pylist(maps_as_pydicts="strict")
                rows = [{name: plain(value) for name, value in row.items()} for row in found]
                begun = int(fetch(self._lake, COUNT)[0]["n"]), rows
                with self._guard:
                    self._begun = begun if written == self._written else None
            return begun

    def of(self, text: str, order: str = "") -> HeldRows:
        """Return the rows of a question.

        Args:
            text: One SELECT that gives a column `entity_id`; "": everything.
            order: Expression over its columns, as after `order by`; "": as the rows come.

        Raises:
            ConfigError: If it gives no column `entity_id`, or another than of text.
            QueryRefusedError: If the gate refuses it.
            QueryFailedError: If it cannot be run, or takes more than a query may.
        """
        if len(text) + len(order) > LONGEST_SQL:
            raise ConfigError(f"a question of {len(text) + len(order):,} characters: expected {LONGEST_SQL:,} at most")
        key = (text.strip(), order.strip())
        with self._guard:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            with self._guard:
                if key in self._held:
                    self._held.move_to_end(key)
                    return self._held[key]
                written = self._written
            try:
                rows = self._ask(*key)
            finally:
                with self._guard:
                    self._asking.pop(key, None)
            with self._guard:
                if written == self._written:  # else these rows were asked for before the last answer was written
                    self._held[key] = rows
                while len(self._held) > MOST_HELD:
                    # Not closed here: another thread may be reading it, and the last one frees it.
                    self._held.popitem(last=False)
            return rows

    def forget(self) -> None:
        """Ask anew from now on: something was written."""
        with self._guard:
            self._held.clear()
            self._begun = None
            self._written += 1

    def _ask(self, text: str, order: str) -> HeldRows:
        if text.strip("; \n"):
            return self._held_rows(text.rstrip("; \n"), order)
        with self._lock:
            measured = {row["dimension"] for row in fetch(self._lake, MEASURED)}
        # All that can be measured are a hundred columns: of those in which nothing stands, memory is taken too.
        known = [each.name for each in all_dimensions() if each.name in measured and each.name not in SHOWN]
        try:
            return self._held_rows(f"select {', '.join([*SHOWN, *known])} from entities_wide", order or "entity_id")
        except QueryFailedError as error:
            if order or not known:
                raise
            rows = self._held_rows(f"select {', '.join(SHOWN)} from entities", "entity_id")
            rows.note = f"without what was measured, all at once is too much: {one_line(error, limit=300)}"
            return rows

    def _held_rows(self, asked: str, order: str) -> HeldRows:
        if order:
            asked = f"select * from (\n{asked}\n) order by {order}\n"
        limits, engine = self._lake.config.sql, self._lake.config.engine
        with open_query(self._lake.home, asked, limits=limits, engine=engine) as answer:
            if "entity_id" not in answer.schema.names:
                given = ", ".join(answer.schema.names)
                raise ConfigError(f"the question gives no column entity_id, which says what to show; it gives {given}")
            found = answer.schema.field("entity_id").type
            if kind_of(found) != "text":
                raise ConfigError(f"column entity_id of the question holds {found}, expected the ids of entities, text")
            memory_mb = MEMORY_MB + MEMORY_OF_COLUMN_MB * len(answer.schema)
            return HeldRows(answer.schema, answer, memory_mb=memory_mb, folder=self._folder)
