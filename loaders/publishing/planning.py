"""Plan a dataset from small rows: which row goes into which file, before a byte is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as with_default
from functools import cached_property
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.errors import FormatError
from loaders.format.digest import row_hashes
from loaders.format.fields import Field, check_fields
from loaders.format.manifest import SPLIT_NAME, PartReceipt
from loaders.format.parts import PART_BYTES, ROW_GROUP_BYTES, PartPlan, plan_parts
from loaders.publishing.keeping import Kept, KeptPart, choose_parts, strata_of
from loaders.publishing.part_task import TASK_SCHEMA, PartTask, Taken
from schemas.canonical import bucket, content_id
from schemas.digest import digest_of

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


@dataclass(frozen=True)
class DatasetPlan:
    """Every part of a dataset version, before a byte of it is read.

    Attributes:
        dataset_id: Id of the dataset version, "" if it comes from no lake.
        seed: Seed of the row order.
        fields: The columns to store.
        tasks: One for each part, by split and number.
        order_by: Sequence and order column of the layout; () without sequences.
        samples_id: 64 hex digits that name rows, values, splits and the settings of the layout: equal for a version
            that is written afresh and one that takes parts over.
        strata: {split: parts of each stratum, in order}; nothing of splits with a single one.
        rewritten: {why: published parts that are not taken over}; {} where nothing was offered.
    """

    dataset_id: str
    seed: int
    fields: tuple[Field, ...]
    tasks: tuple[PartTask, ...]
    order_by: tuple[str, ...] = ()
    samples_id: str = ""
    strata: Mapping[str, tuple[int, ...]] = with_default(default_factory=dict)
    rewritten: Mapping[str, int] = with_default(default_factory=dict)

    @cached_property
    def plan_id(self) -> str:
        """64 hex digits that name rows, order, layout and columns; known before anything is written."""
        strata = [{split: list(counts) for split, counts in self.strata.items()}] if self.strata else []
        tasks = [[task.name, task.key] for task in self.tasks]
        return content_id([self.dataset_id, self.seed, tasks, *strata], digits=64)

    @property
    def rows(self) -> int:
        """Rows of all parts together."""
        return sum(sum(task.part.row_groups) for task in self.tasks)

    @property
    def taken(self) -> tuple[PartReceipt, ...]:
        """The parts that are taken over."""
        return tuple(task.taken.receipt for task in self.tasks if task.taken is not None)

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
    published: Sequence[KeptPart] = (),
) -> DatasetPlan:
    """Decide which row goes where. Pure: the order of `rows` and the engine they came from change nothing.

    Rows of a split stand in the order of `petrel_bucket(id, seed)`, ties by id. With sequences it is their id that
    counts, and rows of one stand by `order_column`, ties by id. Where parts of another version are offered, those that
    hold only such rows come first, as they are, and all other rows after them.

    Args:
        rows: One row for each sample, small: the stored columns, the id, the split, and the URIs of objects.
        fields: The columns to store; each is a column of `rows` of that type, or is in `objects`.
        seed: Seed of the row order.
        dataset_id: Id of the dataset version.
        objects: {field: column of `rows` with the URI of its bytes}; a null URI becomes a null value.
        layout: Names of the columns that place a row, and the sizes of files.
        published: From `read_parts`: parts of a version with the same columns, to be taken over. The id of a row then
            names the bytes of its objects too.

    Raises:
        FormatError: If a column is missing or of another type, an id appears twice, a split name is not allowed,
            a row lacks its sequence or its place in it, or parts are offered to a layout of sequences.
    """
    fields, objects, layout = check_fields(fields), dict(objects or {}), layout or Layout()
    if published and layout.order_by:
        raise FormatError("a layout of sequences takes no parts over: rows of one sequence stand together")
    _check_columns(rows, fields, objects, layout)
    ids: list[str] = rows.column(layout.id_column).cast(pa.string()).to_pylist()
    splits: list[str] = rows.column(layout.split_column).cast(pa.string()).to_pylist()
    if len(set(ids)) != len(ids) or None in ids:
        raise FormatError(f"column {layout.id_column}: every row needs an id of its own")
    sizes = np.full(len(ids), _ROW_BYTES, dtype=np.int64)
    if layout.size_column:
        weights: pa.ChunkedArray = rows.column(layout.size_column).cast(pa.int64())
        sizes += np.asarray(weights.fill_null(0), dtype=np.int64)
    stored = [field for field in fields if field.name not in objects]
    kept = Kept((), (), {})
    if published:
        kept = choose_parts(published, rows, stored, id_column=layout.id_column, split_column=layout.split_column)
    is_kept = np.zeros(len(ids), dtype=bool)
    is_kept[np.concatenate([np.zeros(0, dtype=np.int64), *kept.places])] = True
    # Without sequences every row is one of its own.
    series, places_in = _sequences(rows, layout) if layout.order_by else (ids, ids)
    keys = {name: bucket(name, seed) for name in set(series)}
    order = sorted(
        np.flatnonzero(~is_kept).tolist(),
        key=lambda row: (splits[row], keys[series[row]], series[row], places_in[row], ids[row]),
    )
    names = {field.name for field in fields} | set(objects.values())
    data = rows.select([name for name in rows.column_names if name in names]).combine_chunks()
    hashes = _hashes(fields, objects, data)
    tasks: list[PartTask] = []
    strata: dict[str, tuple[int, ...]] = {}
    for split in sorted(set(splits)):
        parts = [part for part in kept.parts if part.split == split]
        tasks += _taken_tasks(parts, fields, objects, data.slice(0, 0))
        places = [row for row in order if splits[row] == split]
        runs = groupby(series[row] for row in places)
        together = [len(list(run)) for _, run in runs] if layout.order_by else None
        plans = plan_parts(
            sizes[places], row_group_bytes=layout.row_group_bytes, part_bytes=layout.part_bytes, together=together
        )
        done = sum(part.receipt.rows for part in parts)
        for plan in plans:
            own = places[plan.start : plan.stop]
            part = replace(plan, index=len(parts) + plan.index, start=done + plan.start, stop=done + plan.stop)
            key = _task_key(split, part, fields, objects, [hashes[row] for row in own])
            tasks.append(PartTask(split, part, fields, objects, data.take(pa.array(own, pa.int64())), key))
        if counts := strata_of(parts, len(plans)):
            strata[split] = counts
    digests = {
        split: str(digest_of([found for found, here in zip(hashes, splits, strict=True) if here == split]))
        for split in sorted(set(splits))
    }
    settings = [seed, layout.row_group_bytes, layout.part_bytes, list(layout.order_by)]
    schema = [field.to_json() for field in fields]
    samples_id = content_id([dataset_id, settings, schema, objects, digests], digits=64)
    return DatasetPlan(
        dataset_id, seed, fields, tuple(tasks), layout.order_by, samples_id, strata, kept.rewritten
    )  # fmt: skip


def _taken_tasks(
    parts: Sequence[KeptPart], fields: tuple[Field, ...], objects: Mapping[str, str], none: pa.Table
) -> Iterator[PartTask]:
    """Yield the tasks of the parts of a split that are taken over; `none` has their columns and no rows."""
    done = 0
    for index, part in enumerate(parts):
        plan = PartPlan(index, done, done + part.receipt.rows, part.receipt.row_groups)
        key = content_id([part.split, plan.start, "taken", part.receipt.sha256], digits=64)
        yield PartTask(part.split, plan, fields, objects, none, key, Taken(part.place, part.receipt))
        done = plan.stop


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


def _hashes(fields: tuple[Field, ...], objects: Mapping[str, str], rows: pa.Table) -> list[bytes]:
    """Return the hash of each row as it is planned: its stored values and the places of its objects."""
    uris = _uris(fields, objects)
    stored = [field for field in fields if field.name not in objects]
    carried = stored + [Field(f"uri_{at}", pa.string(), nullable=True) for at in range(len(uris))]
    data = rows.select([field.name for field in stored] + uris).rename_columns([field.name for field in carried])
    return row_hashes(data, carried) if carried else []


def _uris(fields: tuple[Field, ...], objects: Mapping[str, str]) -> list[str]:
    return sorted(set(objects.values()) - {field.name for field in fields})


def _task_key(
    split: str, part: PartPlan, fields: tuple[Field, ...], objects: Mapping[str, str], hashes: Sequence[bytes]
) -> str:
    schema = [field.to_json() for field in fields]
    return content_id(
        [split, part.start, list(part.row_groups), schema, dict(objects), _uris(fields, objects),
         b"".join(hashes).hex()], digits=64
    )  # fmt: skip
