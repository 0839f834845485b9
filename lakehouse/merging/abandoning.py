"""The way out of a merge or revert that was killed and cannot be finished: what it wrote is taken back."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.commits.history import before
from lakehouse.commits.making import commit
from lakehouse.commits.manifest import Commit, read_commit
from lakehouse.commits.naming import newest_commit
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.lines import numbered
from lakehouse.merging.applying import apply_plan
from lakehouse.merging.changed import changed_rows
from lakehouse.merging.intents import intents
from lakehouse.merging.plan import Plan, forget_erased
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import step
from lakehouse.tables.locks import lake_lock
from lakehouse.tables.read import head
from lakehouse.verification.entries import commit_metadata
from lakehouse.verification.facts import commit_record
from lakehouse.verification.places import place_of
from schemas.tables import TABLES


def abandon(lake: Lake) -> Receipt:
    """Take back what merges and reverts that were killed have written to a branch, and forget them.

    What others wrote to the branch meanwhile stays. Killed itself, it is run again.

    Args:
        lake: The lake, opened with `finish=False`.

    Returns:
        Receipt with counts come and gone, and details commit.

    Raises:
        ConfigError: If there is nothing to abandon.
        TableError: If a table of the branch is damaged.
    """
    with step(lake, "merge") as record, lake_lock(lake, f"merge-{lake.home.line}"):
        waiting = list(intents(lake.home))
        if not waiting:
            raise ConfigError(f"{lake.home.branch}: no merge or revert waits to be finished; nothing to abandon")
        for name, intent in waiting:
            newest = newest_commit(lake.home)
            if "theirs" in intent and any(done.commit_id == intent["theirs"] for done in before(lake.home, newest)):
                record.note("whole", f"{intent['message']}: it was done to its end; petrel revert takes it back")
            else:
                plan = _written(lake, read_commit(lake.home, intent["ours"]), str(intent["kind"]))
                apply_plan(lake, plan, record, kind="abandon")
                record.note("abandoned", f"{intent['message']}: what it had written is taken back")
                if plan.come or plan.go:
                    record.details["commit"] = commit(lake, f"abandon: {intent['message']}").commit_id
            lake.files.delete(name)
    return record.finished()


def _written(lake: Lake, ours: Commit, kind: str) -> Plan:
    """Return what takes back all that commits of one kind have done to the tables since a commit of this line."""
    plan = Plan()
    for table in TABLES:
        place = place_of(lake.home, table)
        if place.pinned is not None:
            continue
        none = table.arrow_schema.empty_table()
        added, removed = [none], [none]
        for version in range(ours.tables[table.name].version + 1, head(lake.home, table) + 1):
            if commit_record(commit_metadata(place, version)).get("step") == kind:
                numbers = (numbered(lake.home.line, each) for each in (version - 1, version))
                changed = changed_rows(lake.home, table, *numbers)
                added.append(changed.added)
                removed.append(changed.removed)
        come, go = _without(pa.concat_tables(removed), pa.concat_tables(added))
        if come.num_rows:
            plan.come[table.name] = come
        if go.num_rows:
            plan.go[table.name] = set(go.column("row_hash").to_pylist())
    forget_erased(lake, plan)
    return plan


def _without(one: pa.Table, other: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the rows of each that the other has not."""
    hashes = [each.column("row_hash").combine_chunks() for each in (one, other)]
    return (one.filter(pc.invert(pc.is_in(hashes[0], value_set=hashes[1]))),
            other.filter(pc.invert(pc.is_in(hashes[1], value_set=hashes[0]))))  # fmt: skip
