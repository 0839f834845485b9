"""What Petrel publishes is read by the old Petastorm, and by Spark and DuckDB with the schema beside it."""

from __future__ import annotations

import datetime
import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from loaders import Field, write_dataset
from loaders.petastorm.reader import make_reader
from tests.petastorm.read_with_petastorm import described, described_row, read_with_petastorm

TIME = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.UTC)
FIELDS = [
    Field("entity_id", pa.string()),
    Field("flag", pa.bool_()),
    Field("label", pa.int64(), nullable=True),
    Field("small", pa.uint8()),
    Field("large", pa.uint64()),
    Field("weight", pa.float64()),
    Field("note", pa.string(), nullable=True),
    Field("data", pa.binary()),
    Field("at", pa.timestamp("us", tz="UTC")),
    Field("maybe_at", pa.timestamp("us", tz="UTC"), nullable=True),
    Field("day", pa.date32(), nullable=True),
    Field("soft", pa.list_(pa.float32()), shape=(3,)),
    Field("ids", pa.list_(pa.int64()), nullable=True),
    Field("words", pa.list_(pa.string())),
    Field("votes", pa.map_(pa.string(), pa.int64())),
    Field("image", pa.binary(), codec="image", shape=(4, 5, 3)),
    Field("grey", pa.binary(), codec="image", shape=(4, 5), nullable=True),
    Field("pixels", pa.binary(), codec="ndarray", shape=(2, 3), dtype="float32"),
    Field("cloud", pa.binary(), codec="npy", shape=(None, 3), dtype="float16", nullable=True),
    Field("sound", pa.binary(), codec="audio", shape=(None, 1)),
]
LEFT_OUT = {"maybe_at", "words", "votes"}


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def picture(i, *shape):
    return np.random.default_rng(i).integers(0, 255, shape, np.uint8)


def stored(i):
    """Row i as it is published."""
    maybe = None if i == 1 else i
    return {
        "entity_id": f"e{i}", "flag": i % 2 == 0, "label": maybe, "small": 200 + i, "large": 2**63 + i, "weight": i / 3,
        "note": None if maybe is None else f"é {i}", "data": b"\0ab\0\0", "at": TIME, "maybe_at": maybe and TIME,
        "day": None if maybe is None else TIME.date(), "soft": [i, 1, 2], "ids": None if maybe is None else [1] * i,
        "words": ["a"], "votes": {"cat": i}, "image": png(picture(i, 4, 5, 3)),
        "grey": None if maybe is None else png(picture(i, 4, 5)), "pixels": np.full((2, 3), i, "float32").tobytes(),
        "cloud": None if maybe is None else npy(np.full((i + 1, 3), i, "float16")), "sound": b"RIFF",
    }  # fmt: skip


def expected(i):
    """Row i as Petastorm is to give it."""
    row = stored(i)
    kinds = {
        "entity_id": np.str_, "flag": np.bool_, "label": np.int64, "small": np.uint8, "large": np.uint64,
        "weight": np.float64, "note": np.str_, "data": np.bytes_, "day": np.datetime64, "pixels": np.bytes_,
        "sound": np.bytes_,
    }  # fmt: skip
    values = {name: None if row[name] is None else kind(row[name]) for name, kind in kinds.items()} | {
        "at": np.datetime64(TIME.replace(tzinfo=None)),
        "soft": np.array(row["soft"], np.float32),
        "ids": None if row["ids"] is None else np.array(row["ids"], np.int64),
        "image": picture(i, 4, 5, 3),
        "grey": None if row["grey"] is None else picture(i, 4, 5),
        "cloud": None if row["cloud"] is None else np.full((i + 1, 3), i, "float16"),
    }
    return {name: described(value) for name, value in values.items()}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "v1"
    write_dataset([stored(i) for i in range(5)], FIELDS, folder)
    return f"file://{folder}/train"


def by_id(rows):
    return sorted(rows, key=lambda row: row["entity_id"][1])


def test_petastorm_reads_what_is_published_and_is_told_of_nothing_on_which_it_fails(published):
    found = read_with_petastorm(published)
    assert found["version"] == "0.13.1"
    assert {field[0] for field in found["schema"]} == {field.name for field in FIELDS} - LEFT_OUT
    assert by_id(found["rows"]) == [expected(i) for i in range(5)]
    assert np.frombuffer(bytes.fromhex(expected(3)["pixels"][1]), "float32").tolist() == [3.0] * 6


def test_the_successor_reads_it_too(published):
    with make_reader(published, shuffle_row_groups=False) as reader:
        assert by_id(described_row(row) for row in reader) == [expected(i) for i in range(5)]


def test_duckdb_reads_the_whole_folder(published):
    import duckdb

    path = published.removeprefix("file://")
    with duckdb.connect() as connection:
        found = connection.execute(
            f"select entity_id, pixels, votes['cat'], soft from '{path}/*.parquet' order by 1"
        ).fetchall()
    assert found == [
        (row["entity_id"], row["pixels"], row["votes"]["cat"], [float(one) for one in row["soft"]])
        for row in map(stored, range(5))
    ]


@pytest.mark.spark
def test_spark_reads_the_whole_folder_by_the_schema_beside_it(spark, published):
    found = spark.read.parquet(published).orderBy("entity_id").collect()
    assert [bytes(row.pixels) for row in found] == [stored(i)["pixels"] for i in range(5)]
    assert [row.votes for row in found] == [stored(i)["votes"] for i in range(5)]
    assert [row.soft for row in found] == [stored(i)["soft"] for i in range(5)]
    assert [row.large for row in found] == [stored(i)["large"] for i in range(5)]
