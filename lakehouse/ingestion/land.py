"""land: folder or prefix in a bucket -> objects and bronze.landed_files."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from lakehouse.errors import ConfigError, RejectedInputError
from lakehouse.ingestion.containers.land import CONTAINERS_PER_COMMIT, count_gone_containers, land_containers
from lakehouse.ingestion.database.land import land_database
from lakehouse.ingestion.landed import keep_stored, store_plan
from lakehouse.ingestion.retention.keeper import Keeper, keeper_of
from lakehouse.ingestion.sources.delivery import list_source
from lakehouse.ingestion.sources.forms import CAPTURE, CONTAINERS, DATABASE, FILES, ITEMS, MANIFEST, ManifestOptions
from lakehouse.ingestion.sources.guess_layout import guess_layout
from lakehouse.ingestion.sources.layout import check_layout
from lakehouse.ingestion.sources.listing import Listed
from lakehouse.ingestion.sources.manifest import has_header, list_manifest, manifest_columns
from lakehouse.ingestion.sources.patterns import LeftOut
from lakehouse.ingestion.sources.remarks import count_gone, note_left_out, note_sources
from lakehouse.ingestion.sources.sidecar import Sidecars, Stated
from lakehouse.ingestion.sources.source import Source
from lakehouse.ingestion.storing.healing import (
    Healing,
    keep_objects,
    objects_whole,
    start_healing,
    to_read_again,
)
from lakehouse.ingestion.storing.store import LISTED_SCHEMA, STORED_SCHEMA, store_batches
from lakehouse.lake import Lake
from lakehouse.media.kinds.registry import judges_of
from lakehouse.progress import progress
from lakehouse.query import count_rows, query
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.insert import insert_rows
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
      and b.consent is not distinct from $consent and b.cadence is not distinct from $cadence
      and b.origin = $origin and b.captured_at is not distinct from l.captured_at
      and b.sidecar_json is not distinct from l.sidecar_json
      and cardinality(b.group_keys) = cardinality(l.group_keys) {same_groups}
) {and_not_dropped} {or_again}
"""
"""Files that were not seen before with this size, time, version tag and description; refused ones are tried again."""

OR_AGAIN = "or exists (select 1 from again a where a.uri = l.uri)"
"""And those whose objects are damaged."""

AND_NOT_DROPPED = """and not exists (
    select 1 from bronze.keep_decisions k
    where k.source = $source and k.drop_name = $drop and k.uri = l.uri and k.size_bytes = l.size_bytes
      and k.mtime_at is not distinct from l.mtime_at and (k.etag is null or l.etag is null or k.etag = l.etag)
      and k.sidecar_json is not distinct from l.sidecar_json and k.policy_json = $policy and k.verdict = 'dropped'
)"""
"""Nor those that this policy dropped before."""

