"""export: what a query or a dataset selects, with its bytes -> a folder or bucket, for programs that know no lake."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import ConfigError
from lakehouse.exporting.folders import write_folders
from lakehouse.exporting.manifest import write_manifest
from lakehouse.exporting.names import folders_of
from lakehouse.exporting.rows import Row, Selection, in_order, select
from lakehouse.exporting.shards import write_parquet, write_tars
from lakehouse.exporting.target import Target, open_target
from lakehouse.exporting.writing import Job
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.progress import progress
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import balance, step
from lakehouse.tables.locks import lake_lock
from loaders.stores.local import local_folder
from loaders.stores.saying import without_secrets
from loaders.stores.storage import StorageOptions
from schemas.canonical import content_id, text_json

CONTRACT = 1
"""Part of every export's id; raise it when the same rows would be written otherwise."""

SHARD_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Format:
    """How rows are written.

    Attributes:
        write: Writes them all.
        needs_label: Whether a row without a label has no place in it.
        is_cut: Whether `shard_bytes` means something.
        names_lake: Whether it says where the lake is: of a lake that was moved it is another export.
    """

    write: Callable[[Job, Iterable[Row], Target], None]
    needs_label: bool = False
    is_cut: bool = False
    names_lake: bool = False


FORMATS: Mapping[str, Format] = {
    "imagefolder": Format(write_folders, needs_label=True),
    "parquet": Format(write_parquet, is_cut=True),
    "webdataset": Format(write_tars, is_cut=True),
    "manifest": Format(write_manifest, names_lake=True),
}


def export(
    lake: Lake,
    selection: str,
    *,
    format: str,
    to: str | Path,
    params: Mapping[str, object] | None = None,
    shard_bytes: int = SHARD_BYTES,
    options: StorageOptions | None = None,
) -> Receipt:
    """Write what is selected for programs that know no lake; the same export again writes nothing.

    The bytes of every entity are compared with its id on their way. Killed at any point, an export leaves no local
    folder of its name (what it had written waits in `<to>.exporting`), in a bucket a prefix with `_exporting.json`
    and without `_export.json`; the same call goes on from there. In memory are a batch of rows, 8 entities, and of
    Parquet a row group; what is selected is bounded by the limits of [sql].

    Args:
        lake: The lake.
        selection: One SELECT as in a recipe, which returns `entity_id` and may return `label`, `split` (both text) and
            columns of its own; or name (the version built last) or version id of a dataset.
        format: `imagefolder`: one file each, by split and label. `parquet`: bytes and columns. `webdataset`: tar
            files with a JSON file beside each entity. `manifest`: a line of JSON each, with the URI of its bytes.
        to: Folder or URL, missing or empty, outside the lake.
        params: Values for `$name` in the query.
        shard_bytes: Of parquet and webdataset: bytes of entities in one file at most, unless one is larger (256 MiB).
        options: How to reach a URL.

    Returns:
        Receipt with counts selected = exported + those left out, by rule (no_label, no_split, not_stored,
        selected_again, no_entity_id), bytes written, and details format, to and export_id.

    Raises:
        ConfigError: If there is no such format, nothing is left to export, or the place holds other things.
        AlreadyPublishedError: If the place holds another export.
        RecipeError, QueryRefusedError, QueryFailedError: If there is no such dataset, or the query cannot run.
        IngestError: If bytes are missing or others; nothing is finished then.
        TableError: If a file of a table is missing or damaged.
        StorageError, DeadlineError, CorruptionError: If the storage refuses, does not answer, or loses files.
    """
    if format not in FORMATS:
        raise ConfigError(f"no format `{format}` to export{nearest(format, FORMATS)}")
    if shard_bytes < 1:
        raise ConfigError(f"shard_bytes = {shard_bytes}: must be above 0")
    chosen = FORMATS[format]
    shard_bytes = shard_bytes if chosen.is_cut else 0
    with step(lake, "export") as record:
        selected = select(lake, selection, params)
        plan = _plan(lake, selected, chosen)
        record.counts = {"selected": selected.count, "exported": plan.exported, **plan.left_out}
        balance("export", "rows selected", {"exported": plan.exported, **plan.left_out}, selected.count)
        if not plan.exported:
            why = ", ".join(f"{count} {rule}" for rule, count in plan.left_out.items())
            raise ConfigError(f"nothing is left to export as {format}: {why}{_hint(chosen, selected)}")
        export_id = content_id([CONTRACT, format, shard_bytes, plan.digest])
        record.details = {"format": format, "export_id": export_id, "to": _shown(to)}
        about = {"export_id": export_id, "format": format, **selected.about}
        with lake_lock(lake, f"export-{export_id}"):
            target = open_target(to, export_id, about, home=lake.home, options=options)
            if target is None:
                record.details["unchanged"] = "this was exported there before"
            else:
                about |= {"counts": dict(record.counts), "classes": list(selected.classes)}
                _fill(lake, selected, chosen, plan, shard_bytes, target, about)
                record.bytes_written = target.bytes_new
                record.details["files"] = f"{target.wrote.files}"
    return record.finished()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is known of an export before anything is written.

    Attributes:
        exported: Rows that go out.
        left_out: Rule -> rows that do not.
        digest: Of all that the rows say, and of what they have in common.
        folders: Label -> name of its folder; {} where labels are no folders.
    """

    exported: int
    left_out: Mapping[str, int]
    digest: str
    folders: Mapping[str, str]


def _plan(lake: Lake, selection: Selection, chosen: Format) -> _Plan:
    left_out: Counter[str] = Counter(selection.left_out)
    labels: set[str] = set()
    exported = 0
    place = str(lake.home) if chosen.names_lake else ""
    common = [place, list(selection.roles), list(selection.classes), [list(each) for each in selection.fields.items()]]
    said = hashlib.sha256(text_json(common).encode())
    for row in _kept(in_order(lake, selection), chosen, selection, left_out):
        exported += 1
        if row.label:
            labels.add(row.label)
        said.update(text_json([row.entity_id, row.label, row.split, dict(row.fields), row.answer]).encode() + b"\n")
    return _Plan(exported, left_out, said.hexdigest(), folders_of(labels) if chosen.needs_label else {})


def _fill(
    lake: Lake, selection: Selection, chosen: Format, plan: _Plan, shard_bytes: int, target: Target,
    about: Mapping[str, object],
) -> None:  # fmt: skip
    try:
        with progress("export", total=plan.exported, unit="entities") as advance:
            job = Job(lake.home, lake.scratch, selection, plan.folders, shard_bytes, advance)
            chosen.write(job, _kept(in_order(lake, selection), chosen, selection, Counter()), target)
        folders = {name: label for label, name in plan.folders.items()}
        target.finish({**about, "folders": folders} if folders else about)
    finally:
        target.storage.close()


def _kept(rows: Iterable[Row], chosen: Format, selection: Selection, left_out: Counter[str]) -> Iterator[Row]:
    for row in rows:
        if row.object_uri is None:
            left_out["not_stored"] += 1
        elif "split" in selection.roles and not row.split:
            left_out["no_split"] += 1
        elif chosen.needs_label and not row.label:
            left_out["no_label"] += 1
        else:
            yield row


def _hint(chosen: Format, selection: Selection) -> str:
    if chosen.needs_label and "label" not in selection.roles:
        return "; a folder is a label: select it as `label`, or take another format"
    return ""


def _shown(to: str | Path) -> str:
    folder = local_folder(to)
    return without_secrets(str(to)) if folder is None else str(folder.absolute())
