"""The two records every table definition is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")
"""The one timestamp type: microseconds since the epoch, UTC."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: snake_case, with the unit or kind as suffix (`_px`, `_bytes`, `_at`, `_id`).
        type: Arrow type; only types that Delta, Spark and DuckDB store alike.
        doc: What the value means, with its unit and range.
        null: What NULL means. None says the column is NOT NULL.
        clock: True for a column that says when *we* learned something; it is left out of `row_hash`,
            so that repeating a run on another day gives the same content.
        commit: True for a clock column that `lakehouse.tables.insert.insert` fills with the version of the table
            that first held the row: an age that no wall clock can turn back.
        late: True for a column that a later version added: where it is NULL, `row_hash` leaves it out, so that rows
            without it keep the content that they had.
    """

    name: str
    type: pa.DataType
    doc: str
    null: str | None = None
    clock: bool = False
    commit: bool = False
    late: bool = False

    @property
    def comment(self) -> str:
        """The text stored beside the column in the table itself."""
        return self.doc if self.null is None else f"{self.doc} NULL: {self.null}."


@dataclass(frozen=True)
class Table:
    """One table: its name, its columns, its key and what must always hold.

    Attributes:
        name: `layer.plural_noun`, for example `silver.entities`.
        doc: What one row is.
        columns: In storage order; keys first, wide values last (Delta keeps statistics of the first 32).
        key: Columns that identify a row; an insert adds only rows whose key is new.
        checks: Constraint name -> SQL predicate that is true for every row.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    checks: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = set(self.key) - set(self.column_names)
        if unknown:
            raise ValueError(f"{self.name}: key columns {sorted(unknown)} are not columns of the table")
        for column in self.columns:
            if column.commit and not (column.clock and pa.types.is_int64(column.type)):
                raise ValueError(f"{self.name}.{column.name}: the version of a commit is a clock column of type int64")
            if column.late and column.null is None:
                raise ValueError(f"{self.name}.{column.name}: a column that came later may be NULL")

    @property
    def layer(self) -> str:
        """`bronze`, `silver` or `gold`."""
        return self.name.split(".")[0]

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """Names in storage order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def clock_columns(self) -> frozenset[str]:
        """Names of the columns that `row_hash` leaves out."""
        return frozenset(column.name for column in self.columns if column.clock)

    @cached_property
    def commit_columns(self) -> tuple[str, ...]:
        """Names of the columns that hold the version of the commit that first held the row."""
        return tuple(column.name for column in self.columns if column.commit)

    @cached_property
    def content_columns(self) -> tuple[str, ...]:
        """Names of the columns that `row_hash` covers."""
        return tuple(name for name in self.column_names if name != "row_hash" and name not in self.clock_columns)

    @cached_property
    def late_columns(self) -> frozenset[str]:
        """Names of the covered columns that `row_hash` leaves out where they are NULL."""
        return frozenset(column.name for column in self.columns if column.late).intersection(self.content_columns)

    @cached_property
    def map_columns(self) -> frozenset[str]:
        """Names of the covered columns whose values are maps."""
        maps = {column.name for column in self.columns if pa.types.is_map(column.type)}
        return frozenset(maps.intersection(self.content_columns))

    @cached_property
    def has_row_hash(self) -> bool:
        """Whether rows carry a content hash."""
        return "row_hash" in self.column_names

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow rendering, with the comments as field metadata."""
        return pa.schema(
            [
                pa.field(c.name, c.type, nullable=c.null is not None, metadata={"comment": c.comment})
                for c in self.columns
            ],
            metadata={"comment": self.doc},
        )


ROW_HASH = Column(
    "row_hash", pa.string(), "SHA-256 (64 hex digits) of the row's canonical JSON without clock columns."
)
"""Last column of every table whose content is compared between runs, lakes and engines."""