SAME_GROUP = "and b.group_keys[$group_{0}] is not distinct from l.group_keys[$group_{0}]"
"""Key by key: Spark does not compare maps."""


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
        Receipt with counts seen = stored + duplicate + refused + unchanged; `stored` counts new distinct bytes. Where
        the source has a keep policy, `dropped` is one more part of the sum, and unchanged has what it dropped before.
        `gone`
        is there where files that were landed from this folder are in it no more; the lake keeps what it has of them.
        `healed` is there where objects were damaged or missing and were written anew.
        Refused files, by rule, and what looks like a mistake are noted; details say what a folder looks like and what
        to run next, which is a guess and decides nothing.

    Raises:
        IngestError: If the folder or its sidecar cannot be read.
        ConfigError: If the folder has files and no `include` pattern matches one.
    """
    if source.form in (CAPTURE, ITEMS):
        verb = "capture(lake, source)" if source.form == CAPTURE else "land_items(lake, source, items)"
        raise ConfigError(f"source {source.name}: form = {source.form} is landed by {verb}")
    if source.form == DATABASE:
        return land_database(lake, source)
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
            rows = _listing(lake, source, sidecars) if kept is None else iter(kept)
            _land_all(lake, source, sidecars, rows, record, files)
            if source.form == FILES and source.is_local and (guess := guess_layout(source)):
                record.details |= {"looks_like": guess[0], "next": guess[1]}
    return record.finished()


def _land_all(
    lake: Lake, source: Source, sidecars: Sidecars, files: Iterator[dict[str, object]], record: StepRecord,
    fingerprint: str,
) -> None:
    healing = start_healing(lake, source, fingerprint, before=head(lake.home, LANDED_FILES))
    here = _known(lake, source, record)
    keep_sidecars(lake, source, sidecars, record)
    counts = record.counts = dict.fromkeys(COUNTS, 0)
    uris: list[pa.Table] = []
    holds_files = source.form in CONTAINERS
    at_once = CONTAINERS_PER_COMMIT if holds_files else lake.config.land.files_per_commit
    while rows := list(itertools.islice(files, at_once)):
        listed = pa.Table.from_pylist(rows, schema=LISTED_SCHEMA)
        uris += [listed.select(["uri"])] if here or holds_files else []
        if holds_files:
            land_containers(lake, source, listed, record, healing)
        else:
            land_chunk(lake, source, sidecars, listed, record, healing, known=here > 0)
    balance("land", "files seen", {key: counts[key] for key in counts if key != "seen"}, counts["seen"])
    gone = _gone(lake, source, uris, record) if (here or holds_files) and source.form != MANIFEST else {}
    counts |= gone
    # What is refused in a container that was read to its end is refused for good.
    refused = counts["refused"] if holds_files else 0
    record.counts_again = dict.fromkeys(COUNTS, 0) | gone | {
        "seen": counts["seen"], "unchanged": counts["seen"] - refused, "refused": refused
    }  # fmt: skip
    if healing.healed:
        counts["healed"] = healing.healed
    # Refused files are tried again: a permission may have been given, which no listing shows.
    record.complete &= holds_files or counts["refused"] == 0
    keep_objects(lake, healing)


def _known(lake: Lake, source: Source, record: StepRecord) -> int:
    """Return whether files of this source are in the lake already; check and note what looks like a mistake."""
    if source.form != MANIFEST:
        return note_sources(lake, source, record)
    options: ManifestOptions = source.chosen_options
    required = frozenset({*filter(None, (options.uri, options.sha256, options.size, source.captured_at)),
                          *source.group_keys.values()})  # fmt: skip
    found = manifest_columns(source, lake.home)
    if found:
        kept = found if has_header(source) else {name: "" for name in found if name in required}
        check_layout(lake, source, kept, record, origin=source.address, required=required)
    return 1


def _gone(lake: Lake, source: Source, uris: Sequence[pa.Table], record: StepRecord) -> dict[str, int]:
    if source.form in CONTAINERS:
        return count_gone_containers(lake, source, uris, record)
    return count_gone(lake, source, uris, record)


def land_chunk(
    lake: Lake, source: Source, sidecars: Sidecars, listed: pa.Table, record: StepRecord, healing: Healing, *,
    known: bool,
) -> None:
    """Land one portion of listed files in one commit, and add to the counts of the record.

    Args:
        lake: The lake.
        source: Where they are.
        sidecars: What it says of them.
        listed: Columns of `LISTED_SCHEMA`.
        record: Of the running step; its counts have the names of `COUNTS`.
        healing: Of this run.
        known: Whether objects of files that are as they were are looked at, to be healed.
    """
    params = {
        "source": source.name,
        "drop": source.drop,
        "status": "stored" if source.mode == "copy" else "linked",
        "licence": source.licence or None,
        "campaign": source.campaign or None,
        "consent": source.consent or None,
        "cadence": source.cadence or None,
        "origin": source.origin,
        **({} if source.keep is None else {"policy": source.keep.text}),
        **{f"group_{number}": name for number, name in enumerate(source.group_keys)},
    }
    same_groups = " ".join(SAME_GROUP.format(number) for number in range(len(source.group_keys)))
    inputs = {"listed": lake.engine.from_arrow(listed)}
    again = to_read_again(lake, healing, inputs["listed"]) if known and source.mode == "copy" else {}
    if again:
        inputs["again"] = lake.engine.from_arrow(pa.table({"uri": pa.array(again, pa.string())}))
    text = CHANGED.format(
        same_groups=same_groups, or_again=OR_AGAIN if again else "",
        and_not_dropped="" if source.keep is None else AND_NOT_DROPPED,
    )
    changed = query(lake, text, inputs=inputs, params=params)
    plan = store_plan(lake, source, _keeper(lake, source, sidecars))
    stored = lake.engine.map_batches(
        changed,
        functools.partial(store_batches, plan=plan),
        STORED_SCHEMA,
        rows_per_task=FILES_PER_TASK,
        label=f"land {source.name}",
        reads_here=source.is_local,
    )
    keep_stored(lake, stored, plan, record, healing, again=again)
    record.counts["seen"] += listed.num_rows
    record.counts["unchanged"] += listed.num_rows - count_rows(lake, stored)


def keep_sidecars(lake: Lake, source: Source, sidecars: Sidecars, record: StepRecord) -> None:
    """Keep the records of a sidecar as they came."""
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


def _keeper(lake: Lake, source: Source, sidecars: Sidecars) -> Keeper | None:
    if source.keep is None:
        return None
    return keeper_of(
        source.keep, judges_of(lake.config), sidecar_columns=sidecars.columns,
        has_sidecar=bool(source.sidecar) or source.form == MANIFEST, where=f"source {source.name}",
    )  # fmt: skip


def _fingerprint(
    lake: Lake, source: Source, sidecars: Sidecars, left_out: LeftOut
) -> tuple[int, str, list[dict[str, object]] | None]:
    """Return how many files are listed, a hash of all that is told of them, and the listing itself if it is small."""
    digest, seen = hashlib.sha256(), 0
    kept: list[dict[str, object]] = []
    with progress(f"list {source.name}", total=None, unit="files") as advance:
        for row in _listing(lake, source, sidecars, left_out):
            digest.update(repr(row).encode("utf-8", "surrogatepass"))
            seen += 1
            if seen <= KEPT_FILES:
                kept.append(row)
            advance(1)
    digest.update(repr([each.text for each in sidecars.records]).encode("utf-8", "surrogatepass"))
    return seen, digest.hexdigest(), kept if seen <= KEPT_FILES else None


def _listing(
    lake: Lake, source: Source, sidecars: Sidecars, left_out: LeftOut | None = None
) -> Iterator[dict[str, object]]:
    if source.form != MANIFEST:
        yield from described(list_source(source, lake.home, left_out=left_out), sidecars)
        return
    for named in list_manifest(source, lake.home):
        yield _row(named.listed, named.said) | {"stated_sha256": named.sha256}


def described(files: Iterable[Listed], sidecars: Sidecars) -> Iterator[dict[str, object]]:
    """Yield a row of `LISTED_SCHEMA` for each file: what the listing and the sidecars tell of it."""
    for listed in files:
        try:
            yield _row(listed, sidecars.of(listed.path))
        except RejectedInputError as error:
            rule, reason = listed.rule or error.rule, listed.reason or error.reason
            yield _row(dataclasses.replace(listed, rule=rule, reason=reason), Stated())


def _row(listed: Listed, said: Stated) -> dict[str, object]:
    return {name: getattr(listed, name) for name in LISTED_FIELDS} | {
        "sidecar_json": said.text, "captured_at": said.captured_at, "group_keys": said.group_keys
    }
