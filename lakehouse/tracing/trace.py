"""trace: one sample of a dataset version -> files, licences, opinions, measurements, and why it is where it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lakehouse.datasets.likeness.duplicates import near_duplicates
from lakehouse.datasets.placing.groups import leak_groups
from lakehouse.datasets.plan import split_ranges
from lakehouse.datasets.recipes.sections.split import Split
from lakehouse.datasets.versions.reads import dimensions_read
from lakehouse.errors import ConfigError, VersionUnavailableError
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.showing import DIMENSIONS as CURRENT_DIMENSIONS
from lakehouse.showing import ID, find_thing
from lakehouse.tracing.versions import PinnedVersion, heard_at, pinned_version
from loaders.format.manifest import DATASET, MANIFEST, read_dataset, read_manifest
from loaders.stores.schemes import open_storage
from schemas.canonical import BUCKET_BITS, bucket
from schemas.tables import DIMENSIONS

Row = dict[str, Any]

CONSIDERED = """
select c.entity_id from (
    select entity_id, unnest(coalesce(parent_ids, [entity_id])) as source_id from gold.dataset_members
    where dataset_id = $id
    union all
    select entity_id, unnest(coalesce(parent_ids, [entity_id])) as source_id from gold.dataset_exclusions
    where dataset_id = $id
) c where starts_with(c.entity_id, $sample) or starts_with(c.source_id, $sample)
group by c.entity_id order by c.entity_id <> $sample, c.entity_id limit 6
"""

MEMBER = "select * from gold.dataset_members where dataset_id = $id and entity_id = $thing"

EXCLUDED = """
select reason, detail, parent_ids from gold.dataset_exclusions where dataset_id = $id and entity_id = $thing
"""

LANDED = """
select s.entity_id, b.source, b.drop_name, b.path, b.uri, b.licence, b.campaign, b.origin, b.landed_at, b.landed_id,
    s.seen_at <= $built_at as known_when_built
from silver.entity_sources s join bronze.landed_files b on b.landed_id = s.landed_id
where s.entity_id in $things order by b.landed_at, b.source, b.path, b.landed_id
"""

SAID = """
select o.opinion_id, o.subject_id, o.actor_id, a.kind as actor_kind, o.value_kind, o.label, o.labels, o.number, o.text,
    o.ranking, o.regions, o.op, o.votes, o.confidence, o.event_time, o.ingest_time, o.batch_id
