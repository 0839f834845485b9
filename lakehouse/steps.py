"""What every step does around its own work: take the time, balance the counts, keep the receipt."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from lakehouse.errors import CheckFailedError
from lakehouse.lake import Lake
from lakehouse.receipts import Inserted, Receipt, keep

logger = logging.getLogger(__name__)


@dataclass
class StepRecord:
    """What a running step notes; becomes its receipt."""

    counts: dict[str, int] = field(default_factory=dict)
    writes: list[Inserted] = field(default_factory=list)
    bytes_written: int = 0
    details: dict[str, str] = field(default_factory=dict)
    receipt: Receipt | None = None

    def finished(self) -> Receipt:
        """Return the receipt; the step's block has ended."""
        if self.receipt is None:
            raise RuntimeError("the step has not ended yet")
        return self.receipt


@contextmanager
def step(lake: Lake, name: str) -> Iterator[StepRecord]:
    """Run the block as step `name`: a receipt is logged and kept if it ends well."""
    record = StepRecord()
    started_at, started = lake.clock(), time.monotonic()
    yield record
    record.receipt = Receipt(
        step=name,
        engine=lake.engine_name,
        started_at=started_at,
        seconds=round(time.monotonic() - started, 3),
        counts=dict(record.counts),
        writes=tuple(_merged(record.writes)),
        bytes_written=record.bytes_written,
        details=dict(record.details),
    )
    keep(lake.runs, record.receipt)
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
