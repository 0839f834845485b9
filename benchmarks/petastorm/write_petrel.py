"""Write one dataset with Petrel: the rows of Petastorm's files, uncompressed, in row groups of Petrel's size.

    python -m benchmarks.petastorm.write_petrel '{"set": "rows", "folder": "...", "source": "<Petastorm's folder>"}'
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.loaders.child import RESULT
from benchmarks.petastorm.sets import SETS
from loaders import Field, write_dataset

_LABEL = Field("label", pa.int64())
_FIELDS = {
    "rows": Field("x", pa.binary(), codec="npy", shape=(64,), dtype="float32"),
    "jpeg": Field("image", pa.binary(), codec="image", shape=(224, 224, 3)),
    "png": Field("image", pa.binary(), codec="image", shape=(32, 32, 3)),
}


def main() -> int:
    """Write the set."""
    task = json.loads(sys.argv[1])
    kind = SETS[task["set"]].kind
    files = sorted(Path(task["source"]).glob("part-*.parquet"))
    rows = pa.concat_tables(pq.read_table(path) for path in files)
    fields = [Field(name, pa.float32()) for name in rows.column_names] if kind == "table" else [_FIELDS[kind], _LABEL]
    rows = rows.append_column("entity_id", pa.array([f"{index:07d}" for index in range(len(rows))]))
    write_dataset(rows, fields, Path(task["folder"]) / "set", seed=7)
    train = Path(task["folder"]) / "set" / "train"
    groups = sum(pq.ParquetFile(path).num_row_groups for path in train.glob("part-*.parquet"))
    sys.stdout.write(f"\n{RESULT}{json.dumps({'folder': str(train), 'row_groups': groups})}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
