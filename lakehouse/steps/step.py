"""What every step does around its own work: take the time, balance the counts, keep the receipt."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from lakehouse.errors import CheckFailedError
from lakehouse.lake import Lake
from lakehouse.steps.fresh import find_note, keep_note
from lakehouse.steps.receipts import Noted, Receipt, keep
from lakehouse.tables.inserted import Inserted
from lakehouse.tables.readers import reading

logger = logging.getLogger(__name__)


@dataclass
class StepRecord:
    """What a running step notes; becomes its receipt.

    Attributes:
        unchanged: The step ran before with the same inputs; its block has nothing to do.
        counts_again: Counts that a repetition with the same inputs reports; None repeats `counts`.
        notes: What people should know, by rule.
        complete: False keeps the step from being skipped next time: something may be done better then.
    """

    unchanged: bool = False
    complete: bool = True
    counts: dict[str, int] = field(default_factory=dict)
    counts_again: dict[str, int] | None = None
    writes: list[Inserted] = field(default_factory=list)
    bytes_written: int = 0
    details: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Noted] = field(default_factory=dict)
    receipt: Receipt | None = None

    def note(self, rule: str, example: str, *, count: int = 1) -> None:
        """Count something that a person should know, and say the first of its kind at once."""
        held = self.notes.get(rule)
        self.notes[rule] = Noted(rule, count, example) if held is None else replace(held, count=held.count + count)
        if held is None:
            logger.warning("note %s", self.notes[rule])

    def finished(self) -> Receipt:
        """Return the receipt; the step's block has ended."""
        if self.receipt is None:
            raise RuntimeError("the step has not ended yet")
        return self.receipt


@contextmanager
def step(
    lake: Lake,
    name: str,
    *,
    inputs: Mapping[str, object] | None = None,
    reads: Mapping[str, int] | None = None,
) -> Iterator[StepRecord]:
    """Run the block as step `name`: a receipt is logged and kept if it ends well.

    Args:
        lake: The lake.
        name: Name of the step.
        inputs: Everything the outcome depends on, as JSON values: versions of the tables read, settings,
            versions of the code. After a run that ended well the same inputs set `unchanged`. None never does.
        reads: Table -> version, verified: what the block reads, and nobody may remove meanwhile.
    """
    started_at, started = lake.clock(), time.monotonic()
    note = None if inputs is None else find_note(lake, name, inputs)
    if note is None:
        record = StepRecord()
    else:
        record = StepRecord(unchanged=True, counts=dict(note.counts), details=dict(note.details))
    with reading(lake, {} if record.unchanged else reads or {}, by=name):
        yield record
    if inputs is not None and record.complete and not record.unchanged:
        again = record.counts if record.counts_again is None else record.counts_again
        keep_note(lake, name, inputs, counts=again, details=record.details, writes=record.writes)
    record.receipt = Receipt(
        step=name,
        engine=lake.engine_name,
        started_at=started_at,
        seconds=round(time.monotonic() - started, 3),
        counts=dict(record.counts),
        writes=tuple(_merged(record.writes)),
        bytes_written=record.bytes_written,
        details=dict(record.details),
        notes=tuple(record.notes.values()),
    )
    keep(lake.files, record.receipt)
    logger.info("finished step=%s engine=%s new_rows=%d seconds=%.2f", name, lake.engine_name,
                record.receipt.rows_new, record.receipt.seconds)


def balance(step_name: str, total: str, parts: Mapping[str, int], seen: int) -> None:
    """Check that everything seen is accounted for.

    Raises:
        CheckFailedError: If the parts do not add up; the message shows the sum.
    """
    if sum(parts.values()) != seen:
        shown = " + ".join(f"{count} {name}" for name, count in parts.items())
        raise CheckFailedError(f"{step_name}: {seen} {total}, but {shown} = {sum(parts.values())}; please report this")


def _merged(writes: list[Inserted]) -> Iterator[Inserted]:
    by_table: dict[str, list[Inserted]] = {}
    for write in writes:
        by_table.setdefault(write.table, []).append(write)
    for table, parts in by_table.items():
        yield Inserted(
            table,
            parts[0].version_before,
            parts[-1].version_after,
            sum(part.rows_offered for part in parts),
            sum(part.rows_new for part in parts),
            parts[-1].digest,
        )
