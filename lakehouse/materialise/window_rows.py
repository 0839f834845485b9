"""Windows as rows of entities: what is stored of a window is each of its entities, one after the other."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.derived.places import PLACE, REFERENCED
from lakehouse.lake import Lake
from lakehouse.query import query
from loaders.publishing.planning import Layout

PARENTS = f"""
select e.entity_id, {PLACE} as place, e.media_type, e.size_bytes
from (select distinct entity_id from member_entities where dataset_id = $id) m
join silver.entities e on e.entity_id = m.entity_id
{REFERENCED}
"""

OF_ENTITY = ("place", "media_type", "size_bytes")


def window_rows(lake: Lake, members: pa.Table, dataset_id: str) -> pa.Table:
    """Return one row for each entity of each window: columns of `read_members`, and window_id, position and row_id.

    Args:
        lake: The lake.
        members: From `lakehouse.datasets.versions.find.read_members`.
        dataset_id: The version.
    """
    members = members.combine_chunks()
    parents = members["parent_ids"].combine_chunks()
    at = pc.list_parent_indices(parents)
    rows = members.take(at)
    ids = parents.flatten()
    known = lake.engine.arrow(query(lake, PARENTS, params={"id": dataset_id})).combine_chunks()
    found = known.take(pc.index_in(ids, known["entity_id"].combine_chunks()))
    sizes = parents.value_lengths().to_pylist()
    positions = pa.array([place for size in sizes for place in range(size)], pa.int64())
    windows = rows["entity_id"]
    columns = {name: rows[name] for name in rows.column_names} | {name: found[name] for name in OF_ENTITY}
    columns |= {
        "entity_id": ids,
        "source_id": ids,
        "operation": pa.nulls(rows.num_rows, pa.string()),
        "window_id": windows,
        "position": positions,
        "row_id": pc.binary_join_element_wise(windows, positions.cast(pa.string()), "-"),
        "fields_json": _each(members["fields_json"], sizes),
    }
    if members["answer_json"].null_count < members.num_rows:
        labels = [label for text in members["answer_json"].to_pylist() for label in json.loads(text)]
        columns["label"] = pa.array(labels, pa.string())
    return pa.table(columns)


def layout_of_windows(layout: Layout) -> Layout:
    """Return a layout that keeps the rows of each window together."""
    return replace(layout, id_column="row_id", sequence_column="window_id", order_column="position")


def _each(texts: pa.ChunkedArray, sizes: list[int]) -> pa.Array:
    """Return the fields of each entity, from those of each window."""
    found: list[str | None] = []
    for text, size in zip(texts.to_pylist(), sizes, strict=True):
        found += [None] * size if text is None else [json.dumps(each) for each in json.loads(text)]
    return pa.array(found, pa.string())
