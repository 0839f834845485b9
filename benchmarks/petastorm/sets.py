"""The datasets: each written once by Petastorm 0.13.1 and once by Petrel, in `.bench/sets/petastorm-api`.

| set    | rows      | one row                                           | row group                         |
|--------|-----------|---------------------------------------------------|-----------------------------------|
| rows   | 64,000    | float32 (64,), NdarrayCodec; int64 label          | 8,000 rows, 2 MB                  |
| jpeg   | 8,000     | uint8 (224, 224, 3), CompressedImageCodec; label  | 1,000 rows, 13 MB; 150 MB decoded |
| png    | 32,000    | uint8 (32, 32, 3), CompressedImageCodec; label    | 4,000 rows, 10 MB; 12 MB decoded  |
| table  | 2,000,000 | 20 float32 columns, no codec                      | 250,000 rows, 20 MB               |
| ten    | 2,000,000 | 10 float32 columns, no codec                      | 10,000 rows, 0.4 MB               |
| one    | 100       | as `rows`                                         | all rows                          |
| thirty | 3,000     | as `rows`                                         | 100 rows                          |

The label, in tables the first column, is the number of the row: what is lost or repeated shows in its sum.
Petastorm's files are as Spark writes them in eight tasks: snappy, eight files, one row group each (none is as large as
Spark and Petastorm let one become by default), `_common_metadata` with the pickled schema and the counts of row groups;
`ten` has many small row groups, in four files. Petrel's are what `write_dataset` writes: uncompressed, in row groups of
8 MB.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.loaders.children import run_child
from benchmarks.loaders.places import cache_folder
from benchmarks.loaders.workloads import WORKLOADS, make_data

LAYOUTS = ("petastorm", "petrel")
"""Who wrote the files."""

_VERSION = 2


@dataclass(frozen=True, slots=True)
class Set:
    """One dataset.

    Attributes:
        name: Its folder.
        kind: `rows`, `jpeg`, `png` or `table`.
        rows: How many.
        group_rows: Rows of a row group in Petastorm's files.
        files: Files that Petastorm's rows are cut into.
        columns: Columns of a table.
    """

    name: str
    kind: str
    rows: int
    group_rows: int
    files: int = 8
    columns: int = 0


SETS = {
    each.name: each
    for each in (
        Set("rows", "rows", 64_000, 8_000),
        Set("jpeg", "jpeg", 8_000, 1_000),
        Set("png", "png", 32_000, 4_000),
        Set("table", "table", 2_000_000, 250_000, columns=20),
        Set("ten", "table", 2_000_000, 10_000, files=4, columns=10),
        Set("one", "rows", 100, 100, files=1),
        Set("thirty", "rows", 3_000, 100, files=4),
    )
}


def written(name: str, layout: str) -> dict[str, Any]:
    """Have a set written by `layout`, once; return its `folder`, `bytes`, and `row_groups`.

    Raises:
        ChildError: If it cannot be written.
    """
    place = cache_folder() / "sets" / "petastorm-api" / f"{name}-v{_VERSION}" / layout
    note_path = place.with_suffix(".json")
    if note_path.exists():
        note: dict[str, Any] = json.loads(note_path.read_text())
        return note
    source = written(name, "petastorm")["folder"] if layout == "petrel" else ""
    if not source and (needed := {"jpeg": "photos256", "table": "tabular"}.get(SETS[name].kind)):
        make_data(WORKLOADS[needed])
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    task = {"peer": layout, "set": name, "folder": str(place), "source": source}
    made = run_child(task, module=f"benchmarks.petastorm.write_{layout}", patience_s=900)
    folder = Path(made["folder"])
    note = {**made, "bytes": sum(path.stat().st_size for path in folder.rglob("*.parquet"))}
    note_path.write_text(json.dumps(note))
    return note
