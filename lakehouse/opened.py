"""What `open_lake` gives: the lake, with what programs ask of it all day as methods.

A lake is what every room is handed, so it stands below them and knows none; this stands above them. Each method is the
function of the same name, which takes the lake first; the steps are functions alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from io import BufferedReader
from typing import TYPE_CHECKING

from lakehouse.lake import Lake

if TYPE_CHECKING:
    import pyarrow as pa


class OpenLake(Lake):
    """An open lake; see `Lake` for what it is, and the functions for what the methods do and raise."""

    def read_table(
        self,
        name: str,
        *,
        version: int | Mapping[str, int] | None = None,
        as_of: datetime | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        params: Mapping[str, object] | None = None,
    ) -> pa.Table:
        """Return the rows of a table or view: `lakehouse.reading.tables.read_table`."""
        from lakehouse.reading.tables import read_table

        return read_table(self, name, version=version, as_of=as_of, columns=columns, where=where, params=params)

    def read_object(self, entity_id: str) -> bytes:
        """Return the bytes of an entity: `lakehouse.reading.objects.read_object`."""
        from lakehouse.reading.objects import read_object

        return read_object(self, entity_id)

    def open_object(self, entity_id: str, *, range: tuple[int, int | None] | None = None) -> BufferedReader:
        """Return the bytes of an entity as a file: `lakehouse.reading.objects.open_object`."""
        from lakehouse.reading.objects import open_object

        return open_object(self, entity_id, range=range)