from heard h join silver.opinions o on o.opinion_id = h.opinion_id join silver.actors a on a.actor_id = o.actor_id
where h.subject_id in $things order by o.actor_id, o.ingest_seq, o.opinion_id
"""

BATCHES = "select batch_id, source, format, uri from silver.batches where batch_id in $ids"

TOGETHER = """
select count(*) as members, min(split) as split from gold.dataset_members where dataset_id = $id and group_id = $group
"""

PUBLISHED = """
select folder, rows, published_at from gold.materialisations where dataset_id = $id order by folder, materialisation_id
"""

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Trace:
    """What is known of one sample of a dataset version, at the version's own pins.

    Attributes:
        dataset: dataset_id, name, built_at, built_by.
        entity: Its row of silver.entities, and those that it was derived from, the nearest first; of a sample that is
            made of entities (a crop, a window) entity_id, parent_id (the first of them) and, of a member, operation and
            parameters_json come first, then the rows of all of them.
        landed: Files that its bytes, or those of the first of its ancestors, were seen in: source, drop_name, path,
            uri, licence, campaign, landed_at; known_when_built is False of what was seen after the version was built.
        member: Its row of gold.dataset_members: label, stratum, rank, split, weight, why it was selected. None: it is
            none, and `excluded` says why.
        excluded: reason and detail; None of a member.
        split: name, by (ratios, folds, `time:COLUMN` or what is stated officially; `fixed, else ...` where versions fix
            some), group_id, group_members; of ratios and folds also anchor_id (the entity that decides the place of the
            group), place (0 to 1) and first and last (of the split's range). None of what is no member.
        opinions: Opinions that the recipe heard about it, with their actors and the imports that brought them.
        measured: Dimensions that the recipe reads: value, unit, extractor, extractor_version.
        published: Folders of the version; of a folder that was asked for also file, row_group and row (from 0).
    """

    dataset: Row
    entity: list[Row]
    landed: list[Row]
    member: Row | None
    excluded: Row | None
    split: Row | None
    opinions: list[Row]
    measured: list[Row]
    published: list[Row]


def trace_sample(lake: Lake, dataset: str | Path, sample: str) -> Trace:
    """Return where a sample comes from and why it is in a dataset; nothing is written.

    Args:
        lake: The lake.
        dataset: As `find_dataset`, or the folder of a version or split that is published.
        sample: An entity id, its first 6 digits or more, or path or name of a landed file.

    Raises:
        RecipeError: If there is no such dataset.
        ConfigError: If it did not consider such a sample, or several; the message names them.
        TableError: If what the version read cannot be read any more, as after `petrel erase`.
        FormatError: If the folder holds no published dataset.
    """
    folder = Path(dataset) if _is_folder(lake, str(dataset)) else None
    found = pinned_version(lake, str(dataset) if folder is None else _dataset_in(folder))
    try:
        return _traced(lake, found, sample, folder)
    except VersionUnavailableError as error:
        raise VersionUnavailableError(
            f"dataset {found.version.name} ({found.dataset_id}): what it was built from cannot be read any more: "
            f"{error}; members, labels and reasons are left (gold.dataset_members, gold.dataset_exclusions): build it "
            "anew, and trace that version"
        ) from error


def _traced(lake: Lake, found: PinnedVersion, sample: str, folder: Path | None) -> Trace:
    thing = _considered(lake, found, sample)
    about: Mapping[str, object] = {"id": found.dataset_id, "thing": thing}
    members, excluded = fetch(lake, MEMBER, params=about), fetch(lake, EXCLUDED, params=about)
    # Of a crop the picture that it is cut out of, of a window all of its entities.
    sources = _sources([*members, *excluded], thing)
    lines = [_line(lake, found, source) for source in sources]
    roots = [line[-1]["entity_id"] if line else source for line, source in zip(lines, sources, strict=True)]
    entity = [row for line in lines for row in line]
    if sources != [thing]:
        entity.insert(0, {"entity_id": thing, "parent_id": sources[0]} | _made(members))
    member = members[0] | {"label_votes": dict(members[0]["label_votes"] or ())} if members else None
    published = fetch(lake, PUBLISHED, params=about)
    return Trace(
        dataset={"dataset_id": found.dataset_id, "name": found.version.name, "built_at": found.built_at,
                 "built_by": found.built_by},
        entity=entity,
        landed=fetch(lake, LANDED, params={"things": roots, "built_at": found.built_at}),
        member=member,
        excluded={name: excluded[0][name] for name in ("reason", "detail")} if excluded and member is None else None,
        split=None if member is None else _split(lake, found, member),
        opinions=_said(lake, found, sources),
        measured=[row for source in sources for row in _measured(lake, found, source)],
        published=published if folder is None else [{"folder": str(folder), **_place_in(folder, thing)}],
    )  # fmt: skip


def _is_folder(lake: Lake, text: str) -> bool:
    return "/" in text or (Path(text) / DATASET).is_file() or (Path(text) / MANIFEST).is_file()


def _dataset_in(folder: Path) -> str:
    files = open_storage(folder)
    return read_manifest(files).dataset_id if (folder / MANIFEST).is_file() else read_dataset(files).dataset_id


def _considered(lake: Lake, found: PinnedVersion, sample: str) -> str:
    wanted = sample if ID.fullmatch(sample) else find_thing(lake, sample)
    rows = fetch(lake, CONSIDERED, params={"id": found.dataset_id, "sample": wanted})
    # A picture beside its variants is meant by its own id.
    if len(rows) == 1 or (rows and rows[0]["entity_id"] == wanted):
        return str(rows[0]["entity_id"])
    named = f"dataset {found.version.name} ({found.dataset_id})"
    if rows:
        several = ", ".join(row["entity_id"][:16] for row in rows[:SHOWN])
        raise ConfigError(
            f"{named}: several samples begin with {wanted}, or are of it: {several} ...; give the id of one"
        )
    thing = find_thing(lake, wanted)
    raise ConfigError(f"{named} did not select {thing}; `petrel show {thing[:12]}` tells which datasets did")


def _sources(rows: Sequence[Mapping[str, Any]], thing: str) -> list[str]:
    """Return the entities that a sample is made of, each once, in order; the sample itself where it is one."""
    parents = next((row["parent_ids"] for row in rows), None)
    return list(dict.fromkeys(parents)) if parents else [thing]


def _made(members: Sequence[Row]) -> Row:
    return {name: row[name] for row in members for name in ("operation", "parameters_json")}


def _line(lake: Lake, found: PinnedVersion, thing: str) -> list[Row]:
    """Return an entity and its ancestors, the nearest first."""
    line: list[Row] = []
    wanted: str | None = thing
    while wanted is not None and wanted not in {row["entity_id"] for row in line}:
        text = "select * from silver.entities where entity_id = $thing"
        rows = fetch(lake, text, params={"thing": wanted}, pins=found.pins)
        line += rows
        wanted = rows[0]["parent_id"] if rows else None
    return line


def _said(lake: Lake, found: PinnedVersion, things: Sequence[str]) -> list[Row]:
    heard = heard_at(lake, found)
    if heard is None:
        return []
    rows = fetch(lake, SAID, inputs={"heard": heard[1]}, params={"things": things}, pins=found.pins)
    ids = sorted({row["batch_id"] for row in rows})
    batches = {row["batch_id"]: row for row in fetch(lake, BATCHES, params={"ids": ids})} if ids else {}
    return [
        row | {"brought_by": {name: value for name, value in batches.get(row["batch_id"], {}).items()}} for row in rows
    ]


def _measured(lake: Lake, found: PinnedVersion, thing: str) -> list[Row]:
    read = dimensions_read(found.version.followed)
    if DIMENSIONS.name not in found.pins or not (read.all or read.names):
        return []
    rows = fetch(lake, CURRENT_DIMENSIONS, params={"thing": thing}, pins=found.pins)
    return [row for row in rows if read.all or row["dimension"] in read.names]


def _split(lake: Lake, found: PinnedVersion, member: Mapping[str, Any]) -> Row:
    recipe, thing, group = found.version.followed, member["entity_id"], member["group_id"]
    (together,) = fetch(lake, TOGETHER, params={"id": found.dataset_id, "group": group})
    told: Row = {"name": member["split"], "by": _split_by(recipe.split), "group_id": group,
                 "group_members": together["members"]}  # fmt: skip
    if recipe.split.official or recipe.split.time or recipe.split.fixed:
        return told
    anchor = thing = _sources([member], thing)[0]
    groups = leak_groups(lake, recipe, near_duplicates(lake, recipe, found.pins), found.pins)
    if groups is not None:
        text = "select anchor_id from leak_groups where entity_id = $thing"
        rows = fetch(lake, text, inputs={"leak_groups": groups.rows}, params={"thing": thing})
        anchor = rows[0]["anchor_id"] if rows else thing
    place, whole = bucket(f"split|{anchor}", recipe.seed), 1 << BUCKET_BITS
    ranges = split_ranges(recipe.split.shares)
    limits = dict(zip((name for name, _ in ranges), pairwise([0, *(end for _, end in ranges)]), strict=True))
    first, end = limits.get(member["split"], (0, 0))
    if first <= place < end:  # else another rule of the recipe decided, and this would tell a wrong reason
        told |= {"anchor_id": anchor, "place": place / whole, "first": first / whole, "last": end / whole}
    return told


def _split_by(split: Split) -> str:
    by = split.official or (f"time:{split.time}" if split.time else "folds" if split.folds else "ratios")
    return f"fixed, else {by}" if split.fixed else by


def _place_in(folder: Path, thing: str) -> Row:
    """Return file, row_group and row of a sample in a published folder; {} if it is not in it."""
    for file in sorted(folder.glob("*.parquet") if (folder / MANIFEST).is_file() else folder.glob("*/*.parquet")):
        with pq.ParquetFile(file) as parquet:
            for group in range(parquet.num_row_groups):
                ids = parquet.read_row_group(group, columns=["entity_id"])["entity_id"].to_pylist()
                if thing in ids:
                    return {"file": str(file.relative_to(folder)), "row_group": group, "row": ids.index(thing)}
    return {}


def plain(found: Trace) -> Row:
    """Return a trace as plain values, its JSON columns read."""
    member = found.member
    if member is not None:
        read = {name.removesuffix("_json"): json.loads(member[name]) for name in ("fields_json", "answer_json")
                if member[name] is not None}  # fmt: skip
        member = {name: value for name, value in member.items() if not name.endswith("_json")} | read
    return {name: getattr(found, name) for name in Trace.__slots__} | {"member": member}
