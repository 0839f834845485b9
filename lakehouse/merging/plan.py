"""What a merge would do: which rows come, which go, and how each conflict is settled. Nothing is written here."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.commits.manifest import Commit
from lakehouse.erasures import ERASURE, erasures
from lakehouse.errors import RejectedInputError
from lakehouse.lake import Lake
from lakehouse.lines import numbered, parted
from lakehouse.merging.changed import Changed
from lakehouse.merging.comparing import Difference
from lakehouse.merging.conflicts import GROWING, NEWEST, OURS, THEIRS, Conflict
from lakehouse.steps.rejects import rejected_row
from lakehouse.tables.finish import finish_row
from schemas.canonical import canonical_json, content_id
from schemas.tables import BATCHES, BY_NAME, DATASETS, LABEL_SETS, MART_ROWS, MARTS, OPINIONS, REJECTED, TABLES

Row = dict[str, Any]


COMPUTED = frozenset({MARTS.name, MART_ROWS.name})
"""Tables whose rows are computed of others, run by run: those of another branch say nothing of this one."""


@dataclass(slots=True)
class Plan:
    """What a merge does.

    Attributes:
        come: Table -> rows that come, as the table holds them.
        go: Table -> hashes of rows that go, since the merged side took them out.
        left_out: Rows of the merged side that do not come, by reason.
        guessed: Tables of which files are gone that the two began with, as rows were erased from them: what this side
            took out of those since, other than by erasing, cannot be told from what the other side brings, and comes.
    """

    come: dict[str, pa.Table] = field(default_factory=dict)
    go: dict[str, set[str]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    guessed: list[str] = field(default_factory=list)


def plan_merge(lake: Lake, difference: Difference, conflicts: list[Conflict], choices: list[str]) -> Plan:
    """Return what the second side of a difference brings to the first; a function of the commits and the choices.

    Args:
        lake: The lake, on the line that is merged into.
        difference: `one` is that line's commit, `other` the one that is merged.
        conflicts: From `find_conflicts`.
        choices: How each is settled.
    """
    plan = Plan()
    made_at = datetime.fromisoformat(max(difference.one.made_at, difference.other.made_at))
    for table in TABLES:
        their = difference.others.get(table.name)
        if their is None:
            continue
        if table.name in COMPUTED:
            plan.left_out["computed"] += their.added.num_rows  # of this side's rows, by the next run here
            continue
        if their.erased:
            plan.guessed.append(table.name)
        mine = difference.ones.get(table.name)
        come = _new(their, mine)
        if their.removed.num_rows:
            plan.go[table.name] = set(their.removed.column("row_hash").to_pylist())
        plan.come[table.name] = come
    forget_erased(lake, plan)
    _settle(plan, difference, conflicts, choices, made_at)
    _count_batches(plan, difference, made_at)
    _renumber_labels(plan, difference, made_at)
    _lead_pins(plan, difference, lake.home.line)
    plan.come = {name: rows for name, rows in plan.come.items() if rows.num_rows}
    return plan


def _new(their: Changed, mine: Changed | None) -> pa.Table:
    """Return the rows that the other side added, without those that this side added too."""
    if mine is None or not mine.added.num_rows:
        return their.added
    held = mine.added.column("row_hash").combine_chunks()
    return their.added.filter(pc.invert(pc.is_in(their.added.column("row_hash"), value_set=held)))


def forget_erased(lake: Lake, plan: Plan) -> None:
    """Leave out what was erased from the lake meanwhile, on whichever line: by the entity it names, or as the very row.

    Of what expired the bytes alone are gone: rows about it come.
    """
    done = [each for each in erasures(lake.home) if each.kind == ERASURE]
    if not done:
        return
    gone = {entity for each in done for entity in each.entities}
    for name in COMPUTED & plan.come.keys():  # nobody knows which of them tell of an entity
        plan.left_out["computed"] += plan.come.pop(name).num_rows
    values = pa.array(sorted(gone), pa.string())
    naming = ("entity_id", "subject_id", "parent_id", "sha256", "object_id", "member_id")
    for name, rows in plan.come.items():
        very = {row_hash for each in done for row_hash in each.row_hashes.get(name, ())}
        sought = {column: values for column in naming} | {"row_hash": pa.array(sorted(very), pa.string())}
        for column, erased in sought.items():
            if column in rows.column_names:
                named = pc.fill_null(pc.is_in(rows.column(column), value_set=erased), False)
                plan.left_out["erased"] += int(pc.sum(named).as_py() or 0)
                rows = rows.filter(pc.invert(named))
        plan.come[name] = rows


def _settle(
    plan: Plan, difference: Difference, conflicts: list[Conflict], choices: list[str], made_at: datetime
) -> None:
    drop: dict[str, set[str]] = defaultdict(set)
    datasets: set[str] = set()
    add: dict[str, list[Row]] = defaultdict(list)
    for conflict, choice in zip(conflicts, choices, strict=True):
        if conflict.kind == "opinion":
            if choice == OURS:
                drop[OPINIONS.name] |= {str(row["row_hash"]) for row in conflict.theirs}
                add[REJECTED.name] += [_left_out(row, difference, made_at) for row in conflict.theirs]
            elif choice == THEIRS:
                add[OPINIONS.name] += [_taken_back(row, difference, made_at) for row in conflict.ours]
        elif conflict.kind == "dataset":
            if choice == OURS:
                datasets |= {str(row["dataset_id"]) for row in conflict.theirs}
        else:
            _settle_rows(plan, conflict, choice, difference, drop, add)
    if drop.get(OPINIONS.name):  # what takes back an answer that does not come has nothing to take back
        events = plan.come[OPINIONS.name]
        left = pc.is_in(events.column("row_hash"), value_set=pa.array(sorted(drop[OPINIONS.name])))
        ids = events.filter(left).column("opinion_id").combine_chunks()
        after = events.filter(pc.fill_null(pc.is_in(events.column("target_opinion_id"), value_set=ids), False))
        drop[OPINIONS.name] |= set(after.column("row_hash").to_pylist())
    for name, hashes in drop.items():
        rows = plan.come[name]
        kept = pc.invert(pc.is_in(rows.column("row_hash"), value_set=pa.array(sorted(hashes), pa.string())))
        plan.come[name] = rows.filter(kept)
        plan.left_out[OURS] += rows.num_rows - plan.come[name].num_rows
    if datasets:
        ids = pa.array(sorted(datasets), pa.string())
        for name, rows in plan.come.items():
            if "dataset_id" in rows.column_names:
                plan.come[name] = rows.filter(pc.invert(pc.is_in(rows.column("dataset_id"), value_set=ids)))
                plan.left_out[OURS] += rows.num_rows - plan.come[name].num_rows
    for name, more in add.items():
        schema = BY_NAME[name].arrow_schema
        held = plan.come.get(name, schema.empty_table()).cast(schema)
        plan.come[name] = pa.concat_tables([held, pa.Table.from_pylist(more, schema=schema)])


def _settle_rows(
    plan: Plan, conflict: Conflict, choice: str, difference: Difference, drop: dict[str, set[str]],
    add: dict[str, list[Row]],
) -> None:  # fmt: skip
    """Settle rows of one key: ours stay, theirs come under the next number, or in the place of ours where none is."""
    table = BY_NAME[conflict.table]
    mine = {tuple(row[name] for name in table.key): row for row in conflict.ours}
    for row in conflict.theirs:
        held = mine.get(tuple(row[name] for name in table.key))
        if held is None or held["row_hash"] == row["row_hash"]:
            continue  # no key that both have: what both sides say beside one another
        if choice == NEWEST:
            choice_here = THEIRS if _when(row, difference.other) >= _when(held, difference.one) else OURS
        else:
            choice_here = choice
        drop[table.name].add(str(row["row_hash"]))
        if choice_here == OURS:
            continue
        if table.name in GROWING:
            number = GROWING[table.name]
            rest = [name for name in table.key if name != number]
            sides = [*difference.ones[table.name].added.select([*table.key]).to_pylist(),
                     *difference.others[table.name].added.select([*table.key]).to_pylist(),
                     *add[table.name]]  # fmt: skip
            last = max(int(str(each[number])) for each in sides if all(each[name] == row[name] for name in rest))
            add[table.name].append(_again({**row, number: last + 1}, table.name))
        else:
            plan.go.setdefault(table.name, set()).add(str(held["row_hash"]))
            add[table.name].append(dict(row))


def _when(row: Mapping[str, object], commit: Commit) -> datetime:
    for name in ("ingest_time", "made_at", "tagged_at", "built_at", "extracted_at"):
        if isinstance(found := row.get(name), datetime):
            return found
    return datetime.fromisoformat(commit.made_at)


def _again(row: Mapping[str, object], table: str) -> Row:
    """Return a row with the hash of what it says now."""
    at = next((row[name] for name in BY_NAME[table].clock_columns if isinstance(row.get(name), datetime)), None)
    return finish_row(row, BY_NAME[table], at if isinstance(at, datetime) else datetime.fromtimestamp(0))


def _left_out(row: Mapping[str, object], difference: Difference, made_at: datetime) -> Row:
    about = f"opinion {row['opinion_id']} of {row['actor_id']} about {row['subject_id']}"
    error = RejectedInputError("merge_ours", f"{about}: said otherwise on the branch that was merged into")
    raw = canonical_json({name: row[name] for name in ("label", "number", "value_hash")})
    place = f"@{difference.other.commit_id}"
    made = rejected_row("merge", str(row["opinion_id"]), error, location=place, raw=raw)
    return finish_row(made, REJECTED, made_at)


def _taken_back(row: Mapping[str, object], difference: Difference, made_at: datetime) -> Row:
    target = str(row["opinion_id"])
    said = {
        "opinion_id": content_id(["merge", target]), "op": "retract", "target_opinion_id": target,
        "value_kind": "none", "value_hash": content_id(["merge", "retract"]), "votes": 1,
        "event_time_source": "unknown", "reason": "a merge chose what the other branch says",
        "ext": [], "batch_id": f"merge-{difference.other.commit_id}", "ingest_seq": 0, "ingest_time": made_at,
    }  # fmt: skip
    about = ("actor_id", "question_id", "question_version", "subject_id", "subject_kind", "slot")
    return finish_row(said | {name: row[name] for name in about}, OPINIONS, made_at)


def _count_batches(plan: Plan, difference: Difference, made_at: datetime) -> None:
    """Have imports that come say how many of their answers came with them: others were here, or were left out.

    Which of two imports that say the same brought an answer is another on each line. So what a merge over there made
    of the counts of an import that both know is not taken over.
    """
    rows = plan.come.get(BATCHES.name)
    if rows is None or not rows.num_rows:
        return
    ours, theirs = difference.ones.get(BATCHES.name), difference.others[BATCHES.name]
    counted = set(theirs.removed.column("batch_id").to_pylist()) & set(theirs.added.column("batch_id").to_pylist())
    recounted = pc.is_in(theirs.removed.column("batch_id"), value_set=pa.array(sorted(counted), pa.string()))
    plan.go[BATCHES.name] = plan.go.get(BATCHES.name, set()) - set(
        theirs.removed.filter(recounted).column("row_hash").to_pylist()
    )
    held = counted | (set(ours.added.column("batch_id").to_pylist()) if ours else set())
    come = Counter(plan.come[OPINIONS.name].column("batch_id").to_pylist()) if OPINIONS.name in plan.come else Counter()
    dropped = Counter(
        row["batch_id"] for row in _opinions_left_out(plan, difference)
    ) if plan.left_out[OURS] else Counter()  # fmt: skip
    told = []
    for row in rows.to_pylist():
        if row["batch_id"] in held:
            continue  # the same import on both sides: ours tells of it
        missing = max(0, row["rows_new"] - come[row["batch_id"]])
        rejected = min(missing, dropped[row["batch_id"]])
        if missing:
            row |= {"rows_new": row["rows_new"] - missing, "rows_rejected": row["rows_rejected"] + rejected,
                    "rows_same": row["rows_same"] + missing - rejected}  # fmt: skip
            row = finish_row(row, BATCHES, made_at)
        told.append(row)
    plan.come[BATCHES.name] = pa.Table.from_pylist(told, schema=BATCHES.arrow_schema)


def _opinions_left_out(plan: Plan, difference: Difference) -> list[Row]:
    ids = plan.come[REJECTED.name].column("subject").to_pylist() if REJECTED.name in plan.come else []
    their = difference.others[OPINIONS.name].added
    chosen = pc.is_in(their.column("opinion_id"), value_set=pa.array(ids, pa.string()))
    found: list[Row] = their.filter(chosen).select(["batch_id"]).to_pylist()
    return found


def _renumber_labels(plan: Plan, difference: Difference, made_at: datetime) -> None:
    """Give new labels of the merged side the next class numbers, where this side gave theirs to other labels."""
    rows, ours = plan.come.get(LABEL_SETS.name), difference.ones.get(LABEL_SETS.name)
    if rows is None or ours is None or not rows.num_rows:
        return
    taken: dict[tuple[str, int], str] = {}
    last: dict[str, int] = {}
    for each in ours.added.select(["label_set_id", "label_id", "ordinal"]).to_pylist():
        taken[each["label_set_id"], each["ordinal"]] = each["label_id"]
        last[each["label_set_id"]] = max(last.get(each["label_set_id"], -1), each["ordinal"])
    for each in rows.select(["label_set_id", "ordinal"]).to_pylist():
        last[each["label_set_id"]] = max(last.get(each["label_set_id"], -1), each["ordinal"])
    moved: dict[tuple[str, str], int] = {}
    told = []
    for row in rows.to_pylist():
        owner = (row["label_set_id"], row["label_id"])
        if taken.get((row["label_set_id"], row["ordinal"]), row["label_id"]) != row["label_id"]:
            if owner not in moved:
                last[row["label_set_id"]] += 1
                moved[owner] = last[row["label_set_id"]]
            row = finish_row({**row, "ordinal": moved[owner]}, LABEL_SETS, made_at)
        told.append(row)
    if moved:
        plan.left_out["renumbered_labels"] += len(moved)
        plan.come[LABEL_SETS.name] = pa.Table.from_pylist(told, schema=LABEL_SETS.arrow_schema)


def _lead_pins(plan: Plan, difference: Difference, line: int) -> None:
    """Have the pins of datasets that come lead to the line that they were built on."""
    rows = plan.come.get(DATASETS.name)
    if rows is None or not rows.num_rows:
        return
    told = []
    for row in rows.to_pylist():
        pins = json.loads(row["pins_json"])
        for name, number in pins.items():
            at = difference.other.tables.get(name)
            if at is not None and at.line != line and parted(number)[0] == 0:
                pins[name] = numbered(at.line, int(number))
        told.append({**row, "pins_json": canonical_json(pins)})
    plan.come[DATASETS.name] = pa.Table.from_pylist(told, schema=DATASETS.arrow_schema)
