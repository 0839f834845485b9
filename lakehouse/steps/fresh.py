"""Skip a step whose inputs are the same as when it last ended well: make's time stamps, with contents instead.

What a step read is noted in `_runs/fresh/`, beside the versions its output tables had afterwards. A step that
finds its own note has nothing to do and starts no engine. Deleting the folder is always safe: the next run does
the work again and, by the ids of the rows, adds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.tables.inserted import Inserted
from lakehouse.tables.read import pin_heads
from schemas.canonical import content_id

FRESH = "_runs/fresh"
CONTRACT = 1
"""Part of every note; raise it when steps start to depend on something that notes do not tell."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is known about the last run of a step with these inputs.

    Attributes:
        counts: Counts that a repetition reports.
        details: Details that a repetition reports.
        outputs: Table -> version right after the run.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, int] = field(default_factory=dict)


def find_note(lake: Lake, step: str, inputs: Mapping[str, object]) -> Note | None:
    """Return the note of a run that read exactly these inputs and whose outputs are still there."""
    try:
        note = Note(**json.loads(lake.files.read_whole(_name(step, inputs))))
        pins = pin_heads(lake, note.outputs)
        if all(pins[table] >= version for table, version in note.outputs.items()):
            return note
    except (OSError, ValueError, TypeError, KeyError, TableError):
        # Missing, half-written by an older version, or its tables were damaged or removed: do the work.
        return None
    return None


def keep_note(
    lake: Lake,
    step: str,
    inputs: Mapping[str, object],
    *,
    counts: Mapping[str, int],
    details: Mapping[str, str],
    writes: Sequence[Inserted],
) -> None:
    """Note that the step has done all there is to do about these inputs."""
    record = {
        "counts": dict(counts),
        "details": dict(details),
        "outputs": {write.table: write.version_after for write in writes},
    }
    lake.files.put(_name(step, inputs), json.dumps(record).encode())


def _name(step: str, inputs: Mapping[str, object]) -> str:
    return f"{FRESH}/{step}-{content_id([CONTRACT, step, inputs])}.json"
