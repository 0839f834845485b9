"""merge and revert: all tables or none, once, however often they are run or killed.

Before the first row is written, `_merges/<id>.json` says what is done: which commits, and how each conflict is settled.
What follows from that is a function of the commits, and writing it twice adds nothing. So a run that was killed is
finished by whoever opens the lake next for writing; what cannot be finished is taken back by `abandoning`. The commit
comes last: who reads the lake by commits (`@main`) sees all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lakehouse.commits.branching import commit_now
from lakehouse.commits.history import before
from lakehouse.commits.making import commit, versions_now
from lakehouse.commits.manifest import Commit, read_commit
from lakehouse.commits.naming import find_commit, newest_commit
from lakehouse.commits.refs import branches
from lakehouse.errors import ConcurrentWriteError, ConfigError, PetrelError, UnfinishedMergeError, one_line
from lakehouse.lake import Lake
from lakehouse.lines import MERGES
from lakehouse.merging.applying import apply_plan
from lakehouse.merging.comparing import compare, since
from lakehouse.merging.conflicts import FAIL, Conflict, Settle, check_policy, find_conflicts, settled
from lakehouse.merging.intents import intents, keep_intent
from lakehouse.merging.plan import Plan, forget_erased, plan_merge
from lakehouse.merging.references import check_references
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.tables.locks import lake_lock
from lakehouse.verification.places import line_home
from loaders.errors import StorageError


def merge(lake: Lake, other: str, *, policy: str | Settle = FAIL, message: str = "") -> Receipt:
    """Bring what another branch or commit has to the branch that is open.

    Events of both sides are kept: rows are united by their keys. What both sides cannot have is a conflict (see
    `conflicts.Conflict`), settled by a policy. `ours` leaves the other side's rows out (answers are told in
    silver.rejected), `theirs` takes this side's back, `newest` keeps both answers, of which the later one holds.
    What the other side took out goes here too.

    Args:
        lake: The lake, on the branch that is merged into.
        other: A branch, tag or commit; see `commits.naming.find_commit`.
        policy: `fail`, `ours`, `theirs`, `newest`, or a function that says one of the last three of each conflict.
        message: Why, for people.

    Returns:
        Receipt with counts come, gone, conflicts, left_out; details commit (the merge's) and ancestor.

    Raises:
        MergeConflictError: If there are conflicts and the policy is `fail`; it has them all, and nothing was written.
        ConfigError: If there is no such branch, commit or policy, or they have no commit in common.
        CheckFailedError: If rows that stay would point at rows that go.
    """
    check_policy(policy)
    with step(lake, "merge") as record, lake_lock(lake, f"merge-{lake.home.line}"):
        _finish(lake, record)
        theirs, ours = _newest_of(lake, other), commit_now(lake)
        if any(each.commit_id == theirs.commit_id for each in before(lake.home, ours)):
            record.counts = {"come": 0, "gone": 0, "conflicts": 0, "left_out": 0}
            record.details["commit"] = ours.commit_id
            record.note("merged_before", f"{lake.home.branch} has all of {other} already")
        else:
            conflicts, choices, plan = _planned(lake, ours, theirs, policy)
            intent = {"kind": "merge", "ours": ours.commit_id, "theirs": theirs.commit_id, "choices": choices,
                      "message": message or f"merge {other}"}  # fmt: skip
            _apply(lake, intent, plan, record)
            record.counts |= {"conflicts": len(conflicts), "left_out": plan.left_out.total()}
            for each in plan.guessed:
                record.note(f"erased {each}", f"{each}: rows were erased since {lake.home.branch} and {other} parted; "
                            f"what {lake.home.branch} took out by a revert before may have come back: petrel show HEAD")
            for reason, count in (+plan.left_out).items():
                record.note(f"left_out_{reason}", f"{count} rows of {other} did not come as they were: {reason}",
                            count=count)  # fmt: skip
    return record.finished()


def conflicts_with(lake: Lake, other: str) -> list[Conflict]:
    """Return what a merge would have to settle; nothing is written. Raises like `merge`."""
    lines, name = branches(lake.home), other.removeprefix("@")
    theirs = find_commit(lake.home, other)
    if name in lines:
        theirs = replace(theirs, tables=versions_now(lake.on(line_home(lake.home, lines[name]))))
    # As a merge would commit it first: what is in no commit yet as well.
    difference = compare(lake, replace(newest_commit(lake.home), tables=versions_now(lake)), theirs)
    return find_conflicts(difference.ones, difference.others)


def revert(lake: Lake, name: str, *, message: str = "") -> Receipt:
    """Take back what one commit brought, and bring back what it took out; what came later stays.

    Args:
        lake: The lake, on a branch that has the commit.
        name: The commit; see `commits.naming.find_commit`.
        message: Why, for people.

    Returns:
        Receipt with counts come and gone, and details commit.

    Raises:
        ConfigError: If the branch does not have it, or it is the first.
        CheckFailedError: If rows of later commits stand on what would go; nothing was written.
    """
    with step(lake, "revert") as record, lake_lock(lake, f"merge-{lake.home.line}"):
        _finish(lake, record)
        taken, ours = find_commit(lake.home, name), commit_now(lake)
        if not taken.parents:
            raise ConfigError(f"commit {taken.commit_id[:8]}: it is the first; nothing was before it to go back to")
        if all(each.commit_id != taken.commit_id for each in before(lake.home, ours)):
            raise ConfigError(f"commit {taken.commit_id[:8]}: {lake.home.branch} does not have it; `petrel log`")
        intent = {"kind": "revert", "ours": ours.commit_id, "taken": taken.commit_id, "choices": [],
                  "message": message or f"revert {taken.commit_id[:8]}: {taken.message}"}  # fmt: skip
        plan = _reverting(lake, taken)
        check_references(lake, plan.go, what=f"revert {taken.commit_id[:8]}")
        _apply(lake, intent, plan, record)
        if erased := plan.left_out.total():
            record.note("erased", f"{erased} rows that the commit took out do not come back: what they tell of was "
                        "erased", count=erased)  # fmt: skip
    return record.finished()


def finish_merges(lake: Lake) -> None:
    """Finish merges and reverts of runs that were killed; a look into an empty folder where there are none."""
    if not lake.home.read_only and any(True for _ in lake.files.list(MERGES)):
        with step(lake, "merge") as record, lake_lock(lake, f"merge-{lake.home.line}"):
            _finish(lake, record)


def _planned(
    lake: Lake, ours: Commit, theirs: Commit, policy: str | Settle | Sequence[str]
) -> tuple[list[Conflict], list[str], Plan]:
    difference = compare(lake, ours, theirs)
    conflicts = find_conflicts(difference.ones, difference.others)
    known = not isinstance(policy, str) and not callable(policy)
    choices = list(policy) if known else settled(conflicts, policy)  # type: ignore[arg-type]
    plan = plan_merge(lake, difference, conflicts, choices)
    if plan.go and not known:
        check_references(lake, plan.go, what=f"merge {theirs.commit_id[:8]}")
    return conflicts, choices, plan


def _reverting(lake: Lake, taken: Commit) -> Plan:
    plan = Plan()
    for name, each in since(lake, read_commit(lake.home, taken.parents[0]), taken).items():
        if each.added.num_rows:
            plan.go[name] = set(each.added.column("row_hash").to_pylist())
        if each.removed.num_rows:
            plan.come[name] = each.removed
    forget_erased(lake, plan)
    return plan


def _apply(lake: Lake, intent: Mapping[str, Any], plan: Plan, record: StepRecord) -> None:
    """Say what is done, do it, commit it, and forget that it was to be done."""
    name = keep_intent(lake.home, intent)
    apply_plan(lake, plan, record, kind=str(intent["kind"]))
    parents = (str(intent["theirs"]),) if intent["kind"] == "merge" else ()
    if parents or any(record.counts.values()):
        record.details["commit"] = commit(lake, str(intent["message"]), parents=parents).commit_id
    lake.files.delete(name)


def _finish(lake: Lake, record: StepRecord) -> None:
    for name, intent in intents(lake.home):
        theirs = intent.get("theirs")
        if theirs and any(done.commit_id == theirs for done in before(lake.home, newest_commit(lake.home))):
            lake.files.delete(name)  # killed after its commit
            continue
        try:
            if theirs:
                ours = read_commit(lake.home, intent["ours"])
                _, _, plan = _planned(lake, ours, read_commit(lake.home, theirs), intent["choices"])
            else:
                plan = _reverting(lake, read_commit(lake.home, intent["taken"]))
            _apply(lake, intent, plan, record)
        except (ConcurrentWriteError, StorageError):
            raise  # the next to open the branch has better luck
        except (PetrelError, FileNotFoundError) as error:
            raise UnfinishedMergeError(
                f"{intent['message']}: a run of it on branch {lake.home.branch} was killed, and it cannot be finished: "
                f"{one_line(error)}; put that right, or take back what it wrote: petrel merge --abandon --branch "
                f"{lake.home.branch}. Until then the branch is read as its newest commit has it: --branch "
                f"@{lake.home.branch}"
            ) from error
        record.note("finished", f"{intent['message']}: a run that was killed is finished")


def _newest_of(lake: Lake, other: str) -> Commit:
    """Return the commit that is merged; of a branch what it has now, committed first where it is not."""
    name = other.removeprefix("@")
    lines = branches(lake.home)
    if name not in lines:
        return find_commit(lake.home, other)
    if lines[name] == lake.home.line:
        raise ConfigError(f"merge {name}: it is the branch that is open; give another one")
    return commit_now(lake.on(line_home(lake.home, lines[name])))
