"""export: what a query or a dataset selects, with its bytes -> a folder or bucket, for programs that know no lake."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lakehouse.derived.reading import read_by
from lakehouse.errors import ConfigError
from lakehouse.exporting.anew import as_stored, note_as_landed
from lakehouse.exporting.answers import SHAPES, check_shapes
from lakehouse.exporting.coco import category_numbers, write_coco
from lakehouse.exporting.csv import check_csv, lost_in_csv, write_csv
from lakehouse.exporting.cutting import Cutter
from lakehouse.exporting.facts import Facts
from lakehouse.exporting.folders import write_folders
from lakehouse.exporting.hf import check_hf, write_hf
from lakehouse.exporting.manifest import write_manifest
from lakehouse.exporting.mds import MOST_BYTES, check_mds, write_mds
from lakehouse.exporting.names import folders_of
from lakehouse.exporting.rows import Row, Selection, in_order, select
from lakehouse.exporting.shards import write_parquet, write_tars
from lakehouse.exporting.writing import Job
from lakehouse.exporting.yolo import TASKS, lost_of_row, numbers_of, write_yolo
from lakehouse.lake import Lake
from lakehouse.media.kinds.registry import judges_of
from lakehouse.names import nearest
from lakehouse.opinions.formats.losing import Loss
from lakehouse.progress import progress
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.locks import lake_lock
from lakehouse.target import Target, open_target
from loaders.stores.local import local_folder
from loaders.stores.saying import without_secrets
from loaders.stores.storage import StorageOptions
from schemas.canonical import content_id, text_json

CONTRACT = 1
"""Part of every export's id; raise it when the same rows would be written otherwise."""

SHARD_BYTES = 256 << 20

LOST = "lost_"
"""How the rules of notes about losses begin."""


@dataclass(frozen=True, slots=True)
class Format:
    """How rows are written.

    Attributes:
        write: Writes them all.
        needs_label: Whether a row without a label has no place in it.
        is_cut: Whether `shard_bytes` means something.
        names_lake: Whether it says where the lake is: of a lake that was moved it is another export.
        of_pictures: Whether only pictures have a place in it.
        check: Refuses selections that it does not hold.
        losses: Of a row what it cannot say, as (rule, text for a person); told before anything is written.
        decides: What beside the rows decides what is written; a part of the export's id.
        details: For the receipt.
        most_bytes: Of a shard; 0: as many as anybody likes.
    """

    write: Callable[[Job, Iterable[Row], Target], None]
    needs_label: bool = False
    is_cut: bool = False
    names_lake: bool = False
    of_pictures: bool = False
    check: Callable[[Selection], object] = lambda _: None
    losses: Callable[[Selection, Row], Iterable[Loss]] = lambda *_: ()
    decides: Callable[[Selection], object] | None = None
    details: Callable[[Selection], Mapping[str, str]] = lambda _: {}
    most_bytes: int = 0


def _asked(selection: Selection) -> object:
    """What the label set says now, and says otherwise once a label has another name or id."""
    asked = selection.ontology
    named = {label: asked.name(label) for label in (*asked.labels, *asked.parents.values())}
    return [named, dict(asked.parents), list(asked.keypoints), list(asked.skeleton)]


def _about(selection: Selection) -> object:
    """What a card says of the selection."""
    return dict(selection.about) if "dataset" in selection.about else None


