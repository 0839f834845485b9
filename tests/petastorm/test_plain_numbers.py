"""Plain numbers are copied page by page, and are what pyarrow makes of them, damaged files included."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.errors import CorruptionError
from loaders.petastorm.rowgroups import folder as folders
from loaders.petastorm.rowgroups.folder import open_folder

KINDS = [pa.int32(), pa.int64(), pa.float32(), pa.float64()]


def numbers(rows, *, nullable=True):
    random = np.random.default_rng(rows)
    fields = [pa.field(str(kind), kind, nullable=nullable) for kind in KINDS]
    columns = [pa.array(random.integers(-99, 99, rows)).cast(kind) for kind in KINDS]
    return pa.table(columns, schema=pa.schema(fields))


def written(path, table, **settings):
    pq.write_table(table, path, **{"use_dictionary": False, **settings})
    return path


def read(path):
    with open_folder(path) as folder:
        return pa.concat_tables(folder.read(piece, folder.schema.names) for piece in folder.pieces)


@pytest.fixture
def short_way(monkeypatch):
    """Fail where pyarrow is asked."""

    def never(*_, **__):
        raise AssertionError("read by pyarrow")

    monkeypatch.setattr(folders, "decode", never)


@pytest.mark.parametrize("compression", ["snappy", "none"])
@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize(
    "settings",
    [{}, {"data_page_size": 1000}, {"row_group_size": 300}, {"write_page_checksum": True}],
    ids=["one page", "pages", "row groups", "checksums"],
)
def test_plain_numbers_are_read_in_the_short_way(tmp_path, short_way, compression, nullable, settings):
    table = numbers(70_000 if "data_page_size" in settings else 1_000, nullable=nullable)
    found = read(written(tmp_path / "a.parquet", table, compression=compression, **settings))
    assert found.equals(table.cast(found.schema))
    assert all(column.chunk(0).buffers()[1].is_mutable for column in found.columns)


@pytest.mark.parametrize(
    "settings",
    [{"use_dictionary": True}, {"data_page_version": "2.0"}, {"compression": "zstd"}, {"write_statistics": False},
     {"use_byte_stream_split": ["float", "double"]}],
    ids=str,
)  # fmt: skip
def test_numbers_stored_otherwise_are_read_by_pyarrow(tmp_path, settings):
    table = numbers(1_000)
    assert read(written(tmp_path / "a.parquet", table, **settings)).equals(table)


def test_nulls_stay_nulls_and_other_types_lie_between(tmp_path):
    table = pa.table(
        {"a": pa.array([1, 2, 3]), "b": pa.array([1, None, 3]), "c": ["x", "y", "z"], "d": pa.array([1, 2, 3], "u4")}
    )
    assert read(written(tmp_path / "a.parquet", table)).equals(table)


@pytest.mark.parametrize("checksums", [True, False])
def test_a_damaged_byte_gives_what_pyarrow_gives(tmp_path, checksums, monkeypatch):
    path = written(tmp_path / "a.parquet", numbers(60), write_page_checksum=checksums)
    whole = path.read_bytes()
    for at in range(4, len(whole) - 1200, 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        outcomes = []
        for plain_numbers in (folders.plain_numbers, lambda *_: None):
            with monkeypatch.context() as patch:
                patch.setattr(folders, "plain_numbers", plain_numbers)
                try:
                    outcomes.append(read(path).to_pydict())
                except CorruptionError as error:
                    outcomes.append(str(error))
        assert outcomes[0] == outcomes[1] or repr(outcomes[0]) == repr(outcomes[1]), at
