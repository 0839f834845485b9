"""hf: `data/<split>-00000-of-0000N.parquet` with the features of Hugging Face `datasets`, and a card of the splits."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakehouse.datasets.selecting.own_fields import read_values
from lakehouse.exporting.card import put_card
from lakehouse.exporting.columns import columns_of, values_of
from lakehouse.exporting.names import file_of
from lakehouse.exporting.rows import Row, Selection
from lakehouse.exporting.shards import WITHOUT_SPLIT, write_groups, write_shards
from lakehouse.exporting.writing import Job
from lakehouse.target import Target
from loaders.format.fields import TYPES
from schemas.canonical import text_json

MEDIA = {"image": "Image", "audio": "Audio", "video": "Video"}
"""What entities are -> the feature that decodes them; its column is called as the first."""

BYTES, TYPE = "content", "media_type"
"""Columns of entities of other and of several kinds, which no feature decodes."""

TAKEN = (*MEDIA, BYTES, TYPE)

FILE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def check_hf(selection: Selection) -> None:
    """Refuse fields that are called as the format's own.

    Raises:
        ConfigError: If there is one.
    """
    columns_of(selection, beside=TAKEN)


def write_hf(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write Parquet shards and the card."""
    write_shards(job, rows, target, functools.partial(_name, job), _write)
    put_card(job, target, lambda split: f"data/{split}-?????-of-?????.parquet")


def features_of(selection: Selection, media: str) -> dict[str, Any]:
    """Return the features, by column, as `datasets` keeps them in a Parquet file.

    Args:
        selection: What is exported.
        media: As `Facts.media`.
    """
    columns: dict[str, Any] = {media: {"_type": MEDIA[media]}} if media in MEDIA else {
        BYTES: _feature(pa.binary()), TYPE: _feature(pa.string())
    }  # fmt: skip
    columns |= {name: _feature(kind) for name, kind in _columns(selection).items()}
    classes = {"names": list(selection.classes), "_type": "ClassLabel"}
    if selection.numbers_labels:
        columns["label"] = classes
    if "objects" in columns and selection.classes:
        columns["objects"]["category"] = {"feature": classes, "_type": "Sequence"}
    if "labels" in columns and selection.classes:
        columns["labels"] = {"feature": classes, "_type": "Sequence"}
    return columns


def _columns(selection: Selection) -> dict[str, pa.DataType]:
    columns = columns_of(selection, beside=TAKEN)
    # A class label is a number that knows its name.
    if columns.pop("label_index", None) is not None:
        columns["label"] = pa.int64()
    if "labels" in columns and selection.classes:
        columns["labels"] = pa.list_(pa.int64())
    return columns


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_struct(kind):
        return {each.name: _feature(each.type) for each in kind}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "Sequence"}
    names = {"double": "float64", "float": "float32", "date32[day]": "date32"}
    return {"dtype": names.get(str(kind), str(kind)), "_type": "Value"}


def _schema(job: Job) -> pa.Schema:
    media = job.facts.media
    columns = {media: FILE} if media in MEDIA else {BYTES: pa.binary(), TYPE: pa.string()}
    said = json.dumps({"info": {"features": features_of(job.selection, media)}}, ensure_ascii=False)
    return pa.schema(list((columns | _columns(job.selection)).items()), metadata={"huggingface": said})


def _write(job: Job, path: Path, shard: list[Row]) -> None:
    schema = _schema(job)
    write_groups(job, path, shard, schema, functools.partial(_table, job.selection, schema))


def _table(selection: Selection, schema: pa.Schema, group: Sequence[tuple[Row, bytes]]) -> pa.Table:
    own = read_values([text_json(dict(row.fields)) for row, _ in group], selection.fields, TYPES)
    rows = [_values(selection, schema, row, data) for row, data in group]
    columns = [
        own[name] if name in own.column_names else pa.array([row[name] for row in rows], schema.field(name).type)
        for name in schema.names
    ]
    return pa.table(columns, schema=schema)


def _values(selection: Selection, schema: pa.Schema, row: Row, data: bytes) -> dict[str, Any]:
    found = values_of(selection, row)
    if selection.numbers_labels:
        found["label"] = found.pop("label_index")
    if "labels" in found and selection.classes:
        found["labels"] = [selection.numbers[each] for each in found["labels"]]
    media = schema.names[0]
    if media in MEDIA:
        return found | {media: {"bytes": data, "path": file_of(row.entity_id, row.media_type)}}
    return found | {BYTES: data, TYPE: row.media_type}


def _name(job: Job, split: str | None, number: int) -> str:
    return f"data/{split or WITHOUT_SPLIT}-{number:05}-of-{job.facts.shards[split]:05}.parquet"
