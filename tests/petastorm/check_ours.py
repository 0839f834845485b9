"""Write datasets with Petrel, read them with the real Petastorm and with ours, and keep the pickles that were read.

    .venv/bin/python -m tests.petastorm.check_ours .bench/environments/petastorm/bin/python

Rows must be equal in values and types, and so must what predicates and selectors choose by our indexes. The pickles of
which this is true lie in `data/verified/`; a test pins that the same ones are written, where there is no Petastorm.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from loaders import write_dataset
from loaders.petastorm import make_batch_reader, make_reader
from loaders.petastorm.etl.dataset_metadata import UNISCHEMA_KEY
from loaders.petastorm.etl.local_writer import write_rows
from loaders.petastorm.etl.rowgroup_indexers import FieldNotNullIndexer, SingleFieldIndexer
from loaders.petastorm.etl.rowgroup_indexing import ROWGROUPS_INDEX_KEY, build_rowgroup_index
from tests.petastorm import every_codec, read_with_petastorm, test_published

VERIFIED = Path(__file__).resolve().parent / "data" / "verified"
ROWS = 9

CHOOSE = """
import json, sys, warnings
warnings.simplefilter("ignore")
from petastorm import make_reader
from petastorm.selectors import SingleIndexSelector
found = []
for index, value in (("by_id", 4), ("by_text", "é7"), ("maybe_there", None)):
    with make_reader(sys.argv[1], schema_fields=["id"], reader_pool_type="dummy", shuffle_row_groups=False,
                     rowgroup_selector=SingleIndexSelector(index, [value])) as reader:
        found.append([int(row.id) for row in reader])
print(json.dumps(found), file=sys.stderr)
"""


def write(folder: Path) -> dict[str, Path]:
    """Write what is checked, {name: folder of the dataset}."""
    write_rows(
        f"file://{folder}/every_codec", every_codec.SCHEMA, map(every_codec.row, range(ROWS)), rows_per_row_group=3
    )
    indexers = [
        SingleFieldIndexer("by_id", "id"),
        SingleFieldIndexer("by_text", "text"),
        FieldNotNullIndexer("maybe_there", "maybe_number"),
    ]
    build_rowgroup_index(f"file://{folder}/every_codec", None, indexers)
    write_dataset([test_published.stored(i) for i in range(5)], test_published.FIELDS, folder / "published")
    return {"every_codec": folder / "every_codec", "published": folder / "published" / "train"}


def pickles(datasets: dict[str, Path]) -> dict[str, bytes]:
    """Return the pickles in their `_common_metadata`, by the names of the files that keep them."""
    found = {}
    for name, place in datasets.items():
        metadata = pq.read_schema(place / "_common_metadata").metadata
        found[f"{name}.unischema.pickle"] = metadata[UNISCHEMA_KEY]
        if ROWGROUPS_INDEX_KEY in metadata:
            found[f"{name}.indexes.pickle"] = metadata[ROWGROUPS_INDEX_KEY]
    return found


def main(python: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        datasets = write(Path(folder))
        wrong = [
            name for name, place in datasets.items() for batch in (False, True) if not _equal(python, place, batch)
        ]
        done = subprocess.run(
            [python, "-c", CHOOSE, f"file://{datasets['every_codec']}"], capture_output=True, text=True, check=False
        )
        chosen = done.stderr.strip().splitlines()[-1]
        if json.loads(chosen) != [[3, 4, 5], [6, 7, 8], list(range(ROWS))]:
            wrong.append(f"indexes: {done.stderr[-2000:]}")
        if not wrong:
            VERIFIED.mkdir(exist_ok=True)
            for name, raw in pickles(datasets).items():
                (VERIFIED / name).write_bytes(raw)
    print("\n".join(wrong) or f"all is read by both; the pickles are in {VERIFIED}")  # noqa: T201
    return len(wrong)


def _equal(python: str, place: Path, batch: bool) -> bool:
    """Whether both read the same from a dataset; prints the first difference."""
    fields = ["(?!ids$).*"] if batch else [".*"]  # lists of several lengths, on which the real one fails
    command = [python, str(Path(read_with_petastorm.__file__)), f"file://{place}", "--fields", *fields]
    command += ["--batch"] if batch else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-3000:])  # noqa: T201
        return False
    real = json.loads(done.stdout)["rows"]
    make: Any = make_batch_reader if batch else make_reader
    with make(f"file://{place}", fields, shuffle_row_groups=False, reader_pool_type="dummy") as reader:
        ours = json.loads(json.dumps([read_with_petastorm.described_row(row) for row in reader]))
    for one, other in zip(real, ours, strict=False):
        for name in one.keys() | other.keys():
            if one.get(name) != other.get(name) and not _intended(name, one.get(name), other.get(name), batch):
                print(f"{place.name} {name}: real {str(one.get(name))[:200]} ours {str(other.get(name))[:200]}")  # noqa: T201
                return False
    return len(real) == len(ours)


def _intended(name: str, real: Any, ours: Any, batch: bool) -> bool:
    """Whether ours keeps nulls of text, or reads a column, in batches where the real one does not."""
    if not batch:
        return False
    return real is None or (real[1] == "str" and "None" in str(real) and ours[1] == "object")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
