"""erase: bytes and rows of some entities leave a lake, for privacy; what they were part of is told, and not rebuilt."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from lakehouse.care.erased_rows import Wanted, rules_of, texts, together, wanted_of
from lakehouse.commits.making import commit_removed
from lakehouse.commits.refs import branches, deleted_lines
from lakehouse.engines import Relation
from lakehouse.erasures import ERASURE, LOCK, Erasure, erasures, keep_erasure
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.objects import object_uri
from lakehouse.progress import progress
from lakehouse.query import fetch
from lakehouse.steps.fresh import FRESH
from lakehouse.steps.receipts import RUNS, Receipt
from lakehouse.steps.step import StepRecord, step
from lakehouse.tables.locks import lake_lock
from lakehouse.tables.remove import Chosen, Removed, remove_rows
from lakehouse.verification.facts import ERASE
from lakehouse.verification.places import line_home
from schemas.canonical import content_id
from schemas.digest import Digest, digest_of
from schemas.model import Table
from schemas.tables import (
    CONTAINERS,
    DATASET_MEMBERS,
    ENTITY_SOURCES,
    KEEP_DECISIONS,
    LANDED_FILES,
    MARTS,
    OPINIONS,
    PARKED_OPINIONS,
    RAW_RECORDS,
    REJECTED,
)

STEP = ERASE
LEAST_LETTERS = 5
"""Shorter names, as `1.png`, are in receipts by chance; they name nobody."""

UNNAMED = frozenset({
    each.name for each in (PARKED_OPINIONS, REJECTED, ENTITY_SOURCES, KEEP_DECISIONS, RAW_RECORDS, CONTAINERS,
                           LANDED_FILES)
})  # fmt: skip
"""Tables of which rows go that name no entity: the tombstone keeps their hashes, so that none comes back by a merge."""

OF_SOURCE = """
select entity_id, count(*) filter (where source <> $source) as elsewhere
from (
    select entity_id, source from silver.entity_sources
    union all select sha256 as entity_id, source from bronze.landed_files where sha256 is not null
    union all select sha256 as entity_id, source from bronze.keep_decisions
) seen
group by entity_id having count(*) filter (where source = $source) > 0
"""
"""Also what landed and became no entity yet, or never will: its bytes are in the lake."""

OF_KEY = """
select entity_id from silver.entities where group_keys[$key] = $value
union select entity_id from silver.entity_sources where group_keys[$key] = $value
union select sha256 as entity_id from bronze.landed_files where group_keys[$key] = $value and sha256 is not null
union select sha256 as entity_id from bronze.keep_decisions where group_keys[$key] = $value
"""

HELD = """
select entity_id from silver.entities where entity_id in (select entity_id from ids)
union select sha256 as entity_id from bronze.landed_files where sha256 in (select entity_id from ids)
union select sha256 as entity_id from bronze.keep_decisions where sha256 in (select entity_id from ids)
"""

SOURCES = """
select source from bronze.landed_files union select source from silver.entity_sources
union select source from bronze.keep_decisions
"""

DERIVED = """
select entity_id, parent_id from silver.entities where parent_id is not null and operation <> 'place'
union
select member_id as entity_id, entity_id as parent_id from member_entities where member_id <> entity_id
union
select entity_id, unnest(parent_ids) as parent_id from gold.dataset_exclusions where parent_ids is not null
"""
"""Samples that datasets make of them go, too (crops, variants, windows). A place is there with others: it names the
oldest of them, and only that goes."""

VERSIONS = """
select d.dataset_id, d.name, count(distinct m.member_id) as members from member_entities m
join gold.datasets d on d.dataset_id = m.dataset_id
where m.entity_id in (select entity_id from ids) group by d.dataset_id, d.name order by d.name, d.dataset_id
"""

FOLDERS = "select distinct dataset_id, folder from gold.materialisations order by folder"


def erase(
    lake: Lake,
    *,
    entities: Collection[str] = (),
    source: str = "",
    group: tuple[str, str] | None = None,
    reason: str,
    published: bool = False,
    dry_run: bool = False,
) -> Receipt:
    """Erase entities: their bytes, those of what was derived from them, and every row about them.

    Rows go from the newest version of each table; the files of older versions go with the next `maintain`, whatever
    pins them. Linked bytes are not ours to delete and are noted. An entity that another source brought too stays,
    without the rows of the source that is erased. An erasure that was killed is taken up by the next call.

    Args:
        lake: The lake.
        entities: Ids of entities.
        source: Everything that only this source brought.
        group: (name, value) of a group key, as ("patient", "17"): everything that carries it.
        reason: Why; kept in the tombstone, so it should name nobody.
        published: Also remove the published folders that have the bytes; else they are noted.
        dry_run: Only say what would be erased.

    Returns:
        Receipt with counts entities, objects, rows, datasets and folders; each dataset version and each published
        folder that is touched is noted.

    Raises:
        ConfigError: If nothing, or nobody, is named; or nothing is found.
        TableError: If a table is damaged.
        ConcurrentWriteError: If a table stayed busy.
    """
    if not reason:
        raise ConfigError("an erasure needs a reason: it is all that is left to say why something is gone")
    if (len(entities) > 0) + bool(source) + (group is not None) != 1:
        raise ConfigError("name what to erase by one of: entities, a source, or a group key with its value")
    with step(lake, STEP) as record, lake_lock(lake, LOCK):
        for waiting in erasures(lake.home):
            if waiting.kind == ERASURE and not waiting.is_done and not dry_run:
                record.note("taken_up", f"the erasure {waiting.erasure_id}, which was interrupted, is carried out too")
                _carry_out(lake, waiting, record)
        ids = _with_derived(lake, _selected(lake, entities, source, group, record))
        if not ids and not source:
            raise ConfigError("nothing to erase: no entity is named so; `petrel show` tells what there is")
        erasure = Erasure(
            erasure_id=content_id([sorted(ids), source, lake.clock().isoformat()]),
            reason=reason,
            erased_at=lake.clock().isoformat(),
            asked_by="source" if source else "entity" if group is None else f"group key {group[0]}",
            entities=sorted(ids),
            pending={
                "source": source, "key": group[0] if group else "", "value": group[1] if group else "",
                "published": "yes" if published else "",
            },
        )  # fmt: skip
        if not dry_run:
            keep_erasure(lake.home, erasure)  # first: killed after this, it is known what was to go
        _carry_out(lake, erasure, record, dry_run=dry_run)
        if dry_run:
            record.note("dry_run", "nothing was erased; run again without --dry-run")
    return record.finished()


def _selected(
    lake: Lake, entities: Collection[str], source: str, group: tuple[str, str] | None, record: StepRecord
) -> set[str]:
    if group is not None:
        return {row["entity_id"] for row in fetch(lake, OF_KEY, params={"key": group[0], "value": group[1]})}
    if source:
        known = [row["source"] for row in fetch(lake, SOURCES)]
        if source not in known:
            raise ConfigError(f"no source `{source}`{nearest(source, known)}")
        rows = fetch(lake, OF_SOURCE, params={"source": source})
        shared = [row["entity_id"] for row in rows if row["elsewhere"]]
        if shared:
            record.note("shared", f"entity {shared[0]} was brought by another source too and stays", count=len(shared))
        return {row["entity_id"] for row in rows} - set(shared)
    held = {row["entity_id"] for row in fetch(lake, HELD, inputs={"ids": _relation(lake, entities)})}
    unknown = sorted(set(entities) - held)
    if unknown:
        raise ConfigError(f"no entity {unknown[0]}; give whole ids, as `petrel show NAME` tells them")
    return held


def _with_derived(lake: Lake, ids: set[str]) -> frozenset[str]:
    children: dict[str, list[str]] = {}
    for row in fetch(lake, DERIVED):
        children.setdefault(row["parent_id"], []).append(row["entity_id"])
    waiting, found = list(ids), set(ids)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return frozenset(found)


def _carry_out(lake: Lake, erasure: Erasure, record: StepRecord, *, dry_run: bool = False) -> None:
    ids = _relation(lake, erasure.entities)
    lines = dict(_lines(lake))
    # Of all lines together: what one of them reverted, another may tell of, and the first has it in files still.
    wanted = together([wanted_of(there, erasure, ids) for there in lines.values()])
    for there in lines.values():
        _tell_datasets(there, erasure, ids, record)
    linked = fetch(lake, "select count(*) as n, min(object_uri) as example from silver.entities where storage = 'link' "
                         "and entity_id in (select entity_id from ids)", inputs={"ids": ids})[0]  # fmt: skip
    if linked["n"]:
        record.note("linked", f"{linked['example']} is not the lake's: its bytes stay there; delete them yourself",
                    count=linked["n"])
    if not dry_run:
        keep_erasure(lake.home, erasure)
        delete_objects(lake, erasure.entities, record)
    rules = list(rules_of(wanted))
    elsewhere: Counter[str] = Counter()
    with progress("erase rows", total=len(rules), unit="tables") as advance:
        for table, chosen, columns in rules:
            for name, there in lines.items():
                rows = _of_table(there, table, chosen, columns, erasure, dry_run=dry_run, is_open=there is lake)
                if there is lake:
                    record.counts["rows"] = record.counts.get("rows", 0) + rows
                else:
                    elsewhere[name] += rows
                if table is MARTS and rows and there is lake:
                    told = "marts had counted what is erased, and are empty; `petrel marts` makes them anew"
                    record.note("marts", told)
            advance(1)
    for name, rows in elsewhere.items():
        if rows:
            record.note(f"branch {name}", f"branch {name} had {rows} rows about them, which go too", count=rows)
    if not dry_run:
        for name, there in lines.items():
            if there is not lake:
                _forget_runs(there, wanted)
            if lake.config.lake.commit_steps and name in branches(lake.home):
                commit_removed(there, STEP)  # else the newest commit would be one whose files go
        _forget(lake, erasure, wanted)
    record.counts["entities"] = record.counts.get("entities", 0) + len(erasure.entities)
    record.counts |= {"datasets": len(erasure.datasets), "folders": len(erasure.folders)}
    record.details["erasure_id"] = erasure.erasure_id


def _lines(lake: Lake) -> Iterator[tuple[str, Lake]]:
    """Yield every line, the open one first: bytes are those of all, and privacy knows no branches.

    Those of deleted branches too, as long as a tag or a dataset keeps their tables.
    """
    deleted = {f"{told['name']} (deleted)": line for line, told in deleted_lines(lake.home).items()}
    named = branches(lake.home) | deleted
    yield next(name for name, line in named.items() if line == lake.home.line), lake
    for name, line in named.items():
        if line != lake.home.line:
            yield name, lake.on(line_home(lake.home, line))


def _of_table(
    lake: Lake, table: Table, chosen: Chosen, columns: tuple[str, ...], erasure: Erasure, *, dry_run: bool,
    is_open: bool,
) -> int:  # fmt: skip
    """Take the rows out of a table of one line, and return how many the newest version had."""
    if table.name in UNNAMED:
        columns = (*columns, "row_hash")
    found = remove_rows(lake, table, chosen, step=STEP, columns=columns, dry_run=True)
    if dry_run:
        return found.rows
    if found.rows or found.old_files:
        # Accounted for first: killed in between, rows that are gone must not look lost.
        before = erasure.rows.get(table.name)
        _account(erasure, table, found)
        if before is not None and not is_open:
            erasure.rows[table.name] = before  # of the line that was open
        keep_erasure(lake.home, erasure)
    remove_rows(lake, table, chosen, step=STEP)  # without rows: it mends what a killed one left half done
    return found.rows


def _forget(lake: Lake, erasure: Erasure, wanted: Wanted) -> None:
    """Remove what is told of them outside the tables, and end the erasure."""
    if erasure.pending.get("published"):
        for folder in erasure.folders:
            for each in list(lake.files.list(folder)):
                lake.files.delete(each.name)
            if lake.home.is_local:
                shutil.rmtree(lake.home.shared.folder / folder, ignore_errors=True)
    _forget_runs(lake, wanted)
    erasure.pending, erasure.is_done = {}, True
    keep_erasure(lake.home, erasure)


def _forget_runs(lake: Lake, wanted: Wanted) -> None:
    for each in list(lake.files.list(RUNS)):
        if each.name.startswith(f"{FRESH}/") or _tells(lake, each.name, wanted):
            lake.files.delete(each.name)  # a note that nothing changed, or a receipt that names a file
    shutil.rmtree(lake.runs / "fresh", ignore_errors=True)


def _tells(lake: Lake, name: str, wanted: Wanted) -> bool:
    if not name.endswith(".json") or name.count("/") != 1:
        return False
    text = lake.files.read_whole(name).decode("utf-8", "replace")
    return any(each in text for each in wanted.names if len(each) >= LEAST_LETTERS)


def _tell_datasets(lake: Lake, erasure: Erasure, ids: Relation, record: StepRecord) -> None:
    rows = fetch(lake, VERSIONS, inputs={"ids": ids})
    for row in rows:
        record.note(f"dataset {row['dataset_id']}",
                    f"dataset {row['name']} ({row['dataset_id']}) loses {row['members']} members; build it anew if it "
                    "is still needed")
    erasure.datasets = sorted({*erasure.datasets, *(row["dataset_id"] for row in rows)})
    for row in fetch(lake, FOLDERS):
        if row["dataset_id"] in erasure.datasets and any(True for _ in lake.files.list(row["folder"])):
            erasure.folders = sorted({*erasure.folders, row["folder"]})
            record.note(f"folder {row['folder']}",
                        f"{lake.home}/{row['folder']} has the bytes too: `petrel erase --published` removes it, and "
                        "copies of it elsewhere are for you to find")


def delete_objects(lake: Lake, entities: Sequence[str], record: StepRecord) -> None:
    """Delete the objects of entities, those that are there, and count them."""
    objects = 0
    for entity in entities:
        name = object_uri(entity)
        try:
            lake.files.stat(name)
        except FileNotFoundError:
            continue  # linked, derived, or deleted before
        lake.files.delete(name)
        objects += 1
    record.counts["objects"] = record.counts.get("objects", 0) + objects


def _account(erasure: Erasure, table: Table, removed: Removed) -> None:
    """Note what is about to be removed; a run that goes on after a kill finds the same rows, or none."""
    if removed.rows:
        erasure.rows[table.name] = removed.rows
    if removed.old_files:
        erasure.old_files[table.name] = sorted({*erasure.old_files.get(table.name, ()), *removed.old_files})
    if table.name in UNNAMED:
        hashes = {row_hash for each in (*removed.batches, *removed.old_batches)
                  for row_hash in each.column("row_hash").to_pylist()}  # fmt: skip
        erasure.row_hashes[table.name] = sorted({*erasure.row_hashes.get(table.name, ()), *hashes})
    if table is OPINIONS:
        counts = Counter(batch for each in removed.batches for batch in each.column("batch_id").to_pylist())
        for batch, count in counts.items():  # of the line on which the import had brought most
            erasure.opinions[batch] = max(count, erasure.opinions.get(batch, 0))
    if table is DATASET_MEMBERS:
        digests: dict[str, Digest] = {}
        for each in removed.batches:
            both = (each.column(name).to_pylist() for name in ("dataset_id", "row_hash"))
            for dataset, row_hash in zip(*both, strict=True):
                digests[dataset] = digests.get(dataset, Digest()) + digest_of([bytes.fromhex(row_hash)])
        for dataset, digest in digests.items():
            erasure.members[dataset] = str(digest)


def _relation(lake: Lake, entities: Collection[str]) -> Relation:
    return lake.engine.from_arrow(texts("entity_id", entities))
