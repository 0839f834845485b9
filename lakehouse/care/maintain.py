"""maintain: small files put together, checkpoints written, and what nobody needs removed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from lakehouse.care.compact import FEW, compact
from lakehouse.care.lines import free_deleted, pins_of_all, pins_of_line
from lakehouse.care.pins import Pin, current_pins, dataset_pins
from lakehouse.care.vacuum import vacuum
from lakehouse.commits.refs import branches, deleted_lines
from lakehouse.lake import Lake
from lakehouse.lines import MAIN
from lakehouse.progress import progress
from lakehouse.steps.receipts import RUNS, Receipt
from lakehouse.steps.step import step
from lakehouse.tables.leases import LOCKS
from lakehouse.verification.places import line_home, place_of
from schemas.tables import TABLES

GRACE = timedelta(days=7)
KEEP_RUNS = timedelta(days=365)


def maintain(
    lake: Lake,
    *,
    tables: Collection[str] = (),
    grace: timedelta = GRACE,
    keep_runs: timedelta = KEEP_RUNS,
    few: int = FEW,
    dry_run: bool = False,
) -> Receipt:
    """Keep a lake quick to open and as small as what it holds; no row of any newest version changes.

    Of the lake itself its branches are looked after too, and what only deleted ones had is freed.

    Args:
        lake: The lake.
        tables: Names of tables; empty looks after all.
        grace: How long a file that nobody needs stays, for readers and writers that are under way.
        keep_runs: How long receipts and notes of runs stay.
        few: So many small files of a table are left as they are.
        dry_run: Only say what would be done.

    Returns:
        Receipt with counts files_before, files_after, removed, young, pinned, expired and branches_freed (deleted ones
        whose tables went). What a pin keeps is noted
        with its name.

    Raises:
        TableError: If a log, or a pin, is damaged: what is needed is not known then.
        ConcurrentWriteError: If a table stayed busy.
    """
    with step(lake, "maintain") as record:
        def pins() -> list[Pin]:
            # Asked for each table anew: what was tagged, branched off or built meanwhile is kept.
            told = dataset_pins(lake) + current_pins(lake)
            own = {pin.name for pin in told}
            return told + [pin for pin in pins_of_line(pins_of_all(lake), lake.home.line) if pin.name not in own]

        # What a branch never wrote is not its own.
        chosen = [table for table in TABLES if (not tables or table.name in tables)
                  and place_of(lake.home, table).pinned is None]  # fmt: skip
        counts = record.counts = dict.fromkeys(
            ("tables", "files_before", "files_after", "removed", "young", "pinned", "expired", "branches_freed"), 0
        )
        with progress("maintain", total=len(chosen), unit="tables") as advance:
            for table in chosen:
                counts["tables"] += 1
                if not dry_run:
                    packed = compact(lake, table, few=few)
                    counts["files_before"] += packed.before
                    counts["files_after"] += packed.after
                    record.bytes_written += packed.bytes_read
                gone = vacuum(lake, table, pins, grace=grace, now=lake.clock(), dry_run=dry_run)
                counts["removed"] += gone.removed
                counts["young"] += gone.young
                for name, files in gone.pinned.items():
                    counts["pinned"] += files
                    record.note("pinned", f"{table.name}: {files} files stay because {name} needs them", count=files)
                advance(1)
        if lake.home.line == MAIN:
            counts["branches_freed"], _ = free_deleted(
                lake, pins_of_all(lake), grace=grace, now=lake.clock(), dry_run=dry_run
            )
            # Of deleted branches those that something needs still: what was erased goes there too.
            for line in [*branches(lake.home).values(), *deleted_lines(lake.home)]:
                if line != MAIN:
                    there = lake.on(line_home(lake.home, line))
                    done = maintain(there, tables=tables, grace=grace, keep_runs=keep_runs, few=few, dry_run=dry_run)
                    for name, count in done.counts.items():
                        counts[name] += count
        counts["expired"] = _expire(lake, keep_runs, dry_run=dry_run)
        if dry_run:
            record.note("dry_run", "nothing was changed; run again without --dry-run")
    return record.finished()


def _expire(lake: Lake, keep: timedelta, *, dry_run: bool) -> int:
    """Remove old receipts, old notes of runs, and what asks of killed processes left among the locks; return how many.

    A lock itself stays: its number is to grow for ever.
    """
    now, expired = lake.clock(), 0
    old = [each for folder in (RUNS, LOCKS) for each in lake.files.list(folder)
           if each.modified is not None and now - each.modified > keep]  # fmt: skip
    for each in old:
        is_lock = each.name.startswith(f"{LOCKS}/") and not each.name.startswith((f"{LOCKS}/probe-", f"{LOCKS}/clock-"))
        if is_lock or each.name.startswith((f"{RUNS}/damaged/", f"{RUNS}/verified/")):
            continue
        expired += 1
        if not dry_run:
            lake.files.delete(each.name)
    return expired
