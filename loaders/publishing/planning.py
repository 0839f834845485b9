"""Plan a dataset from small rows: which row goes into which file, before a byte is read.

A task carries its rows without their bytes, and travels as Arrow, never as pickle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.errors import FormatError
from loaders.format.digest import row_hashes
from loaders.format.fields import Field, check_fields, field_from_json
from loaders.format.manifest import SPLIT_NAME
from loaders.format.parts import PART_BYTES, ROW_GROUP_BYTES, PartPlan, plan_parts
from schemas.canonical import bucket, content_id

_BINARY: pa.DataType = pa.binary()
TASK_SCHEMA = pa.schema([("task", pa.string()), ("payload", _BINARY)])

_ROW_BYTES = 64
"""What a row weighs beside its objects: ids, labels, offsets."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are cut into files.

    Attributes:
        id_column: Text that names a row; with the seed it gives the row's place, so it must be unique.
        split_column: Column with the name of the split.
        size_column: Column with the bytes of the row's objects; None: all rows weigh the same.
        sequence_column: Column that tells sequences apart, such as a clip or a recording; its rows stand together,
            by `order_column`, and in one row group if they fit. None: every row has its own random place.
        order_column: Column with the place of a row in its sequence: numbers, timestamps or dates.
        row_group_bytes: Size at which a row group ends.
        part_bytes: Size at which a file ends.
    """

    id_column: str = "entity_id"
    split_column: str = "split"
    size_column: str | None = "bytes"
    sequence_column: str | None = None
    order_column: str | None = None
    row_group_bytes: int = ROW_GROUP_BYTES
    part_bytes: int = PART_BYTES

    def __post_init__(self) -> None:
        if (self.sequence_column is None) != (self.order_column is None):
            raise FormatError("a layout names sequence_column and order_column together, or neither")

    @property
    def order_by(self) -> tuple[str, ...]:
        """Sequence and order column, as the manifest states them; () without sequences."""
        return (self.sequence_column, self.order_column) if self.sequence_column and self.order_column else ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that places a row."""
        names = (self.id_column, self.split_column, self.size_column, *self.order_by)
        return tuple(name for name in names if name)


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
        order_by: Sequence and order column of the layout; () without sequences.
    """

    dataset_id: str
    seed: int
    fields: tuple[Field, ...]
    tasks: tuple[PartTask, ...]
    order_by: tuple[str, ...] = ()

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

    Rows of a split stand in the order of `petrel_bucket(id, seed)`, ties by id. With sequences it is their id that
    counts, and rows of one stand by `order_column`, ties by id.

    Args:
        rows: One row for each sample, small: the stored columns, the id, the split, and the URIs of objects.
        fields: The columns to store; each is a column of `rows` of that type, or is in `objects`.
        seed: Seed of the row order.
        dataset_id: Id of the dataset version.
        objects: {field: column of `rows` with the URI of its bytes}; a null URI becomes a null value.
        layout: Names of the columns that place a row, and the sizes of files.

    Raises:
        FormatError: If a column is missing or of another type, an id appears twice, a split name is not allowed, or
            a row lacks its sequence or its place in it.
    """
    fields, objects, layout = check_fields(fields), dict(objects or {}), layout or Layout()
    _check_columns(rows, fields, objects, layout)
    ids: list[str] = rows.column(layout.id_column).cast(pa.string()).to_pylist()
    splits: list[str] = rows.column(layout.split_column).cast(pa.string()).to_pylist()
    if len(set(ids)) != len(ids) or None in ids:
        raise FormatError(f"column {layout.id_column}: every row needs an id of its own")
    sizes = np.full(len(ids), _ROW_BYTES, dtype=np.int64)
    if layout.size_column:
        weights: pa.ChunkedArray = rows.column(layout.size_column).cast(pa.int64())
        sizes += np.asarray(weights.fill_null(0), dtype=np.int64)
    # Without sequences every row is one of its own.
    series, places_in = _sequences(rows, layout) if layout.order_by else (ids, ids)
    keys = {name: bucket(name, seed) for name in set(series)}
    order = sorted(
        range(len(ids)), key=lambda row: (splits[row], keys[series[row]], series[row], places_in[row], ids[row])
    )
    kept = [name for name in rows.column_names if name in {field.name for field in fields} | set(objects.values())]
    tasks: list[PartTask] = []
    for split in sorted(set(splits)):
        places = [row for row in order if splits[row] == split]
        here = rows.select(kept).take(pa.array(places, pa.int64())).combine_chunks()
        runs = groupby(series[row] for row in places)
        together = [len(list(run)) for _, run in runs] if layout.order_by else None
        for part in plan_parts(
            sizes[places], row_group_bytes=layout.row_group_bytes, part_bytes=layout.part_bytes, together=together
        ):
            chosen = here.slice(part.start, part.stop - part.start)
            key = _task_key(split, part, fields, objects, chosen)
            tasks.append(PartTask(split, part, fields, objects, chosen, key))
    return DatasetPlan(dataset_id, seed, fields, tuple(tasks), layout.order_by)


def _sequences(rows: pa.Table, layout: Layout) -> tuple[list[str], list[int | float]]:
    """Return the sequence of each row, as text, and its place in it, as a number that can be sorted."""
    column, order = (rows.column(name) for name in layout.order_by)
    if pa.types.is_date(order.type) or pa.types.is_timestamp(order.type):
        order = order.cast(pa.int32() if pa.types.is_date32(order.type) else pa.int64())
    if not (pa.types.is_integer(order.type) or pa.types.is_floating(order.type)):
        raise FormatError(f"order column {layout.order_column}: use numbers, timestamps or dates, not {order.type}")
    if not (pa.types.is_string(column.type) or pa.types.is_integer(column.type)):
        raise FormatError(f"sequence column {layout.sequence_column}: use text or integers, not {column.type}")
    series, places = column.cast(pa.string()).to_pylist(), order.to_pylist()
    lost = sum(name is None or place is None or place != place for name, place in zip(series, places, strict=True))
    if lost:
        raise FormatError(
            f"{lost} rows have no {layout.sequence_column} or no {layout.order_column}; with a layout of sequences "
            "every row needs both"
        )
    return series, places


def _check_columns(rows: pa.Table, fields: Sequence[Field], objects: Mapping[str, str], layout: Layout) -> None:
    found = set(rows.column_names)
    stored = {field.name for field in fields} - objects.keys()
    missing = sorted((set(layout.columns) | stored | set(objects.values())) - found)
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
