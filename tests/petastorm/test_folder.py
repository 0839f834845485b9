"""Any folder of Parquet files opens as it is, and each of its row groups is read as it was written."""

from __future__ import annotations

import base64
import datetime
import json
import os
import pickle
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from loaders import write_dataset
from loaders.errors import CorruptionError, FormatError, StorageError
from loaders.petastorm.rowgroups.claims import _longest_of, _longest_short_word
from loaders.petastorm.rowgroups.folder import Piece, open_folder, reopen
from loaders.stores.storage import StorageOptions
from tests.leftovers import descriptors
from tests.loaders.s3 import serving
from tests.loaders.samples import FIELDS, SMALL, rows_of

COUNTS = b"dataset-toolkit.num_row_groups_per_file.v1"
ROOT = Path(__file__).parents[2]


def write(path, rows=6, row_group_size=2, columns=None, **settings):
    """Write a small file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns or {"id": list(range(rows)), "name": [f"n{i}" for i in range(rows)]})
    pq.write_table(table, path, row_group_size=row_group_size, **settings)
    return path


def count(folder, counts):
    """Write the metadata of Petastorm, without its schema."""
    schema = pq.read_schema(next(folder.glob("**/*.parquet"))).with_metadata({COUNTS: json.dumps(counts).encode()})
    pq.write_metadata(schema, folder / "_common_metadata")


def rows(folder, *columns):
    """Read all row groups, and bring their columns to the types of the folder."""
    names = columns or folder.schema.names
    schema = pa.schema([folder.schema.field(name) for name in names])
    return pa.concat_tables([folder.read(piece, names).cast(schema) for piece in folder.pieces])


# ------------------------------------------------------------------------------------------- what is there


def test_row_groups_are_numbered_by_path_and_place(tmp_path):
    write(tmp_path / "b.parquet", 3)
    write(tmp_path / "a.parquet", 5)
    with open_folder(tmp_path) as folder:
        places = [("a.parquet", 0), ("a.parquet", 1), ("a.parquet", 2), ("b.parquet", 0), ("b.parquet", 1)]
        assert folder.pieces == tuple(Piece(at, *place, {}) for at, place in enumerate(places))
        assert [folder.rows(piece) for piece in folder.pieces] == [2, 2, 1, 2, 1]
        read = folder.read(folder.pieces[2], ["name", "id"])
    assert read.column_names == ["name", "id"]
    assert read.to_pylist() == [{"name": "n4", "id": 4}]


def test_counts_of_petastorm_are_believed_without_a_look_at_the_files(tmp_path):
    write(tmp_path / "a.parquet", 4)
    count(tmp_path, {"a.parquet": 2})
    (tmp_path / "a.parquet").write_bytes(b"no Parquet, but long enough")
    with open_folder(tmp_path) as folder:
        assert [piece.row_group for piece in folder.pieces] == [0, 1]
        with pytest.raises(CorruptionError, match="a.parquet is no Parquet file"):
            folder.rows(folder.pieces[0])


def test_appended_files_are_read_missing_and_replaced_ones_are_named(tmp_path):
    write(tmp_path / "a.parquet", 4)
    count(tmp_path, {"a.parquet": 2})
    write(tmp_path / "b.parquet", columns={"id": [1], "new": [2.5]})
    with open_folder(tmp_path) as folder:
        assert [piece.file for piece in folder.pieces] == ["a.parquet", "a.parquet", "b.parquet"]
        assert folder.schema.names == ["id", "name", "new"]
    write(tmp_path / "a.parquet", 6)
    with open_folder(tmp_path) as folder, pytest.raises(FormatError, match="a.parquet has 3 row groups.* counts 2"):
        rows(folder)
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(CorruptionError, match="a.parquet is counted in _common_metadata but is missing"):
        open_folder(tmp_path)


def test_a_summary_file_counts_too(tmp_path):
    footers = []
    for name in ("a.parquet", "b.parquet"):
        pq.write_table(pa.table({"id": range(4)}), tmp_path / name, row_group_size=2, metadata_collector=footers)
        footers[-1].set_file_path(name)
    pq.write_metadata(pa.schema({"id": pa.int64()}), tmp_path / "_metadata", metadata_collector=footers)
    write(tmp_path / "c.parquet", columns={"id": [9]})
    with open_folder(tmp_path) as folder:
        assert [piece.file[0] for piece in folder.pieces] == ["a", "a", "b", "b", "c"]
        assert rows(folder)["id"].to_pylist() == [0, 1, 2, 3, 0, 1, 2, 3, 9]
    (tmp_path / "b.parquet").unlink()
    with pytest.raises(CorruptionError, match="b.parquet is counted in _metadata but is missing"):
        open_folder(tmp_path)


def test_what_is_no_data_is_passed_over(tmp_path):
    write(tmp_path / "part-0", 2)
    pq.write_metadata(pa.schema({"id": pa.int64()}), tmp_path / "_common_metadata")  # as Dask does: without counts
    for name in ("_SUCCESS", ".part-0.crc", "manifest.json", "README", "_temporary/0.parquet", ".hidden/1.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no Parquet at all")
    write(tmp_path / "_day=1" / "x.parquet.gzip", 2)
    (tmp_path / "part-0").rename(tmp_path / "_day=1" / "part-0")
    with open_folder(tmp_path) as folder:
        assert folder.names == ("_day=1/part-0", "_day=1/x.parquet.gzip")


def test_empty_files_are_fine_and_empty_folders_are_not(tmp_path):
    with pytest.raises(FormatError, match="holds no Parquet file"):
        open_folder(tmp_path)
    empty = pa.table({"id": pa.array([], pa.int64())})
    pq.write_table(empty, tmp_path / "a.parquet")
    pq.ParquetWriter(tmp_path / "b.parquet", empty.schema).close()
    with open_folder(tmp_path) as folder:
        assert folder.names == ("a.parquet", "b.parquet")
        assert sum(folder.read(piece, ["id"]).num_rows for piece in folder.pieces) == 0


def test_a_file_and_a_list_of_files_open_too(tmp_path):
    a, b = write(tmp_path / "x" / "a.parquet", 2), write(tmp_path / "y%41 #" / "b.parquet", 3, 9)
    with open_folder(f"file://{a}") as folder:
        assert (folder.root, folder.names, folder.is_single_list) == (str(a.parent), ("a.parquet",), False)
    with open_folder([f"file://{b}", str(a)]) as folder:
        assert (folder.root, folder.is_single_list) == (str(tmp_path), True)
        assert folder.names == ("y%41 #/b.parquet", "x/a.parquet"), "in the order given"
        assert rows(folder, "id")["id"].to_pylist() == [0, 1, 2, 0, 1]
    with open_folder([a, b, a]) as folder:
        assert folder.names == ("x/a.parquet", "y%41 #/b.parquet")
        assert rows(folder, "id")["id"].to_pylist() == [0, 1, 0, 1, 2, 0, 1], "as often as listed"


def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StorageError, match="^Passed non-file path: .*nothing"):
        open_folder(tmp_path / "nothing")
    with pytest.raises(OSError, match="^Passed non-file path: "):
        open_folder([write(tmp_path / "a.parquet"), tmp_path])
    with pytest.raises(ValueError, match="^dataset url list must be non-empty."):
        open_folder([])


def test_tables_and_whole_datasets_are_refused_with_the_way_to_do_it(tmp_path):
    write_dataset(rows_of(101), FIELDS, tmp_path / "v1", layout=SMALL)
    with pytest.raises(FormatError, match="whole dataset version; open one of its splits: train"):
        open_folder(tmp_path / "v1")
    with open_folder(tmp_path / "v1" / "train") as folder:
        assert rows(folder, "entity_id").num_rows == 101
    write(tmp_path / "a.parquet")
    (tmp_path / "_delta_log").mkdir()
    with pytest.raises(FormatError, match=r"is a Delta table.*DeltaTable\(.*\)\.file_uris\(\)"):
        open_folder(tmp_path)


def test_links_that_lead_back_are_an_error(tmp_path):
    write(tmp_path / "a.parquet")
    (tmp_path / "again").symlink_to(tmp_path)
    with pytest.raises(FormatError, match="link to a folder above"):
        open_folder(tmp_path)


# ------------------------------------------------------------------------------------------- columns


def test_partitions_come_first_and_are_typed(tmp_path):
    for year, city in [("2023", "Oslo"), ("2024", "A%3AB"), ("2024", "__HIVE_DEFAULT_PARTITION__")]:
        write(tmp_path / f"year={year}" / f"city={city}" / "x.parquet", 2)
    with open_folder(tmp_path) as folder:
        types = {"year": pa.int64(), "city": pa.string(), "id": pa.int64(), "name": pa.string()}
        assert folder.schema == pa.schema(types)
        assert folder.partition_names == ("year", "city")
        assert rows(folder, "city", "id", "year").to_pydict() == {
            "city": ["Oslo", "Oslo", "A:B", "A:B", None, None],
            "id": [0, 1] * 3,
            "year": [2023, 2023, 2024, 2024, 2024, 2024],
        }
        assert folder.read(folder.pieces[0], ["year"]).to_pydict() == {"year": [2023, 2023]}
    with open_folder([tmp_path / "year=2023" / "city=Oslo" / "x.parquet"]) as folder:
        assert folder.partition_names == ("year", "city"), "also of a file that is named alone"
    write(tmp_path / "x.parquet")
    with pytest.raises(FormatError, match="x.parquet in those of"):
        open_folder(tmp_path)


def test_types_are_united_over_files(tmp_path):
    write(tmp_path / "a.parquet", columns={"x": pa.array([1, 2], pa.int32()), "y": [None, "b"]})
    write(tmp_path / "b.parquet", columns={"x": pa.array([2**40], pa.int64()), "z": [[1.5]]})
    with open_folder(tmp_path) as folder:
        assert [str(each.type) for each in folder.schema] == ["int64", "string", "list<element: double>"]
        assert rows(folder).to_pydict() == {
            "x": [1, 2, 2**40],
            "y": [None, "b", None],
            "z": [None, None, [1.5]],
        }
    write(tmp_path / "c.parquet", columns={"x": [1.5]})
    with open_folder(tmp_path) as folder, pytest.raises(FormatError, match=r"x is .* in .*a.parquet and .*c.parquet"):
        rows(folder)


def every_type(n):
    """Return a table with a column of every kind that Petastorm drops, and others."""
    times = [datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=i) for i in range(n)]
    count = range(n)
    return pa.table(
        {
            **{f"uint{bits}": pa.array(count, getattr(pa, f"uint{bits}")()) for bits in (8, 16, 32, 64)},
            "float16": pa.array(np.arange(n, dtype=np.float16)),
            "ns": pa.array(times, pa.timestamp("ns")),
            "zone": pa.array(times, pa.timestamp("us", "Europe/Oslo")),
            "decimal": pa.array([Decimal(i) / 4 for i in count], pa.decimal128(38, 10)),
            "large": pa.array([f"s{i % 3}" for i in count], pa.large_string()),
            "words": pa.array([f"s{i % 3}" for i in count]).dictionary_encode(),
            "numbers": pa.array([i % 3 for i in count]).dictionary_encode(),
            "fixed": pa.array([b"abc"] * n, pa.binary(3)),
            "pairs": pa.array([[i, i] for i in count], pa.list_(pa.float32(), 2)),
            "ragged": pa.array([[i] * (i % 3) if i % 5 else None for i in count]),
            "deep": pa.array([[[i], []] for i in count]),
            "texts": pa.array([["a", None, f"t{i}"] for i in count]),
            "struct": pa.array([{"a": i, "b": {"c": [str(i)]}} for i in count]),
            "map": pa.array([[("k", i)] for i in count], pa.map_(pa.string(), pa.int64())),
            "uuid": pa.array([b"a" * 16] * n, pa.binary(16)).cast(pa.uuid()),
            "a.b": pa.array(count),
        }
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"compression": "zstd", "data_page_version": "2.0"},
        {"compression": "none", "use_dictionary": False, "write_page_checksum": True},
        {"use_deprecated_int96_timestamps": True, "compression": "gzip", "data_page_size": 64},
        {"use_dictionary": False, "column_encoding": {"fixed": "DELTA_BYTE_ARRAY", "large": "DELTA_BYTE_ARRAY"}},
    ],
)
def test_every_type_is_read(tmp_path, settings):
    path = write(tmp_path / "x.parquet", columns=dict(zip(every_type(1).column_names, every_type(40), strict=True)),
                 row_group_size=17, **settings)  # fmt: skip
    with open_folder(tmp_path) as folder, pq.ParquetFile(path) as file:
        for piece in folder.pieces:
            read, wanted = folder.read(piece, folder.schema.names), file.read_row_group(piece.row_group)
            assert all(column.num_chunks == 1 for column in read.columns)
            for name in wanted.column_names:
                there = wanted[name].cast(pa.binary(16)) if name == "uuid" else wanted[name]
                assert read[name].to_pylist() == there.to_pylist(), name


def test_an_unknown_column_is_named(tmp_path):
    write(tmp_path / "a.parquet")
    with open_folder(tmp_path) as folder, pytest.raises(FormatError, match="has no column 'nmae'"):
        folder.read(folder.pieces[0], ["nmae"])


# ------------------------------------------------------------------------------------------- processes and storages


def test_another_process_asks_nothing_again(tmp_path, monkeypatch):
    write(tmp_path / "k=1" / "a.parquet")
    with open_folder(tmp_path) as folder:
        spec = pickle.loads(pickle.dumps(folder.spec()))
    monkeypatch.setattr(os, "scandir", None)
    with reopen(spec) as again:
        assert (again.pieces, again.schema, again.names) == (folder.pieces, folder.schema, folder.names)
        assert rows(again, "id").num_rows == 6


def test_handles_are_given_back(tmp_path):
    write(tmp_path / "a.parquet")
    before = descriptors()
    folder = open_folder(tmp_path)
    rows(folder)
    assert descriptors() - before
    folder.close()
    assert descriptors() - before == set()
    assert folder.version("a.parquet") != ""


@pytest.mark.parametrize("kind", ["fsspec", "pyarrow", "pyarrow local", "fsspec local"])
def test_file_systems_are_taken_as_they_are(tmp_path, kind):
    write(tmp_path / "d" / "k=1" / "a.parquet", 3)
    write(tmp_path / "d" / "k=2" / "b.parquet", 3)
    write(tmp_path / "d" / "_x" / "c.parquet", 3)
    url = "d"
    if kind == "fsspec":
        filesystem = fsspec.filesystem("memory")
        filesystem.put(f"{tmp_path}/d", "/d", recursive=True)
        url = "memory://d"
    elif kind == "pyarrow":
        filesystem = SubTreeFileSystem(str(tmp_path), LocalFileSystem())
    else:
        filesystem = LocalFileSystem() if kind == "pyarrow local" else fsspec.filesystem("file")
        url = str(tmp_path / "d")
    options = StorageOptions(filesystem=filesystem, cache_folder=tmp_path / "cache")
    with open_folder(f"{url}/", options=options) as folder:
        assert folder.names == ("k=1/a.parquet", "k=2/b.parquet")
        assert rows(folder, "k", "id").to_pydict() == {"k": [1, 1, 1, 2, 2, 2], "id": [0, 1, 2] * 2}
    with open_folder([f"{url}/k=2/b.parquet", f"{url}/k=1/a.parquet"], options=options) as folder:
        assert rows(folder, "k")["k"].to_pylist() == [2, 2, 2, 1, 1, 1]
    with pytest.raises(OSError, match="^Passed non-file path: "):
        open_folder(f"{url}/none", options=options)


def test_files_of_a_web_server_are_read_by_their_list(tmp_path):
    write(tmp_path / "b" / "x" / "a.parquet")
    with serving(tmp_path) as store:
        url = f"http://127.0.0.1:{store.port}/b/x"
        with open_folder([f"{url}/a.parquet"]) as folder:
            assert rows(folder, "id")["id"].to_pylist() == [0, 1, 2, 3, 4, 5]
        with pytest.raises(FormatError, match="does not list folders"):
            open_folder(url)


# ------------------------------------------------------------------------------------------- damage and malice


def test_damage_is_named_by_file_row_group_and_column(tmp_path):
    path = write(tmp_path / "a.parquet", 400, 200, compression="none", write_page_checksum=True)
    raw = path.read_bytes()
    at = raw.index(b"n250") + 2
    path.write_bytes(raw[:at] + b"9" + raw[at + 1 :])
    with open_folder(tmp_path) as folder:
        assert folder.read(folder.pieces[1], ["id"]).num_rows == 200
        with pytest.raises(CorruptionError, match="a.parquet: row group 1, column name: .*checksum") as caught:
            folder.read(folder.pieces[1], ["id", "name"])
    assert (caught.value.file, caught.value.row_group, caught.value.column) == (str(path), 1, "name")
    path.write_bytes(raw[:-9])
    with pytest.raises(CorruptionError, match="a.parquet is no Parquet file, or was not written to its end"):
        open_folder(tmp_path)


READ_DAMAGED = """
import pathlib, random, sys
from loaders.errors import LoaderError
from loaders.petastorm.rowgroups.folder import open_folder
random.seed(5)
path = pathlib.Path(sys.argv[1])
raw = path.read_bytes()
refused = 0
for _ in range(300):
    damaged = bytearray(raw)
    for at in random.choices(range(4, len(raw) - 8), k=random.choice([1, 1, 3])):
        damaged[at] = random.choice([0, 127, 255, damaged[at] ^ 1, random.randrange(256)])
    path.write_bytes(damaged)
    try:
        with open_folder(path) as folder:
            for piece in folder.pieces:
                folder.read(piece, folder.schema.names).to_pylist()
    except LoaderError:
        refused += 1
