"""What is known of all rows before the first is written: counted in the pass that plans an export."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lakehouse.exporting.cutting import Cutter
from lakehouse.exporting.rows import Row


@dataclass(slots=True)
class Facts:
    """Of the rows that go out.

    Attributes:
        cutter: Cuts them as the shards will be cut; None: there are none.
        media_types: Media type -> rows.
        splits: Split (None: in none) -> rows, in the order of the export.
        shards: Split -> shards.
        missing: Names of own fields, and `label`, that some row has no value of.
    """

    cutter: Cutter | None = None
    media_types: Counter[str] = field(default_factory=Counter)
    splits: Counter[str | None] = field(default_factory=Counter)
    shards: Counter[str | None] = field(default_factory=Counter)
    missing: set[str] = field(default_factory=set)

    def add(self, row: Row) -> None:
        """Count one row."""
        self.media_types[row.media_type] += 1
        self.splits[row.split] += 1
        if row.label is None:
            self.missing.add("label")
        self.missing.update(name for name, value in row.fields.items() if value is None)
        if self.cutter is not None and self.cutter.begins(row):
            self.shards[row.split] += 1

    @property
    def media(self) -> str:
        """What they all are: `image`, `audio`, `video`, `text` ...; "" if they differ."""
        found = {each.partition("/")[0] for each in self.media_types}
        return found.pop() if len(found) == 1 else ""
