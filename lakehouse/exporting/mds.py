"""mds: `<split>/shard.00000.mds` and `<split>/index.json`, version 2, as MosaicML Streaming reads them.

A shard: number of samples; where each begins, and the last one ends; its configuration as JSON; the samples. A sample:
the sizes of its values whose encoding has no size of its own, then the values, columns by name. Numbers are uint32,
little endian.
"""

from __future__ import annotations

import itertools
import json
import struct
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.errors import ConfigError
from lakehouse.exporting.columns import columns_of, values_of
from lakehouse.exporting.facts import Facts
from lakehouse.exporting.rows import Row, Selection
from lakehouse.exporting.shards import Written, write_shards
from lakehouse.exporting.writing import Job, sized, with_bytes
from lakehouse.target import Target

VERSION = 2
MOST_BYTES = 2 << 30
"""Of entities in a shard: places in it are 32 bits."""

MEDIA = ("image", "audio", "video")
BYTES, TYPE = "content", "media_type"
TAKEN = (*MEDIA, BYTES, TYPE)

SIZES: Mapping[str, int | None] = {"int": 8, "float64": 8}
"""Of encodings whose values have one."""

ENCODE: Mapping[str, Callable[[Any], bytes]] = {
    "str": str.encode,
    "int": struct.Struct("<q").pack,
    "float64": struct.Struct("<d").pack,
    "json": lambda value: json.dumps(value, ensure_ascii=False).encode(),
}


def check_mds(selection: Selection) -> None:
    """Refuse fields that are called as the format's own.

    Raises:
        ConfigError: If there is one.
    """
    columns_of(selection, beside=TAKEN)


def write_mds(job: Job, rows: Iterable[Row], target: Target) -> None:
    """Write shards, and for each split the index of them."""
    written = write_shards(job, rows, target, _name, _write)
    for split, shards in itertools.groupby(written, key=lambda each: each.split):
        _put_index(job, target, "/".join(each for each in (split, "index.json") if each), list(shards))


def encodings_of(selection: Selection, facts: Facts) -> dict[str, str]:
    """Return column -> encoding, columns by name.

    A column with a missing value somewhere is `json`, as are booleans and what is nested: no other encoding has null.
    Times are text.
    """
    types = set(facts.media_types)
    media = facts.media if facts.media in MEDIA else BYTES
    pictures = {"image/jpeg": "jpeg", "image/png": "png"}
    found = {media: pictures.get(next(iter(types)), "bytes") if len(types) == 1 else "bytes", TYPE: "str"}
    for name, kind in columns_of(selection, beside=TAKEN).items():
        is_missing = ("label" if name == "label_index" else name) in facts.missing
        found[name] = "json" if is_missing else _encoding(kind)
    return dict(sorted(found.items()))


def _encoding(kind: pa.DataType) -> str:
    if pa.types.is_string(kind) or pa.types.is_temporal(kind):
        return "str"
    if pa.types.is_integer(kind):
        # The upper half of uint64 is no int64.
        return "json" if pa.types.is_uint64(kind) else "int"
    return "float64" if pa.types.is_floating(kind) else "json"


def _name(split: str | None, number: int) -> str:
    return "/".join(each for each in (split, f"shard.{number:05}.mds") if each)


def _config(encodings: Mapping[str, str], size_limit: int) -> dict[str, object]:
    return {
        "column_encodings": list(encodings.values()), "column_names": list(encodings),
        "column_sizes": [SIZES.get(each) for each in encodings.values()], "compression": None, "format": "mds",
        "hashes": [], "size_limit": size_limit, "version": VERSION,
    }  # fmt: skip


def _write(job: Job, path: Path, shard: list[Row]) -> None:
    # What is said of a row is small, and made twice: once for its size, so that no picture is held.
    encodings = encodings_of(job.selection, job.facts)
    config = json.dumps(_config(encodings, job.shard_bytes), sort_keys=True).encode()
    shard = list(sized(job, shard))
    sizes = [_size(_values(job, row, encodings, b""), encodings) + row.size_bytes for row in shard]
    begin = 4 + 4 * (len(shard) + 1) + len(config)
    places = np.cumsum([begin, *sizes], dtype=np.int64)
    if places[-1] >= 1 << 32:
        raise ConfigError(f"mds: a shard of {places[-1]:,} bytes, where 2**32 are the most; give a smaller --shard-mb")
    with path.open("wb") as file:
        file.write(struct.pack("<I", len(shard)) + places.astype("<u4").tobytes() + config)
        for row, data in with_bytes(job, shard):
            values = _values(job, row, encodings, data)
            varying = [len(value) for name, value in values.items() if encodings[name] not in SIZES]
            file.write(np.array(varying, "<u4").tobytes() + b"".join(values.values()))


def _values(job: Job, row: Row, encodings: Mapping[str, str], data: bytes) -> dict[str, bytes]:
    said = values_of(job.selection, row) | {TYPE: row.media_type}
    # What is no column is the bytes: `image`, `audio`, `video` or `content`.
    return {name: ENCODE[each](said[name]) if name in said else data for name, each in encodings.items()}


def _size(values: Mapping[str, bytes], encodings: Mapping[str, str]) -> int:
    return sum(len(value) + (0 if encodings[name] in SIZES else 4) for name, value in values.items())


def _put_index(job: Job, target: Target, name: str, shards: list[Written]) -> None:
    config = _config(encodings_of(job.selection, job.facts), job.shard_bytes)
    entries = [
        {
            **config, "raw_data": {"basename": each.name.rpartition("/")[2], "bytes": each.size_bytes, "hashes": {}},
            "samples": each.rows, "zip_data": None,
        } for each in shards
    ]  # fmt: skip
    path = job.scratch / f"{uuid.uuid4().hex}.json"
    try:
        path.write_text(json.dumps({"shards": entries, "version": VERSION}, sort_keys=True), encoding="utf-8")
        if not target.has(name, path.stat().st_size):
            target.put(name, path)
    finally:
        path.unlink(missing_ok=True)
