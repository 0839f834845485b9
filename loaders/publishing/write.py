"""Write rows that are in memory as a published dataset: plan, parts and publish in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from loaders.errors import FormatError
from loaders.format.fields import Field, arrow_schema, check_fields
from loaders.publishing.drafts import draft_at
from loaders.publishing.planning import Layout, plan_dataset
from loaders.publishing.publish import Published, find_published, publish
from loaders.publishing.tasks import ReadObject, run_task


def write_dataset(
    rows: pa.Table | Sequence[Mapping[str, object]],
    fields: Sequence[Field],
    folder: str | Path,
    *,
    seed: int = 0,
    dataset_id: str = "",
    layout: Layout | None = None,
    objects: Mapping[str, str] | None = None,
    read_object: ReadObject | None = None,
) -> Published:
    """Publish rows as `<folder>/<split>/part-*.parquet`; the second call with the same rows writes nothing.

    Args:
        rows: A table, or dicts, with the stored columns and those that `layout` names. Without a split column,
            all rows are in the split `train`; without a size column, encoded bytes decide where files end.
        fields: The columns to store.
        folder: Final folder, a path or a URL in a bucket; beside a local one `<folder>.staging` is used while writing.
        seed: Seed of the order of rows in the files.
        dataset_id: Id of the dataset version, "" for none.
        layout: Names of the columns that place a row, and the sizes of files.
        objects: {field: column with the URI of its bytes}, read by `read_object`.
        read_object: Returns the bytes behind a URI.

    Raises:
        AlreadyPublishedError: If the folder holds other content.
        FormatError: If columns, types or values are not as declared.
    """
    fields, layout = check_fields(fields), layout or Layout()
    data = rows if isinstance(rows, pa.Table) else _table(rows, fields, layout, objects or {})
    if layout.split_column not in data.column_names:
        data = data.append_column(layout.split_column, pa.array(["train"] * data.num_rows, pa.string()))
    if layout.size_column and layout.size_column not in data.column_names:
        sizes = pa.array(_encoded_bytes(data, fields), pa.int64())
        data = data.append_column(layout.size_column, sizes)
    plan = plan_dataset(data, fields, seed=seed, dataset_id=dataset_id, objects=objects, layout=layout)
    draft = draft_at(folder)
    found = find_published(draft, plan)
    if found is not None:
        return found
    receipts = {task.name: run_task(task, staging=draft, read_object=read_object) for task in plan.tasks}
    return publish(plan, receipts, staging=draft)


def _table(
    rows: Sequence[Mapping[str, object]], fields: Sequence[Field], layout: Layout, objects: Mapping[str, str]
) -> pa.Table:
    if not rows:
        raise FormatError("no rows; a dataset needs at least one")
    kinds: dict[str, pa.DataType] = {layout.id_column: pa.string(), layout.split_column: pa.string()}
    kinds |= {column: pa.string() for column in objects.values()}
    if layout.size_column:
        kinds[layout.size_column] = pa.int64()
    kinds |= {name: kind for name, kind in zip(arrow_schema(fields).names, arrow_schema(fields).types, strict=True)}
    kinds = {name: kind for name, kind in kinds.items() if any(name in row for row in rows)}
    try:
        return pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in kinds.items()})
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise FormatError(f"the rows do not fit the fields: {error}") from error


def _encoded_bytes(data: pa.Table, fields: Sequence[Field]) -> list[int]:
    heavy = [data.column(field.name).to_pylist() for field in fields
             if pa.types.is_binary(field.type) and field.name in data.column_names]  # fmt: skip
    if not heavy:
        return [data.nbytes // max(1, data.num_rows)] * data.num_rows
    return [sum(len(value) for value in values if value is not None) for values in zip(*heavy, strict=True)]
