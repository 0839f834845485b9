"""Answers as they go from one task of an import to the next: a few columns of `ITEMS`, and never a pickle.

`answer`: the fields of `answer_record` as JSON, the regions aside. `regions`: these, as silver.opinions has them.
`said`: their canonical text as they are, of which the hash of the row is made. Where columns cannot
hold a region to the letter (a whole number for a coordinate, a null that is stated), `answer` has the regions as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import pyarrow as pa

from lakehouse.opinions.ids import value_hash
from lakehouse.opinions.reading.answer import Answer, Region, answer_record, read_record
from lakehouse.opinions.reading.region_columns import REGIONS, region_column, regions_of
from schemas.canonical import Canonical, canonical_json, points_json

PACKED: dict[str, pa.DataType] = {
    "value_hash": pa.string(), "answer": pa.string(), "regions": REGIONS, "said": pa.string(),
}  # fmt: skip
"""Columns that `packed` fills."""

FLOATS = ("score", "x", "y", "w", "h", "angle", "area", "t_start", "t_end")
XY = ("x", "y")
_XY = itemgetter(*XY)


def packed(answer: Answer) -> dict[str, object]:
    """Return the columns of `PACKED` of an answer; `regions` as a tuple of `Region`."""
    record = answer_record(answer)
    if answer.value_kind not in ("regions", "spans") or not isinstance(answer.value, tuple):
        text = json.dumps(record, ensure_ascii=False)
        return {"value_hash": value_hash(answer), "answer": text, "regions": None, "said": None}
    regions = tuple(each for each in answer.value if isinstance(each, Region))
    found = [_text(each) for each in regions]
    texts = [text for text, _ in found]
    is_exact = all(exact for _, exact in found)
    record = {name: None if name == "value" and is_exact else value for name, value in record.items()}
    return {
        "value_hash": value_hash(answer),
        "answer": json.dumps(record, ensure_ascii=False),
        "regions": regions,
        "said": f"[{','.join(texts)}]",
    }


def unpacked_record(row: Mapping[str, object]) -> dict[str, object]:
    """Return the `answer_record` of an answer whose columns `packed` made; `regions` as `rows_of` gives them."""
    record: dict[str, object] = json.loads(str(row["answer"]))
    regions = row.get("regions")
    if isinstance(regions, tuple) and record.get("value", 0) is None:
        record["value"] = [each.record() for each in regions]
    return record


def unpacked(row: Mapping[str, object]) -> Answer:
    """Return the answer whose columns `packed` made; `regions` as `rows_of` gives them."""
    return read_record(unpacked_record(row))


def rows_of(
    batch: pa.RecordBatch, *, read: Callable[[Mapping[str, object]], bool] | None = None
) -> list[dict[str, Any]]:
    """Return rows with a column `regions` as mappings, their regions as tuples of `Region`.

    Args:
        batch: The rows.
        read: Of which rows the regions are wanted; the others have none in their mapping. None: of all.
    """
    rows: list[dict[str, Any]] = batch.drop_columns(["regions"]).to_pylist()
    column = batch.column("regions")
    wanted = range(len(rows)) if read is None else [place for place, row in enumerate(rows) if read(row)]
    if len(wanted) < len(rows):
        column = column.take(pa.array(wanted, pa.int64()))
    for place, regions in zip(wanted, regions_of(column), strict=True):
        rows[place]["regions"] = regions
    return rows


def batch_of(rows: Sequence[Mapping[str, object]], schema: pa.Schema) -> pa.RecordBatch:
    """Return mappings with regions as tuples of `Region` as a batch of a schema with a column `regions`."""
    place = schema.get_field_index("regions")
    # By name, the regions by themselves: from mappings Arrow would make them ten times as slowly.
    others = pa.RecordBatch.from_pylist(list(rows), schema=schema.remove(place))
    regions = region_column([found if isinstance(found := row.get("regions"), tuple) else None for row in rows])
    return others.add_column(place, schema.field(place), regions)


def _text(region: Region) -> tuple[str, bool]:
    """Return the canonical JSON of a region, and whether columns hold it to the letter."""
    record = region.record()
    exact = all(type(record.get(name, 0.0)) is float for name in FLOATS)
    points = region.points
    if not points:
        return canonical_json(record), exact
    keys = set(map(tuple, points))
    flat = list(chain.from_iterable(map(_XY, points))) if keys <= {XY, (*XY, "v")} else []
    if set(map(type, flat)) != {float}:
        return canonical_json(record), False
    if keys == {XY}:
        return canonical_json(record | {"points": Canonical(points_json(XY, flat))}), exact
    return canonical_json(record), exact and all(type(point.get("v", 0)) is int for point in points)
