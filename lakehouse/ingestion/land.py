"""land: folder or prefix in a bucket -> objects and bronze.landed_files."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Iterable, Iterator

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.erasures import erased_entities
from lakehouse.home import store_of
from lakehouse.ingestion.delivery import list_source
from lakehouse.ingestion.healing import (
    Healing,
    count_healed,
    keep_objects,
    objects_whole,
    start_healing,
    to_read_again,
)
from lakehouse.ingestion.listing import Listed
from lakehouse.ingestion.patterns import LeftOut
from lakehouse.ingestion.pending import StorePlan
from lakehouse.ingestion.remarks import count_gone, note_left_out, note_sources
from lakehouse.ingestion.sidecar import Sidecars
from lakehouse.ingestion.source import Source
from lakehouse.ingestion.store import LISTED_SCHEMA, STORED_SCHEMA, store_batches
from lakehouse.lake import Lake
from lakehouse.progress import progress
from lakehouse.query import fetch, query
from lakehouse.steps.between_erasures import between_erasures
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.insert import insert, insert_rows
from lakehouse.tables.read import head
from schemas.canonical import content_id
from schemas.tables import LANDED_FILES, RAW_RECORDS

FILES_PER_TASK = 256
KEPT_FILES = 50_000
"""Of a listing, so many are kept in memory, at about 1 KB each; a larger folder is listed again to be landed."""
LISTED_FIELDS = tuple(each.name for each in dataclasses.fields(Listed))
COUNTS = ("seen", "stored", "duplicate", "refused", "unchanged")

CHANGED = """
select l.* from listed l
where l.rule is not null or not exists (
    select 1 from bronze.landed_files b
    where b.source = $source and b.drop_name = $drop and b.uri = l.uri and b.size_bytes = l.size_bytes
      and b.mtime_at is not distinct from l.mtime_at and (b.etag is null or l.etag is null or b.etag = l.etag)
      and b.status = $status
      and b.licence is not distinct from $licence and b.campaign is not distinct from $campaign
      and b.origin = $origin and b.captured_at is not distinct from l.captured_at
      and b.sidecar_json is not distinct from l.sidecar_json
      and cardinality(b.group_keys) = cardinality(l.group_keys) {same_groups}
) {or_again}
"""
"""Files that were not seen before with this size, time, version tag and description; refused ones are tried again."""

OR_AGAIN = "or exists (select 1 from again a where a.uri = l.uri)"
"""And those whose objects are damaged."""

SAME_GROUP = "and b.group_keys[$group_{0}] is not distinct from l.group_keys[$group_{0}]"
"""Key by key: Spark does not compare maps."""

OUTCOME = """
select count(*) as seen,
    count(*) filter (where status <> 'refused') as kept,
    count(*) filter (where status = 'refused') as refused,
    count(distinct sha256) as distinct_bytes,
    cast(coalesce(sum(new_bytes), 0) as bigint) as new_bytes