FORMATS: Mapping[str, Format] = {
    "imagefolder": Format(write_folders, needs_label=True),
    "parquet": Format(write_parquet, is_cut=True),
    "webdataset": Format(write_tars, is_cut=True),
    "manifest": Format(write_manifest, names_lake=True),
    "coco": Format(
        write_coco,
        of_pictures=True,
        check=lambda selection: check_shapes(selection, "coco", SHAPES),
        decides=lambda selection: [_asked(selection), category_numbers(selection)],
    ),
    "yolo": Format(
        write_yolo,
        of_pictures=True,
        check=lambda selection: check_shapes(selection, "yolo", TASKS),
        losses=lost_of_row,
        decides=lambda selection: [_asked(selection), numbers_of(selection)],
        details=lambda selection: {"task": TASKS[selection.kind]},
    ),
    "csv": Format(write_csv, check=check_csv, losses=lost_in_csv, decides=_about),
    "hf": Format(write_hf, is_cut=True, check=check_hf, decides=_about),
    "mds": Format(write_mds, is_cut=True, check=check_mds, most_bytes=MOST_BYTES),
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
            `coco`, `yolo`: pictures with their objects. `csv`: files and a table of them. `hf`: Parquet with Hugging
            Face features. `mds`: shards of MosaicML Streaming.
        to: Folder or URL, missing or empty, outside the lake.
        params: Values for `$name` in the query.
        shard_bytes: Of parquet, webdataset, hf and mds: bytes of entities in one file at most, unless one is larger
            (256 MiB).
        options: How to reach a URL.

    Returns:
        Receipt with counts selected = exported + those left out, by rule (no_label, no_split, no_picture,
        not_stored, selected_again, no_entity_id), bytes written, details format, to and export_id, of yolo `task`, and
        notes: `lost_...` for what the format cannot hold, by rule, told before anything is written.

    Raises:
        ConfigError: If there is no such format, it does not hold such answers, nothing is left to export, or the place
            holds other things.
        AlreadyPublishedError: If the place holds another export.
        RecipeError: If this machine encodes otherwise than the version was built for.
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
    if chosen.most_bytes and shard_bytes > chosen.most_bytes:
        raise ConfigError(f"shard_bytes = {shard_bytes}: of {format} {chosen.most_bytes:,} are the most")
    shard_bytes = shard_bytes if chosen.is_cut else 0
    with step(lake, "export") as record:
        selected = select(lake, selection, params)
        if chosen.names_lake:
            note_as_landed(selected, record)
        else:
            selected = as_stored(lake, selected, record)
        chosen.check(selected)
        plan = _plan(lake, selected, chosen, shard_bytes, record)
        record.counts = {"selected": selected.count, "exported": plan.exported, **plan.left_out}
        balance("export", "rows selected", {"exported": plan.exported, **plan.left_out}, selected.count)
        if not plan.exported:
            why = ", ".join(f"{count} {rule}" for rule, count in plan.left_out.items())
            raise ConfigError(f"nothing is left to export as {format}: {why}{_hint(chosen, selected)}")
        export_id = content_id([CONTRACT, format, shard_bytes, plan.digest])
        record.details = {"format": format, "export_id": export_id, "to": _shown(to), **chosen.details(selected)}
        if "dataset_id" in selected.about:
            record.details["dataset_id"] = str(selected.about["dataset_id"])
        about = {"export_id": export_id, "format": format, **selected.about}
        with lake_lock(lake, f"export-{export_id}"):
            target = open_target(to, export_id, about, home=lake.home, options=options)
            if target is None:
                record.details["unchanged"] = "this was exported there before"
            else:
                about |= {"counts": dict(record.counts), "classes": list(selected.classes)}
                _fill(lake, selected, chosen, plan, shard_bytes, target, about, record)
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
        facts: What the rows have in common.
    """

    exported: int
    left_out: Mapping[str, int]
    digest: str
    folders: Mapping[str, str]
    facts: Facts


def _plan(lake: Lake, selection: Selection, chosen: Format, shard_bytes: int, record: StepRecord) -> _Plan:
    left_out: Counter[str] = Counter(selection.left_out)
    labels: set[str] = set()
    exported = 0
    place = str(lake.home) if chosen.names_lake else ""
    facts = Facts(Cutter(shard_bytes) if chosen.is_cut else None)
    fields = [list(each) for each in selection.fields.items()]
    common: list[object] = [place, list(selection.roles), list(selection.classes), fields]
    if selection.stored_by is not None:
        common.append(list(selection.stored_by))
    if chosen.decides is not None:
        common.append(chosen.decides(selection))
    said = hashlib.sha256(text_json(common).encode())
    for row in _kept(in_order(lake, selection), chosen, selection, left_out):
        exported += 1
        facts.add(row)
        for rule, text in chosen.losses(selection, row):
            record.note(LOST + rule, text)
        if row.label:
            labels.add(row.label)
        said.update(text_json([row.entity_id, row.label, row.split, dict(row.fields), row.answer]).encode() + b"\n")
    return _Plan(exported, left_out, said.hexdigest(), folders_of(labels) if chosen.needs_label else {}, facts)


def _fill(
    lake: Lake, selection: Selection, chosen: Format, plan: _Plan, shard_bytes: int, target: Target,
    about: Mapping[str, object], record: StepRecord,
) -> None:  # fmt: skip
    try:
        with progress("export", total=plan.exported, unit="entities") as advance:
            as_landed = functools.partial(read_by, lake.home, judges=judges_of(lake.config))
            job = Job(
                lake.home, selection.reader or as_landed, lake.scratch, selection, plan.folders, shard_bytes, advance,
                record.note, plan.facts,
            )  # fmt: skip
            chosen.write(job, _kept(in_order(lake, selection), chosen, selection, Counter()), target)
        folders = {name: label for label, name in plan.folders.items()}
        target.finish({**about, "folders": folders} if folders else about)
    finally:
        target.storage.close()


def _kept(rows: Iterable[Row], chosen: Format, selection: Selection, left_out: Counter[str]) -> Iterator[Row]:
    for row in rows:
        if row.source_place is None:
            left_out["not_stored"] += 1
        elif "split" in selection.roles and not row.split:
            left_out["no_split"] += 1
        elif chosen.needs_label and not row.label:
            left_out["no_label"] += 1
        elif chosen.of_pictures and not row.media_type.startswith("image/"):
            left_out["no_picture"] += 1
        else:
            yield row


def _hint(chosen: Format, selection: Selection) -> str:
    if chosen.needs_label and "label" not in selection.roles:
        return "; a folder is a label: select it as `label`, or take another format"
    return ""


def _shown(to: str | Path) -> str:
    folder = local_folder(to)
    return without_secrets(str(to)) if folder is None else str(folder.absolute())
