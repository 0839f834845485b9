"""What two sides of a merge cannot both have as it is: said differently about the same thing, or named alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import ConfigError, PetrelError, one_line
from lakehouse.merging.changed import Changed
from schemas.tables import BATCHES, BY_NAME, DATASETS, LABEL_SETS, OPINIONS, QUESTIONS

OURS, THEIRS, NEWEST, FAIL = "ours", "theirs", "newest", "fail"
POLICIES = (FAIL, OURS, THEIRS, NEWEST)

ABOUT = ("actor_id", "question_id", "subject_id", "slot")
"""What an answer is about: two of these with another value on each side are a conflict."""

ONTOLOGY: Mapping[str, str] = {LABEL_SETS.name: "label_set_id", QUESTIONS.name: "question_id"}

GROWING: Mapping[str, str] = {
    LABEL_SETS.name: "version", QUESTIONS.name: "version", "gold.changesets": "number", "gold.dataset_tags": "ordinal",
    "silver.object_members": "ordinal", "gold.saved_views": "ordinal",
}
"""Table -> the number in its key: what others have said under the same number can be said under the next one."""


UNDISPUTED = frozenset({BATCHES.name, "gold.marts", "gold.mart_rows"})
"""An import is provenance and told once; marts are computed anew."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """One thing that is another on each side.

    Attributes:
        kind: `opinion` (the same actor, question, subject and slot), `dataset` (versions of the same name on both
            sides), `ontology` (a label set or question changed on both sides) or `row` (one key, other values).
        table: Where.
        about: What it is about, by column.
        ours: Rows of the branch that is merged into, as a table holds them.
        theirs: Rows of the one that is merged.
    """

    kind: str
    table: str
    about: Mapping[str, object]
    ours: tuple[Mapping[str, object], ...]
    theirs: tuple[Mapping[str, object], ...]

    def __str__(self) -> str:
        about = ", ".join(f"{name} {str(value)[:24]}" for name, value in self.about.items())
        return f"{self.kind}: {self.table}: {about}: ours {_said(self.ours)}, theirs {_said(self.theirs)}"


Settle = Callable[[Conflict], str]
"""Says of a conflict `ours`, `theirs` or `newest`."""


class MergeConflictError(PetrelError, RuntimeError):
    """Two branches cannot be merged as they are; nothing was written.

    Attributes:
        conflicts: All of them.
    """

    def __init__(self, message: str, conflicts: tuple[Conflict, ...]) -> None:
        super().__init__(message)
        self.conflicts = conflicts


def find_conflicts(ours: Mapping[str, Changed], theirs: Mapping[str, Changed]) -> list[Conflict]:
    """Return every conflict, in the order of the tables and of what they are about.

    Args:
        ours: What one side has since the common ancestor, by table; see `comparing.since`.
        theirs: The same of the other.
    """
    found: list[Conflict] = []
    for name in theirs:
        if name not in ours or name in UNDISPUTED:
            continue
        mine, their = ours[name].added, theirs[name].added
        if name == OPINIONS.name:
            found += _opinions(mine, their)
        elif name == DATASETS.name:
            found += _apart("dataset", name, ("name",), "dataset_id", mine, their)
        elif name in ONTOLOGY:
            found += _apart("ontology", name, (ONTOLOGY[name],), "row_hash", mine, their)
        else:
            found += _apart("row", name, BY_NAME[name].key, "row_hash", mine, their)
    return found


def check_policy(policy: str | Settle) -> None:
    """Check that a policy is one, also where there is nothing to settle.

    Raises:
        ConfigError: If it is neither one of `POLICIES` nor a function.
    """
    if not callable(policy) and policy not in POLICIES:
        raise ConfigError(f"merge policy: expected {', '.join(POLICIES)} or MODULE:FUNCTION, found {policy!r}")


def settled(conflicts: list[Conflict], policy: str | Settle) -> list[str]:
    """Return `ours`, `theirs` or `newest` for each conflict.

    Raises:
        MergeConflictError: If the policy is `fail` and there are any; it has them all.
        ConfigError: If the policy is a function that fails, or says none of these.
    """
    if policy == FAIL and conflicts:
        shown = "; ".join(str(each) for each in conflicts[:5]) + ("; ..." if len(conflicts) > 5 else "")
        raise MergeConflictError(
            f"{len(conflicts)} conflicts, nothing was written: {shown}. Settle them with --policy ours, theirs, newest "
            "or MODULE:FUNCTION; --list shows all",
            tuple(conflicts),
        )
    return [_chosen(policy, each) if callable(policy) else policy for each in conflicts]


def _chosen(policy: Settle, conflict: Conflict) -> str:
    name = f"{getattr(policy, '__module__', '')}:{getattr(policy, '__qualname__', policy)}"
    try:
        choice = policy(conflict)
    except Exception as error:  # whatever somebody's function raises
        raise ConfigError(
            f"merge policy {name}: {type(error).__name__}: {one_line(error)} for {conflict}; nothing was written"
        ) from error
    if choice not in (OURS, THEIRS, NEWEST):
        raise ConfigError(
            f"merge policy {name}: expected {OURS}, {THEIRS} or {NEWEST}, found {choice!r} for {conflict}; nothing was "
            "written"
        )
    return choice


def _opinions(mine: pa.Table, their: pa.Table) -> Iterator[Conflict]:
    """Yield what the same actor said differently: answers are compared by their value, whatever imports brought them.

    What an event of the same side took back or replaced is no longer said, and conflicts with nothing.
    """
    sides = [_standing(each) for each in _of_both(mine, their, "subject_id")]
    for about in sorted(sides[0].keys() & sides[1].keys()):
        one, other = sides[0][about], sides[1][about]
        if {row["value_hash"] for row in one} != {row["value_hash"] for row in other}:
            yield Conflict("opinion", OPINIONS.name, dict(zip(ABOUT, about, strict=True)), tuple(one), tuple(other))


_SHORT = ("opinion_id", "op", *ABOUT, "value_hash", "label", "number", "event_time", "target_opinion_id",
          "supersedes", "row_hash", "batch_id", "question_version", "subject_kind")  # fmt: skip


def _standing(rows: pa.Table) -> dict[tuple[str, ...], list[dict[str, object]]]:
    events = rows.select(list(_SHORT)).to_pylist()
    gone = {str(row["target_opinion_id"]) for row in events if row["op"] == "retract"}
    gone |= {each for row in events for each in row["supersedes"] or ()}
    found: dict[tuple[str, ...], list[dict[str, object]]] = defaultdict(list)
    for row in events:
        if row["op"] != "retract" and row["opinion_id"] not in gone:
            found[tuple(str(row[name]) for name in ABOUT)].append(row)
    return found


def _apart(
    kind: str, table: str, about: tuple[str, ...], same: str, mine: pa.Table, their: pa.Table
) -> Iterator[Conflict]:
    """Yield what is about the same and is not the same."""
    sides = []
    for rows in _of_both(mine, their, about[0]):
        by: dict[tuple[object, ...], list[dict[str, object]]] = defaultdict(list)
        for row in rows.to_pylist():
            by[tuple(row[name] for name in about)].append(row)
        sides.append(by)
    for each in sorted(sides[0].keys() & sides[1].keys(), key=str):
        one, other = sides[0][each], sides[1][each]
        if {row[same] for row in one} != {row[same] for row in other}:
            yield Conflict(kind, table, dict(zip(about, each, strict=True)), tuple(one), tuple(other))


def _of_both(mine: pa.Table, their: pa.Table, column: str) -> tuple[pa.Table, pa.Table]:
    """Return the rows of each side whose value the other side has too: few of many."""
    one, other = mine.column(column).combine_chunks(), their.column(column).combine_chunks()
    return mine.filter(pc.is_in(one, value_set=other)), their.filter(pc.is_in(other, value_set=one))


def _said(rows: tuple[Mapping[str, object], ...]) -> str:
    names = ("label", "number", "dataset_id", "label_id", "title", "message", "version", "value_hash", "row_hash")
    told = [next((str(row[name])[:24] for name in names if row.get(name) is not None), "?") for row in rows]
    return " and ".join(told[:3]) + (" ..." if len(told) > 3 else "")