from stored
"""

ALREADY = """
select count(distinct s.sha256) as known from stored s
where exists (select 1 from bronze.landed_files b where b.sha256 = s.sha256 and b.status = s.status)
"""


REFUSED = """
select rule, count(*) as files, min(concat(path, ': ', reason)) as example
from stored where status = 'refused' group by rule order by rule
"""


def land(lake: Lake, source: Source) -> Receipt:
    """Bring the files of a source in: bytes become objects, every observation a row of bronze.

    A file whose size, time and description (sidecar, licence ...) are as before is not read again, so a second
    run costs one listing, and one `stat` of each object. Where the object of such a file is missing, of another size,
    or was found damaged by whoever read it, the file is read again and the object written anew; so it is where the
    bytes that a file brings are in the lake already and damaged there.
    Committed every `land.files_per_commit` files: a killed run goes on where it was.

    Args:
        lake: The lake.
        source: What to land.

    Returns:
        Receipt with counts seen = stored + duplicate + refused + unchanged; `stored` counts new distinct bytes. `gone`
        is there where files that were landed from this folder are in it no more; the lake keeps what it has of them.
        `healed` is there where objects were damaged or missing and were written anew.
        Refused files, by rule, and what looks like a mistake are noted.

    Raises:
        IngestError: If the folder or its sidecar cannot be read.
        ConfigError: If the folder has files and no `include` pattern matches one.
    """
    sidecars = Sidecars(source, lake.home.stores)
    left_out = LeftOut()
    seen, files, kept = _fingerprint(lake, source, sidecars, left_out)
    inputs = {
        # As a URI: the name of a folder need not be text.
        "source": dataclasses.asdict(source) | {"folder": source.address},
        "land": dataclasses.asdict(lake.config.land),
        "files": files,
    }
    with step(lake, "land", inputs=inputs) as record:
        note_left_out(source, left_out, record, seen=seen)
        record.unchanged = record.unchanged and objects_whole(lake, source, files)
        if not record.unchanged:
            described = _described(list_source(source, lake.home), sidecars) if kept is None else iter(kept)
            _land_all(lake, source, sidecars, described, record, files)
    return record.finished()


def _land_all(
    lake: Lake, source: Source, sidecars: Sidecars, described: Iterator[dict[str, object]], record: StepRecord,
    fingerprint: str,
) -> None:
    healing = start_healing(lake, source, fingerprint, before=head(lake.home, LANDED_FILES))
    here = note_sources(lake, source, record)
    _keep_sidecars(lake, source, sidecars, record)
    counts = record.counts = dict.fromkeys(COUNTS, 0)
    uris: list[pa.Table] = []
    while rows := list(itertools.islice(described, lake.config.land.files_per_commit)):
        listed = pa.Table.from_pylist(rows, schema=LISTED_SCHEMA)
        uris += [listed.select(["uri"])] if here else []
        _land_chunk(lake, source, listed, record, healing, known=here > 0)
    balance("land", "files seen", {key: counts[key] for key in counts if key != "seen"}, counts["seen"])
    gone = count_gone(lake, source, uris, record) if here else {}
    counts |= gone
    record.counts_again = dict.fromkeys(COUNTS, 0) | {"seen": counts["seen"], "unchanged": counts["seen"]} | gone
    if healing.healed:
        counts["healed"] = healing.healed
    # Refused files are tried again: a permission may have been given, which no listing shows.
    record.complete = counts["refused"] == 0
    keep_objects(lake, healing)


def _land_chunk(
    lake: Lake, source: Source, listed: pa.Table, record: StepRecord, healing: Healing, *, known: bool
) -> None:
    params = {
        "source": source.name,
        "drop": source.drop,
        "status": "stored" if source.mode == "copy" else "linked",
        "licence": source.licence or None,
        "campaign": source.campaign or None,
        "origin": source.origin,
        **{f"group_{number}": name for number, name in enumerate(source.group_keys)},
    }
    same_groups = " ".join(SAME_GROUP.format(number) for number in range(len(source.group_keys)))
    inputs = {"listed": lake.engine.from_arrow(listed)}
    again = to_read_again(lake, healing, inputs["listed"]) if known and source.mode == "copy" else {}
    if again:
        inputs["again"] = lake.engine.from_arrow(pa.table({"uri": pa.array(again, pa.string())}))
    text = CHANGED.format(same_groups=same_groups, or_again=OR_AGAIN if again else "")
    changed = query(lake, text, inputs=inputs, params=params)
    plan = _plan(lake, source)
    stored = lake.engine.map_batches(
        changed,
        functools.partial(store_batches, plan=plan),
        STORED_SCHEMA,
        rows_per_task=FILES_PER_TASK,
        label=f"land {source.name}",
        reads_here=source.is_local,
    )
    outcome = fetch(lake, OUTCOME, inputs={"stored": stored})[0]
    if outcome["refused"]:
        for row in fetch(lake, REFUSED, inputs={"stored": stored}):
            record.note(row["rule"], row["example"], count=row["files"])
    already = fetch(lake, ALREADY, inputs={"stored": stored})[0]["known"]
    new = outcome["distinct_bytes"] - already
    count_healed(lake, healing, stored, again, record, known=already)
    hashes = functools.partial(_hashes, lake, stored)
    with between_erasures(lake, hashes, plan.erased):
        record.writes.append(insert(lake, LANDED_FILES, stored, step="land"))
    record.bytes_written += outcome["new_bytes"]
    record.counts["seen"] += listed.num_rows
    record.counts["stored"] += new
    record.counts["duplicate"] += outcome["kept"] - new
    record.counts["refused"] += outcome["refused"]
    record.counts["unchanged"] += listed.num_rows - outcome["seen"]


def _hashes(lake: Lake, stored: Relation) -> list[str]:
    return [row["sha256"] for row in fetch(lake, "select distinct sha256 from stored", inputs={"stored": stored})]


def _keep_sidecars(lake: Lake, source: Source, sidecars: Sidecars, record: StepRecord) -> None:
    if not sidecars.records:
        return
    rows = [
        {
            "record_id": content_id([source.name, each.origin, each.text]),
            "source": source.name,
            "origin": each.origin,
            "ordinal": each.ordinal,
            "kind": "sidecar",
            "payload": each.text,
        }
        for each in sidecars.records
    ]
    record.writes.append(insert_rows(lake, RAW_RECORDS, rows, step="land"))


def _plan(lake: Lake, source: Source) -> StorePlan:
    return StorePlan(
        root=lake.home,
        scratch=str(lake.scratch),
        source=source.name,
        drop=source.drop,
        mode=source.mode,
        licence=source.licence,
        campaign=source.campaign,
        origin=source.origin,
        max_bytes=lake.config.land.max_file_bytes,
        now=lake.clock(),
        allowed_roots=source.allowed_roots,
        erased=erased_entities(lake.home),
        at_once=_at_once(lake, source),
    )


def _at_once(lake: Lake, source: Source) -> int:
    if not source.is_local:
        return store_of(source.address, lake.home.stores).parallel
    return 1 if lake.home.is_local else lake.home.store.parallel


def _fingerprint(
    lake: Lake, source: Source, sidecars: Sidecars, left_out: LeftOut
) -> tuple[int, str, list[dict[str, object]] | None]:
    """Return how many files are listed, a hash of all that is told of them, and the listing itself if it is small."""
    digest, seen = hashlib.sha256(), 0
    kept: list[dict[str, object]] = []
    with progress(f"list {source.name}", total=None, unit="files") as advance:
        for row in _described(list_source(source, lake.home, left_out=left_out), sidecars):
            digest.update(repr(row).encode("utf-8", "surrogatepass"))
            seen += 1
            if seen <= KEPT_FILES:
                kept.append(row)
            advance(1)
    digest.update(repr([each.text for each in sidecars.records]).encode("utf-8", "surrogatepass"))
    return seen, digest.hexdigest(), kept if seen <= KEPT_FILES else None


def _described(files: Iterable[Listed], sidecars: Sidecars) -> Iterator[dict[str, object]]:
    for listed in files:
        stated = sidecars.of(listed.path)
        yield {name: getattr(listed, name) for name in LISTED_FIELDS} | {
            "sidecar_json": stated.text, "captured_at": stated.captured_at, "group_keys": stated.group_keys
        }
