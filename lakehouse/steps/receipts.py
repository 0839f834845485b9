"""What a step did: one small frozen record, printed, logged and kept in `_runs/`."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatch

from lakehouse.tables.inserted import Inserted
from loaders.stores.storage import Storage

RUNS = "_runs"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that was taken and that a person should know all the same.

    Attributes:
        rule: Short stable name.
        count: How often.
        example: The first one, in words.
    """

    rule: str
    count: int
    example: str

    def __str__(self) -> str:
        return f"{self.rule} ({self.count:,}): {self.example}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one step did.

    Attributes:
        step: Name of the step.
        engine: `embedded` or `spark`.
        started_at: When it began, UTC.
        seconds: Wall time.
        counts: Named counts of the step, for example seen, stored, duplicate, rejected.
        writes: One entry per table that was offered rows; equal versions mean that nothing changed.
        bytes_written: Bytes of objects or files written.
        details: Identifiers worth keeping: dataset id, folder, verdict.
        notes: What was taken and is remarkable all the same, by rule.
        run_id: UUID of the run; "" in receipts of older versions.
    """

    step: str
    engine: str
    started_at: datetime
    seconds: float
    counts: Mapping[str, int] = field(default_factory=dict)
    writes: tuple[Inserted, ...] = ()
    bytes_written: int = 0
    details: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Noted, ...] = ()
    run_id: str = ""

    @property
    def rows_new(self) -> int:
        """Rows added to all tables together."""
        return sum(write.rows_new for write in self.writes)

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return self.rows_new > 0 or self.bytes_written > 0

    def to_json(self) -> str:
        """One line of JSON."""
        record = dataclasses.asdict(self)
        record["started_at"] = self.started_at.isoformat()
        return json.dumps(record)

    def __str__(self) -> str:
        counts = ", ".join(f"{number:,} {name}" for name, number in self.counts.items())
        tables = ", ".join(
            f"{write.table} v{write.version_after} (+{write.rows_new:,})" for write in self.writes if write.rows_new
        )
        details = ", ".join(f"{name} {value}" for name, value in self.details.items())
        notes = ", ".join(f"{note.count:,} {note.rule}" for note in self.notes)
        notes = f"to note: {notes}" if notes else ""
        written = tables or (f"{self.bytes_written:,} bytes written" if self.bytes_written else "nothing new")
        parts = [part for part in (counts, written, details, notes, f"{self.seconds:.1f} s") if part]
        return f"{self.step} [{self.engine}]: " + "; ".join(parts)


def from_json(text: str) -> Receipt:
    """Read a receipt written by `Receipt.to_json`.

    Raises:
        ValueError: If the text is not one.
    """
    try:
        record = json.loads(text)
        record["started_at"] = datetime.fromisoformat(record["started_at"])
        record["writes"] = tuple(Inserted(**write) for write in record["writes"])
        record["notes"] = tuple(Noted(**note) for note in record.get("notes", ()))
        return Receipt(**record)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a receipt: {error}: {text[:200]!r}") from error


def keep(files: Storage, receipt: Receipt) -> str:
    """Write the receipt among the files of a lake, whole or not at all, and return its name."""
    stamp = receipt.started_at.strftime("%Y%m%dT%H%M%S.%fZ")
    name = f"{RUNS}/{stamp}-{receipt.step}-{(receipt.run_id or uuid.uuid4().hex)[:8]}.json"
    files.put(name, f"{receipt.to_json()}\n".encode())
    return name


def newest_first(files: Storage, *, step: str = "*") -> Iterator[Receipt]:
    """Yield the receipts of a step, or of all; one that cannot be read (of another version) is passed over."""
    names = [each.name for each in files.list(RUNS) if fnmatch(each.name, f"{RUNS}/????????T*-{step}-*.json")]
    for name in reversed(names):
        try:
            yield from_json(files.read_whole(name).decode())
        except (OSError, ValueError) as error:
            logger.warning("receipt passed over path=%s/%s reason=%s", files.root, name, error)


def last(files: Storage, *, limit: int = 10) -> list[Receipt]:
    """Return the newest receipts, newest first."""
    return list(itertools.islice(newest_first(files), limit))