print(refused)
"""


@pytest.mark.parametrize("settings", [{"compression": "none"}, {"compression": "zstd", "data_page_version": "2.0"}])
def test_damaged_files_end_no_process(tmp_path, settings):
    columns = dict(zip(every_type(1).column_names, every_type(40), strict=True))
    path = write(tmp_path / "a.parquet", columns={name: columns[name] for name in ("large", "texts", "struct", "ns")},
                 row_group_size=20, **settings)  # fmt: skip
    done = subprocess.run([sys.executable, "-c", READ_DAMAGED, str(path)], cwd=ROOT, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 100


def test_counts_that_cannot_be_are_refused(tmp_path):
    write(tmp_path / "a.parquet")
    for counts in ({"a.parquet": 10**9}, {"a.parquet": -1}, {"a.parquet": True}, {"a.parquet": "2"}, ["a.parquet"]):
        count(tmp_path, counts)
        with pytest.raises(FormatError, match="_common_metadata"):
            open_folder(tmp_path)


def bombs(folder):
    """Write small files that claim much."""
    zeros, n = b"\0" * (1 << 20), 100
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array([zeros]))
    texts = repeated.cast(pa.binary()).cast(pa.string())
    plain = {"use_dictionary": False, "compression": "zstd"}
    write(folder / "page" / "a.parquet", columns={"x": [zeros * 72]}, **plain)
    write(folder / "delta" / "a.parquet", columns={"x": repeated.cast(pa.binary())}, row_group_size=n,
          column_encoding={"x": "DELTA_BYTE_ARRAY"}, **plain)  # fmt: skip
    lists = pa.ListArray.from_arrays(pa.array(range(n + 1), pa.int32()), texts)
    write(folder / "list" / "a.parquet", columns={"x": lists}, row_group_size=n, compression="zstd")
    nulls = pa.nulls(9_000_000, pa.float64())
    write(folder / "nulls" / "a.parquet", columns={"x": nulls}, row_group_size=len(nulls), compression="zstd")
    empty = pa.ListArray.from_arrays(
        pa.array([0] * 101, pa.int32()), pa.array([], pa.int32()), mask=pa.array([True] * 100)
    )
    claimed = pa.schema({"x": pa.list_(pa.int32(), 1 << 20)}).serialize().to_pybytes()
    (folder / "fixed").mkdir()
    with pq.ParquetWriter(folder / "fixed" / "a.parquet", pa.schema({"x": empty.type}), store_schema=False) as writer:
        writer.write_table(pa.table({"x": empty}))
        writer.add_key_value_metadata({"ARROW:schema": base64.b64encode(claimed).decode()})
    write(folder / "words" / "a.parquet", columns={"x": texts}, row_group_size=n, compression="zstd")


READ_BOMBS = """
import json, pathlib, resource, sys
from loaders.petastorm.rowgroups.folder import open_folder
told = {}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    with open_folder(path) as folder:
        try:
            told[path.name] = str(folder.read(folder.pieces[0], ["x"]).column("x").type)
        except Exception as error:
            told[path.name] = f"{type(error).__name__} {error}"
