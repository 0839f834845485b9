"""The rows of a workload as Arrow tables for Lance and HF datasets, and back to numpy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.loaders.workloads import COLUMNS, Data, Workload

_CHUNK_BYTES = 256 << 20


def tables(data: Data) -> Iterator[pa.Table]:
    """Return the rows in order of id, 256 MiB at a time: `image` and `id`; `x` as fixed-size list; or 20 columns."""
    work = data.workload
    step = max(1, _CHUNK_BYTES * work.rows // data.source_bytes)
    for start in range(0, work.rows, step):
        stop = min(start + step, work.rows)
        if work.kind == "photos":
            photos = [data.photo(index) for index in range(start, stop)]
            yield pa.table({"image": pa.array(photos, pa.binary()), "id": np.arange(start, stop)})
        elif work.kind == "table":
            rows = data.array[start:stop]
            yield pa.table({name: np.ascontiguousarray(rows[:, index]) for index, name in enumerate(COLUMNS)})
        else:
            flat = pa.array(np.array(data.array[start:stop]).reshape(-1))
            width = data.array[0].size
            yield pa.table({"x": pa.FixedSizeListArray.from_arrays(flat, width)})


def rows_of(batch: pa.RecordBatch | pa.Table, workload: Workload) -> np.ndarray[Any, Any]:
    """Return the values of a `tensors` or `table` batch without a copy per row; shape (rows, *shape)."""
    if workload.kind == "table":
        return np.stack([batch.column(name).to_numpy() for name in COLUMNS], axis=1)
    column = batch.column("x")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
    values: np.ndarray[Any, Any] = column.flatten().to_numpy(zero_copy_only=True)
    return values.reshape(len(batch), *workload.shape)
