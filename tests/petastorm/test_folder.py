"""Any folder of Parquet files opens as it is, and each of its row groups is read as it was written."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.errors import CorruptionError, FormatError, StorageError
from loaders.rowgroups.folder import Piece, open_folder

COUNTS = b"dataset-toolkit.num_row_groups_per_file.v1"


def write(path, rows=6, row_group_size=2, **columns):
    """Write a small file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns or {"id": list(range(rows)), "name": [f"n{i}" for i in range(rows)]})
    pq.write_table(table, path, row_group_size=row_group_size)
    return path


def counted(folder, counts):
    """Write the metadata of Petastorm, without its schema."""
    schema = pq.read_schema(next(folder.glob("**/*.parquet"))).with_metadata({COUNTS: json.dumps(counts).encode()})
    pq.write_metadata(schema, folder / "_common_metadata")


def test_row_groups_are_numbered_by_path_and_place(tmp_path):
    write(tmp_path / "b.parquet", 3)
    write(tmp_path / "a.parquet", 5)
    folder = open_folder(tmp_path)
    assert folder.pieces == tuple(
        Piece(at, *place, {})
        for at, place in enumerate([("a.parquet", 0), ("a.parquet", 1), ("a.parquet", 2), ("b.parquet", 0),
                                    ("b.parquet", 1)])
    )  # fmt: skip
    assert [folder.rows(piece) for piece in folder.pieces] == [2, 2, 1, 2, 1]
    read = folder.read(folder.pieces[2], ["name", "id"])
    assert read.to_pydict() == {"name": ["n4"], "id": [4]}


def test_counts_of_petastorm_are_believed_without_a_look_at_the_files(tmp_path):
    write(tmp_path / "a.parquet", 4)
    counted(tmp_path, {"a.parquet": 2})
    (tmp_path / "a.parquet").write_bytes(b"no Parquet, but long enough")
    folder = open_folder(tmp_path)
    assert [piece.row_group for piece in folder.pieces] == [0, 1]
    with pytest.raises(CorruptionError, match="a.parquet is no Parquet file"):
        folder.rows(folder.pieces[0])


def test_appended_files_are_read_and_missing_ones_are_named(tmp_path):
    write(tmp_path / "a.parquet", 4)
    counted(tmp_path, {"a.parquet": 2})
    write(tmp_path / "b.parquet", 2)
    assert [piece.file for piece in open_folder(tmp_path).pieces] == ["a.parquet", "a.parquet", "b.parquet"]
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(CorruptionError, match="a.parquet is counted in _common_metadata but is missing"):
        open_folder(tmp_path)


def test_partitions_come_first_and_are_typed(tmp_path):
    for year, city in [("2023", "Oslo"), ("2024", "A%3AB"), ("2024", "__HIVE_DEFAULT_PARTITION__")]:
        write(tmp_path / f"year={year}" / f"city={city}" / "x.parquet", 2)
    folder = open_folder(tmp_path)
    assert folder.schema == pa.schema({"year": pa.int64(), "city": pa.string(), "id": pa.int64(), "name": pa.string()})
    read = [folder.read(piece, ["city", "id", "year"]).to_pydict() for piece in folder.pieces]
    assert read == [
        {"city": ["Oslo"] * 2, "id": [0, 1], "year": [2023] * 2},
        {"city": ["A:B"] * 2, "id": [0, 1], "year": [2024] * 2},
        {"city": [None] * 2, "id": [0, 1], "year": [2024] * 2},
    ]


def test_a_delta_table_is_refused_with_the_way_to_do_it(tmp_path):
    write(tmp_path / "a.parquet")
    (tmp_path / "_delta_log").mkdir()
    with pytest.raises(FormatError, match=r"is a Delta table.*DeltaTable\(.*\)\.file_uris\(\)"):
        open_folder(tmp_path)


def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StorageError, match="^Passed non-file path: .*nothing"):
        open_folder(tmp_path / "nothing")
    with pytest.raises(ValueError, match="^dataset url list must be non-empty."):
        open_folder([])