print(json.dumps([told, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10]))
"""


def test_small_files_do_not_take_the_memory(tmp_path):
    bombs(tmp_path)
    assert all(path.stat().st_size < 600_000 for path in tmp_path.glob("*/*"))
    done = subprocess.run([sys.executable, "-c", READ_BOMBS, str(tmp_path)], cwd=ROOT, capture_output=True, text=True,
                          check=True)  # fmt: skip
    told, mib = json.loads(done.stdout)
    assert mib < 120, told
    assert told.pop("words").startswith("dictionary<values=string"), "its words are kept once"
    assert all(said.startswith("CorruptionError") and "row group 0" in said for said in told.values()), told


def test_a_file_that_is_much_smaller_than_what_it_holds_is_read(tmp_path):
    n = 2_000_000
    columns = {"same": pa.array(np.zeros(n)), "text": pa.array(["a long text, again and again"] * n)}
    path = write(tmp_path / "a.parquet", columns=columns, row_group_size=n, compression="zstd")
    assert path.stat().st_size < 64_000
    with open_folder(tmp_path) as folder:
        read = folder.read(folder.pieces[0], ["same", "text"])
    assert read.num_rows == n
    assert read["text"][n - 1].as_py() == "a long text, again and again"


def test_bounds_of_words_are_those_of_the_longest():
    def laid_out(words):
        return b"".join(len(word).to_bytes(4, "little") + word for word in words)

    for words in (
        [b"a"],
        [b"ab", b"", b"abc" * 50],
        [b"x" * 255] * 3,
        [b"", b""],
        [b"\0\0\0", b"ab"],
        [b"y" * 700, b"z"],
    ):
        plain, longest = laid_out(words), max(map(len, words))
        fast = _longest_short_word(np.frombuffer(plain, np.uint8), len(words))
        assert fast in (None, longest), words
        assert _longest_of(plain, len(words)) == longest
    assert _longest_short_word(np.frombuffer(laid_out([b"ab", b"abc"]), np.uint8), 2) == 3
