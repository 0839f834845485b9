"""What a survey of a lake finds, and what it looked at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Damage:
    """One damaged thing.

    Attributes:
        kind: `lake`, `table`, `count` (rows that are gone without a trace in any log), `object`, `linked`,
            `published`, or `unchecked`: what could not be looked at because of other damage.
        what: Name of the table, id of the entity, or name of the published version.
        message: Where, what was expected, what was found, what to do; one sentence.
    """

    kind: str
    what: str
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(slots=True)
class Checked:
    """What was looked at, filled while it is.

    Attributes:
        counts: How many, by kind: tables, imports, datasets, objects, linked files, bytes read ...
        notes: What is no damage and should be known all the same.
        dataset_id: The version that was asked for by name or id; None for all, or where it was not found.
    """

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    dataset_id: str | None = None
