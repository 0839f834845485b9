"""Write one dataset with Petastorm 0.13.1 and pyarrow 14, as Spark would. Run in Petastorm's environment:

    <python of it> -m benchmarks.petastorm.write_petastorm '{"set": "rows", "folder": "..."}'
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql.types import LongType

from benchmarks.loaders.child import RESULT
from benchmarks.loaders.places import picture_folder
from benchmarks.loaders.workloads import COLUMNS, DISTINCT_PHOTOS, WORKLOADS, Data
from benchmarks.petastorm.sets import SETS, Set
from petastorm.codecs import CompressedImageCodec, NdarrayCodec, ScalarCodec
from petastorm.unischema import Unischema, UnischemaField

_LABEL = UnischemaField("label", np.int64, (), ScalarCodec(LongType()), False)
_FIELDS = {
    "rows": UnischemaField("x", np.float32, (64,), NdarrayCodec(), False),
    "jpeg": UnischemaField("image", np.uint8, (224, 224, 3), CompressedImageCodec("jpeg", 85), False),
    "png": UnischemaField("image", np.uint8, (32, 32, 3), CompressedImageCodec("png"), False),
}


def main() -> int:
    """Write the set into its empty folder."""
    task = json.loads(sys.argv[1])
    chosen, folder = SETS[task["set"]], Path(task["folder"])
    groups = _write_table(chosen, folder) if chosen.kind == "table" else _write_rows(chosen, folder)
    sys.stdout.write(f"\n{RESULT}{json.dumps({'folder': str(folder), 'row_groups': groups})}\n")
    return 0


def _write_table(chosen: Set, folder: Path) -> int:
    array, names = Data(WORKLOADS["tabular"]).array, COLUMNS[: chosen.columns]
    assert len(array) == chosen.rows

    def rows(start: int, stop: int) -> pa.Table:
        return pa.table({name: np.ascontiguousarray(array[start:stop, at]) for at, name in enumerate(names)})

    return sum(_write_files(chosen, folder, rows).values())


def _write_rows(chosen: Set, folder: Path) -> int:
    field, value = _FIELDS[chosen.kind], _values(chosen)

    def rows(start: int, stop: int) -> pa.Table:
        encoded = [bytes(field.codec.encode(field, value(index))) for index in range(start, stop)]
        return pa.table({field.name: pa.array(encoded, pa.binary()), "label": np.arange(start, stop)})

    counts = _write_files(chosen, folder, rows)
    notes = {
        b"dataset-toolkit.unischema.v1": pickle.dumps(Unischema("Bench", [field, _LABEL])),
        b"dataset-toolkit.num_row_groups_per_file.v1": json.dumps(counts).encode(),
    }
    schema = pq.read_schema(folder / next(iter(counts)))
    pq.write_metadata(schema.with_metadata(notes), folder / "_common_metadata")
    return sum(counts.values())


def _write_files(chosen: Set, folder: Path, rows: Callable[[int, int], pa.Table]) -> dict[str, int]:
    """Return {file: row groups}."""
    counts, groups = {}, range(0, chosen.rows, chosen.group_rows)
    each = -(-len(groups) // chosen.files)
    for number in range(chosen.files):
        path = folder / f"part-{number:05d}.snappy.parquet"
        mine = groups[number * each : (number + 1) * each]
        tables = (rows(start, min(start + chosen.group_rows, chosen.rows)) for start in mine)
        first = next(tables)
        with pq.ParquetWriter(path, first.schema, compression="snappy", use_dictionary=False) as out:
            for table in (first, *tables):
                out.write_table(table, row_group_size=chosen.group_rows)
        counts[path.name] = len(mine)
    return counts


def _values(chosen: Set) -> Callable[[int], Any]:
    if chosen.kind == "rows":
        array = np.random.default_rng(20_26).standard_normal((chosen.rows, 64), dtype=np.float32)
        return lambda index: array[index]
    if chosen.kind == "png":
        paths = sorted((picture_folder().parents[1] / "cifar10" / "test").glob("*/*.jpg"))
        small = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
        return lambda index: small[index % len(small)]
    photos = Data(WORKLOADS["photos256"])

    def photo(index: int) -> Any:
        """A piece of a photo; each time it comes another one."""
        whole = cv2.imdecode(np.frombuffer(photos.photo(index % DISTINCT_PHOTOS), np.uint8), cv2.IMREAD_COLOR)
        random = np.random.default_rng((2, index))
        top, left = random.integers(whole.shape[0] - 223), random.integers(whole.shape[1] - 223)
        return cv2.cvtColor(whole[top : top + 224, left : left + 224], cv2.COLOR_BGR2RGB)

    return photo


if __name__ == "__main__":
    sys.exit(main())
