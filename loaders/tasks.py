"""Plan a dataset from small rows, then write it part by part: in this process, a pool or a cluster.

A task carries its rows without their bytes; the bytes are read by the worker. It travels as Arrow, never as pickle,
and can be run again at any time: a part that is already there, whole, is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.digest import row_hashes
from loaders.errors import FormatError
from loaders.fields import Field, arrow_schema, check_fields, field_from_json
from loaders.files import sha256_file, write_text_durably
from loaders.manifest import SPLIT_NAME, PartReceipt
from loaders.part_writer import write_part
from loaders.parts import PART_BYTES, ROW_GROUP_BYTES, PartPlan, plan_parts
from schemas.canonical import bucket, content_id

ReadObject = Callable[[str], bytes]
"""Returns the bytes behind one URI; picklable if the tasks run elsewhere."""

RECEIPTS = "_receipts"
"""Folder in a staging folder that says which parts are complete."""

_BINARY: Any = pa.binary()
TASK_SCHEMA = pa.schema([("task", pa.string()), ("payload", _BINARY)])
RECEIPT_SCHEMA = pa.schema([("task", pa.string()), ("receipt", pa.string())])

_ROW_BYTES = 64
"""What a row weighs beside its objects: ids, labels, offsets."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are cut into files.

    Attributes:
        id_column: Text that names a row; with the seed it gives the row's place, so it must be unique.
        split_column: Column with the name of the split.
        size_column: Column with the bytes of the row's objects; None: all rows weigh the same.
        row_group_bytes: Size at which a row group ends.
        part_bytes: Size at which a file ends.
    """

    id_column: str = "entity_id"
    split_column: str = "split"
    size_column: str | None = "bytes"
    row_group_bytes: int = ROW_GROUP_BYTES
    part_bytes: int = PART_BYTES


@dataclass(frozen=True, slots=True)
class PartTask:
    """One Parquet file to be written.

    Attributes:
        split: Split it belongs to.
        part: Its place and its row groups.
        fields: The columns to store.
        objects: {field: column of `rows` with the URI of its bytes}.
        rows: The part's rows in write order, without the bytes.
        key: Content id of all of the above: a part written for another key is written again.
    """

    split: str
    part: PartPlan
    fields: tuple[Field, ...]
    objects: Mapping[str, str]
    rows: pa.Table
    key: str

    @property
    def name(self) -> str:
        """`<split>/<file>`: unique in the dataset."""
        return f"{self.split}/{self.part.name}"

    def to_bytes(self) -> bytes:
        """Return the task as an Arrow stream."""
        note = {
            "split": self.split,
            "part": [self.part.index, self.part.start, self.part.stop, list(self.part.row_groups)],
            "fields": [field.to_json() for field in self.fields],
            "objects": dict(self.objects),
            "key": self.key,
        }
        rows = self.rows.replace_schema_metadata({b"task": json.dumps(note).encode()})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        payload: bytes = sink.getvalue().to_pybytes()
        return payload

    @classmethod
    def from_bytes(cls, payload: bytes) -> PartTask:
        """Read what `to_bytes` gave."""
        rows = pa.ipc.open_stream(payload).read_all()
        note = json.loads((rows.schema.metadata or {})[b"task"])
        index, start, stop, row_groups = note["part"]
        return cls(
            split=note["split"],
            part=PartPlan(index, start, stop, tuple(row_groups)),
            fields=tuple(field_from_json(entry) for entry in note["fields"]),
            objects=note["objects"],
            rows=rows.replace_schema_metadata(None),
            key=note["key"],
        )


@dataclass(frozen=True)
class DatasetPlan:
    """Every part of a dataset version, before a byte of it is read.

    Attributes:
        dataset_id: Id of the dataset version, "" if it comes from no lake.
        seed: Seed of the row order.
        fields: The columns to store.
        tasks: One for each part, by split and number.
    """

    dataset_id: str
    seed: int
    fields: tuple[Field, ...]
    tasks: tuple[PartTask, ...]

    @cached_property
    def plan_id(self) -> str:
        """64 hex digits that name rows, order, layout and columns; known before anything is written."""
        return content_id([self.dataset_id, self.seed, [[task.name, task.key] for task in self.tasks]], digits=64)

    @property
    def rows(self) -> int:
        """Rows of all parts together."""
        return sum(task.rows.num_rows for task in self.tasks)

    def task_table(self) -> pa.Table:
        """Return the tasks as rows of `TASK_SCHEMA`, for an engine to spread: one row is one part."""
        names, payloads = [task.name for task in self.tasks], [task.to_bytes() for task in self.tasks]
        return pa.table([pa.array(names, pa.string()), pa.array(payloads, pa.binary())], schema=TASK_SCHEMA)


def plan_dataset(
    rows: pa.Table,
    fields: Sequence[Field],
    *,
    seed: int,
    dataset_id: str = "",
    objects: Mapping[str, str] | None = None,
    layout: Layout | None = None,
) -> DatasetPlan:
    """Decide which row goes where. Pure: the order of `rows` and the engine they came from change nothing.

    Rows of a split stand in the order of `petrel_bucket(id, seed)`, ties by id.

    Args:
        rows: One row for each sample, small: the stored columns, the id, the split, and the URIs of objects.
        fields: The columns to store; each is a column of `rows` of that type, or is in `objects`.
        seed: Seed of the row order.
        dataset_id: Id of the dataset version.
        objects: {field: column of `rows` with the URI of its bytes}; a null URI becomes a null value.
        layout: Names of the columns that place a row, and the sizes of files.

    Raises:
        FormatError: If a column is missing or of another type, an id appears twice, or a split name is not allowed.
    """
    fields, objects, layout = check_fields(fields), dict(objects or {}), layout or Layout()
    _check_columns(rows, fields, objects, layout)
    ids: list[Any] = rows.column(layout.id_column).cast(pa.string()).to_pylist()
    splits: list[Any] = rows.column(layout.split_column).cast(pa.string()).to_pylist()
    if len(set(ids)) != len(ids) or None in ids:
        raise FormatError(f"column {layout.id_column}: every row needs an id of its own")
    sizes = np.full(len(ids), _ROW_BYTES, dtype=np.int64)
    if layout.size_column:
        weights: Any = rows.column(layout.size_column).cast(pa.int64())
        sizes += np.asarray(weights.fill_null(0), dtype=np.int64)
    order = sorted(range(len(ids)), key=lambda row: (splits[row], bucket(ids[row], seed), ids[row]))
    kept = [name for name in rows.column_names if name in {field.name for field in fields} | set(objects.values())]
    tasks: list[PartTask] = []
    for split in sorted(set(splits)):
        places = [row for row in order if splits[row] == split]
        here = rows.select(kept).take(pa.array(places, pa.int64())).combine_chunks()
        for part in plan_parts(
            sizes[places], row_group_bytes=layout.row_group_bytes, part_bytes=layout.part_bytes
        ):
            chosen = here.slice(part.start, part.stop - part.start)
            key = _task_key(split, part, fields, objects, chosen)
            tasks.append(PartTask(split, part, fields, objects, chosen, key))
    return DatasetPlan(dataset_id, seed, fields, tuple(tasks))


def run_task(task: PartTask, *, staging: str | Path, read_object: ReadObject | None = None) -> PartReceipt:
    """Write one part, or return its receipt if an earlier run completed it; holds one row group in memory.

    Raises:
        FormatError: If rows, bytes or types are not as planned.
    """
    folder = Path(staging) / task.split
    path = folder / task.part.name
    note = Path(staging) / RECEIPTS / f"{task.split}-{task.part.name}.json"
    done = _completed(note, path, task.key)
    if done is not None:
        return done
    receipt = write_part(_batches(task, read_object), path, task.fields, row_groups=task.part.row_groups)
    note.parent.mkdir(parents=True, exist_ok=True)
    write_text_durably(note, json.dumps({"key": task.key, "receipt": receipt.to_json()}))
    return receipt


def run_task_batches(
    batches: Iterator[pa.RecordBatch], *, staging: str, read_object: ReadObject | None = None
) -> Iterator[pa.RecordBatch]:
    """Write the parts of some rows of `task_table()`: what a distributed map calls (through functools.partial).

    Yields:
        One record batch of `RECEIPT_SCHEMA` for each part.
    """
    for batch in batches:
        payloads: list[Any] = batch.column("payload").to_pylist()
        for payload in payloads:
            task = PartTask.from_bytes(payload)
            receipt = run_task(task, staging=staging, read_object=read_object)
            values = [pa.array([task.name]), pa.array([json.dumps(receipt.to_json())])]
            yield pa.RecordBatch.from_arrays(values, schema=RECEIPT_SCHEMA)


def receipts_of(table: pa.Table) -> dict[str, PartReceipt]:
    """Return {task name: receipt} from the rows that `run_task_batches` yielded.

    Raises:
        FormatError: If a row is no receipt.
    """
    names: list[Any] = table.column("task").to_pylist()
    texts: list[Any] = table.column("receipt").to_pylist()
    return {name: PartReceipt.from_json(json.loads(text)) for name, text in zip(names, texts, strict=True)}


def _completed(note: Path, path: Path, key: str) -> PartReceipt | None:
    try:
        record = json.loads(note.read_text(encoding="utf-8"))
        receipt = PartReceipt.from_json(record["receipt"])
        whole = record["key"] == key and path.stat().st_size == receipt.bytes and sha256_file(path) == receipt.sha256
    except (OSError, ValueError, KeyError, TypeError):
        return None  # nothing, or not all of it, survived: write it again
    return receipt if whole else None


def _batches(task: PartTask, read_object: ReadObject | None) -> Iterable[pa.RecordBatch]:
    if task.objects and read_object is None:
        raise FormatError(f"{task.name}: fields {sorted(task.objects)} are objects, so read_object is needed")
    at = 0
    for count in task.part.row_groups:
        rows = task.rows.slice(at, count)
        at += count
        columns = [_column(rows, field, task.objects, read_object) for field in task.fields]
        yield pa.RecordBatch.from_arrays(columns, schema=arrow_schema(task.fields))


def _column(rows: pa.Table, field: Field, objects: Mapping[str, str], read_object: ReadObject | None) -> Any:
    if field.name not in objects or read_object is None:
        return rows.column(field.name).combine_chunks()
    values = []
    for uri in rows.column(objects[field.name]).to_pylist():
        try:
            values.append(None if uri is None else read_object(uri))
        except Exception as error:
            error.add_note(f"while reading {uri} for column {field.name}")
            raise
    return pa.array(values, field.type)


def _check_columns(rows: pa.Table, fields: Sequence[Field], objects: Mapping[str, str], layout: Layout) -> None:
    found = set(rows.column_names)
    places = {layout.id_column, layout.split_column, *([layout.size_column] if layout.size_column else [])}
    stored = {field.name for field in fields} - objects.keys()
    missing = sorted((places | stored | set(objects.values())) - found)
    if missing:
        raise FormatError(f"rows lack the columns {missing}; they have {sorted(found)}")
    unknown = sorted(objects.keys() - {field.name for field in fields})
    if unknown:
        raise FormatError(f"objects name {unknown}, which are no fields")
    for field in fields:
        kind = rows.schema.field(field.name).type if field.name in stored else None
        if kind is not None and not kind.equals(field.type):
            raise FormatError(f"column {field.name}: the field has type {field.type}, the rows have {kind}")
        if field.name in objects and not pa.types.is_binary(field.type):
            raise FormatError(f"field {field.name}: objects are bytes, so the type must be binary, not {field.type}")
    for split in pc.unique(rows.column(layout.split_column)).to_pylist():
        if split is None or not SPLIT_NAME.fullmatch(str(split)):
            raise FormatError(f"split {split!r}: use lower-case letters, digits, _ and -, at most 64")


def _task_key(
    split: str, part: PartPlan, fields: tuple[Field, ...], objects: Mapping[str, str], rows: pa.Table
) -> str:
    uris = sorted(set(objects.values()) - {field.name for field in fields})
    stored = [field for field in fields if field.name not in objects]
    carried = stored + [Field(f"uri_{at}", pa.string(), nullable=True) for at in range(len(uris))]
    data = rows.select([field.name for field in stored] + uris).rename_columns([field.name for field in carried])
    hashes = b"".join(row_hashes(data, carried)).hex() if carried else ""
    schema = [field.to_json() for field in fields]
    return content_id([split, part.start, list(part.row_groups), schema, dict(objects), uris, hashes], digits=64)
