"""What every step does around its own work: take the time, balance the counts, keep the receipt."""

from __future__ import annotations

import errno
import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from lakehouse.commits.making import commit_step
from lakehouse.errors import CheckFailedError, PetrelError, ReadOnlyCommitError
from lakehouse.lake import Lake, scans
from lakehouse.lineage.telling import Teller, teller
from lakehouse.steps.fresh import find_note, keep_note
from lakehouse.steps.receipts import Noted, Receipt, keep
from lakehouse.tables.inserted import Inserted
from lakehouse.tables.readers import reading
from loaders.errors import StorageError
from schemas.tables import BY_NAME

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

    Raises:
        ReadOnlyCommitError: If the lake was opened as a commit has it.
        StorageError: If the disk is full, whichever library found it so.
    """
    if lake.home.read_only:
        raise ReadOnlyCommitError(
            f"{name}: the lake {lake.home} was opened as {lake.home.read_only} has it, and commits are not written to; "
            f"make a branch there and work on it: petrel branch NAME {lake.home.read_only}, then --branch NAME"
        )
    started_at, started = lake.clock(), time.monotonic()
    note = None if inputs is None else find_note(lake, name, inputs)
    if note is None:
        record = StepRecord()
    else:
        record = StepRecord(unchanged=True, counts=dict(note.counts), details=dict(note.details))
    tells = teller(lake, name, str(uuid.uuid4()))
    stated = {*(reads or {}).items(), *_tables_in(inputs or {})}
    _note_unsent(record, tells.started(stated))
    with scans(lake) as scanned:
        try:
            with reading(lake, {} if record.unchanged else reads or {}, by=name):
                yield record
            if inputs is not None and record.complete and not record.unchanged:
                again = record.counts if record.counts_again is None else record.counts_again
                keep_note(lake, name, inputs, counts=again, details=record.details, writes=record.writes)
        except BaseException as error:
            if why := tells.failed(stated | scanned, error):
                logger.warning("lineage not sent %s", why)
            if is_disk_full(error):
                raise StorageError(f"{name}: {error}: the disk is full, of the lake {lake.home} or of temporary files; "
                                   "what was committed stays: make room, and run it again") from error  # fmt: skip
            raise
    writes = tuple(_merged(record.writes))
    _note_unsent(record, _completed(tells, stated | scanned, writes, record.details))
    record.receipt = Receipt(
        step=name,
        engine=lake.engine_name,
        started_at=started_at,
        seconds=round(time.monotonic() - started, 3),
        counts=dict(record.counts),
        writes=writes,
        bytes_written=record.bytes_written,
        details=dict(record.details),
        notes=tuple(record.notes.values()),
        run_id=tells.run.run_id,
    )
    keep(lake.files, record.receipt)
    if lake.config.lake.commit_steps:
        commit_step(lake, name, writes)
    logger.info("finished step=%s engine=%s new_rows=%d seconds=%.2f", name, lake.engine_name,
                record.receipt.rows_new, record.receipt.seconds)


def is_disk_full(error: BaseException) -> bool:
    """Tell whether an error that is none of ours says that a disk, or somebody's share of it, is full."""
    if isinstance(error, PetrelError):
        return False
    full = errno.ENOSPC, errno.EDQUOT
    # DuckDB and delta-rs have errors of their own, which repeat what the system said.
    return getattr(error, "errno", None) in full or any(os.strerror(each) in str(error) for each in full)


def balance(step_name: str, total: str, parts: Mapping[str, int], seen: int) -> None:
    """Check that everything seen is accounted for.

    Raises:
        CheckFailedError: If the parts do not add up; the message shows the sum.
    """
    if sum(parts.values()) != seen:
        shown = " + ".join(f"{count} {name}" for name, count in parts.items())
        raise CheckFailedError(f"{step_name}: {seen} {total}, but {shown} = {sum(parts.values())}; please report this")


def _tables_in(inputs: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    """Yield the tables and versions that a step names among what its outcome depends on."""
    for name, value in inputs.items():
        if name in BY_NAME and isinstance(value, int):
            yield name, value


def _completed(
    tells: Teller, reads: set[tuple[str, int]], writes: Sequence[Inserted], details: Mapping[str, str]
) -> str:
    # A table that a step looks up before it adds rows to it is an output, not an input.
    own = {each.table for each in writes if each.rows_new}
    folder = details.get("folder", "") if tells.run.step == "materialise" else ""
    return tells.completed({each for each in reads if each[0] not in own}, writes, [folder] if folder else [])


def _note_unsent(record: StepRecord, why: str) -> None:
    if why:
        record.note("lineage_not_sent", why)


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
