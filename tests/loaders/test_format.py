"""What is on disk is what FORMAT.md says, and what anyone's Parquet reader sees."""

from __future__ import annotations

import io
import json
import pickle
import pickletools
from collections import OrderedDict
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders import Field, FormatError, Manifest, field_from_json, read_dataset, read_manifest, verify, write_dataset
from loaders.format.digest import row_hashes
from loaders.format.fields import schema_id
from loaders.format.petastorm_metadata import StoredField, schema_pickle, unischema_pickle
from schemas.digest import digest_of
from tests.loaders.samples import FIELDS, SMALL, rows_of

GOLDEN_FIELDS = (
    Field("entity_id", pa.string()),
    Field("image", pa.binary(), codec="image", shape=(8, 8), doc="not part of the id"),
    Field("label_index", pa.int64(), nullable=True),
    Field("soft", pa.list_(pa.float32()), shape=(2,)),
)
GOLDEN_ROWS = pa.table(
    {
        "entity_id": ["a", "é"],
        "image": [b"\x01\x02", b""],
        "label_index": [3, None],
        "soft": [[0.25, 0.75], [-0.0, float("nan")]],
    },
    schema=pa.schema([(field.name, field.type) for field in GOLDEN_FIELDS]),
)


def test_row_hashes_and_digests_are_those_of_format_md():
    assert schema_id(GOLDEN_FIELDS) == "bd1068c5f277b0112934623fd383ac5b5be6b95a73b857c2f04c55ed2c138f81"
    hashes = row_hashes(GOLDEN_ROWS, GOLDEN_FIELDS)
    assert [value.hex() for value in hashes] == [
        "1c0d379ab90e830dcd0e424f00ec5b092316be39348a925c08d5f52a38f5c505",
        "d552e57ae182553e7a60e9362c081645f5c72b530e55f291e66d0fd354635331",
    ]
    assert str(digest_of(hashes)) == "2-f1601d159a90d84b-476f2b852cf4714e"


def test_the_schema_id_of_columns_with_classes_is_that_of_format_md_and_others_keep_theirs():
    names = ("cat", "dog")
    named = [replace(field, classes=names) if field.name == "label_index" else field for field in GOLDEN_FIELDS]
    assert schema_id(named) == "bd3f58e1374975430e8bf29c1b144990225e918a09a09754920b95b7f18291c1"
    assert "classes" not in GOLDEN_FIELDS[2].to_json()


def test_classes_stand_in_the_manifest_beside_the_numbers_that_they_name(tmp_path):
    classes = tuple(f"label {number}" for number in range(10))
    named = [replace(field, classes=classes) if field.name == "label_index" else field for field in FIELDS]
    write_dataset(rows_of(9), named, tmp_path / "set")
    record = json.loads((tmp_path / "set" / "train" / "_manifest.json").read_text())
    assert [field["classes"] for field in record["schema"]["fields"] if "classes" in field] == [list(classes)]
    assert read_manifest(tmp_path / "set" / "train").classes == classes


def test_a_folder_of_before_names_its_classes_in_its_lineage():
    manifest = Manifest("train", "d1", 0, FIELDS, (), lineage={"classes": ["cat", "dog"]})
    assert manifest.classes == ("cat", "dog")
    assert replace(manifest, lineage={}).classes == ()
    assert replace(manifest, lineage={"classes": "cat"}).classes == ()
    first = Field("colour", pa.int8(), classes=("red", "blue"))
    assert replace(manifest, fields=(first, *FIELDS)).classes == ("red", "blue")
    second = Field("label_index", pa.int64(), classes=("owl",))
    assert replace(manifest, fields=(first, second)).classes == ("owl",)


@pytest.mark.parametrize("number", [-1, 10])
def test_a_number_that_no_class_has_is_not_written(tmp_path, number):
    classes = tuple(f"label {number}" for number in range(10))
    named = [replace(field, classes=classes) if field.name == "label_index" else field for field in FIELDS]
    with pytest.raises(FormatError, match=rf"column label_index: class numbers go from 0 to 9, found .*{number}"):
        write_dataset([*rows_of(9), rows_of(10)[9] | {"label_index": number}], named, tmp_path / "set")


def test_the_manifest_lists_every_file_with_its_rows_and_checksums(published):
    dataset, manifest = read_dataset(published), read_manifest(published / "train")
    record = json.loads((published / "train" / "_manifest.json").read_text())
    assert record["format"] == "petrel-dataset"
    assert record["format_version"] == 1
    assert record["rows"] == dataset.rows == 101
    assert record["seed"] == 3
    assert record["dataset_id"] == "d1"
    assert [part["name"] for part in record["parts"]] == [f"part-{i:05d}.parquet" for i in range(len(record["parts"]))]
    assert len(record["parts"]) > 2
    assert all(len(part["row_groups"]) > 1 for part in record["parts"][:-1])
    for part in manifest.parts:
        data = (published / "train" / part.name).read_bytes()
        assert len(data) == part.bytes
        found = pq.ParquetFile(pa.BufferReader(data)).metadata
        assert tuple(found.row_group(i).num_rows for i in range(found.num_row_groups)) == part.row_groups
    assert dataset.splits["train"].fingerprint == manifest.fingerprint


def test_pictures_are_stored_uncompressed_without_dictionary_and_with_page_checksums(published):
    part = published / "train" / "part-00000.parquet"
    group = pq.read_metadata(part).row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert columns["image"].compression == "UNCOMPRESSED"
    assert columns["image"].dictionary_page_offset is None
    assert columns["image"].statistics is None
    data = bytearray(part.read_bytes())
    data[columns["image"].data_page_offset + 200] ^= 1
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(pa.BufferReader(bytes(data)), page_checksum_verification=True).read()


def test_plain_pyarrow_and_duckdb_read_the_rows(published):
    import duckdb

    wanted = {row["entity_id"]: row for row in rows_of(101)}
    table = pa.concat_tables(pq.read_table(path) for path in sorted((published / "train").glob("part-*.parquet")))
    for row in table.to_pylist():
        expected = wanted[row["entity_id"]]
        assert row["image"] == expected["image"]
        assert row["weight"] == expected["weight"]
        assert dict(row["votes"]) == expected["votes"]
    with duckdb.connect() as connection:
        found = connection.execute(
            f"select entity_id, image, number, soft[2], votes['cat'] from '{published}/train/part-*.parquet'"
        ).fetchall()
    assert sorted(found) == [(i, r["image"], r["number"], 0.5, r["number"]) for i, r in sorted(wanted.items())]


def test_the_same_rows_give_the_same_digest_whatever_their_order_and_files(published, tmp_path):
    one = write_dataset(rows_of(101)[::-1], FIELDS, tmp_path / "other", seed=99)
    assert one.dataset.content_digest == read_dataset(published).content_digest
    assert one.dataset.splits["train"].fingerprint != read_dataset(published).splits["train"].fingerprint
    changed = rows_of(101)
    changed[5]["weight"] = 0.125
    other = write_dataset(changed, FIELDS, tmp_path / "changed", seed=3)
    assert other.dataset.content_digest != one.dataset.content_digest


def test_writing_the_same_rows_elsewhere_gives_the_same_bytes(published, tmp_path):
    write_dataset(rows_of(101), FIELDS, tmp_path / "v1", seed=3, dataset_id="d1", layout=SMALL)
    assert read_dataset(tmp_path / "v1") == read_dataset(published)
    for path in sorted((published / "train").iterdir()):
        if path.suffix in (".parquet", ".json"):
            assert (tmp_path / "v1" / "train" / path.name).read_bytes() == path.read_bytes(), path.name


def test_petastorm_finds_its_schema_as_an_inert_ascii_pickle(published):
    found = pq.read_schema(published / "train" / "_common_metadata")
    raw = found.metadata[b"dataset-toolkit.unischema.v1"]
    names = {argument for code, argument, _ in pickletools.genops(raw) if code.name == "GLOBAL"}
    assert raw.isascii()
    assert names == {
        "copy_reg _reconstructor", "__builtin__ object", "__builtin__ tuple", "collections OrderedDict",
        "petastorm.unischema Unischema", "petastorm.unischema UnischemaField",
        "petastorm.codecs ScalarCodec", "petastorm.codecs CompressedImageCodec",
        "pyspark.sql.types StringType", "pyspark.sql.types LongType", "pyspark.sql.types DoubleType",
        "numpy str_", "numpy uint8", "numpy int64", "numpy float64", "numpy float32",
    }  # fmt: skip
    counts = json.loads(found.metadata[b"dataset-toolkit.num_row_groups_per_file.v1"])
    assert counts == {part.name: len(part.row_groups) for part in read_manifest(published / "train").parts}
    fields = json.loads(found.metadata[b"petrel.fields.v1"])
    assert tuple(field_from_json(field) for field in fields) == FIELDS


class Record:
    """Stands for a class of Petastorm: remembers what it was made of, does nothing."""

    def __init__(self, name):
        self.name, self.state = name, {}

    def __setstate__(self, state):
        self.state = state


class InertUnpickler(pickle.Unpickler):
    """Rebuilds the graph of the pickle out of records."""

    def find_class(self, module, name):
        if name == "_reconstructor":
            return lambda kind, _, values: Record(kind) if values is None else tuple(values)
        return OrderedDict if name == "OrderedDict" else f"{module}.{name}"


def test_the_schema_for_petastorm_has_the_shape_that_it_unpickles():
    fields = (*FIELDS, Field("pixels", pa.binary(), codec="npy", dtype="float32", shape=(None, 4)))
    found = InertUnpickler(io.BytesIO(unischema_pickle(fields).encode())).load()
    assert found.name == "petastorm.unischema.Unischema"
    by_name = found.state["_fields"]
    assert list(by_name) == [field.name for field in fields if field.name != "votes"]
    assert all(found.state[name][:3] == by_name[name][:3] for name in by_name)
    name, dtype, shape, codec, nullable = by_name["image"]
    assert (name, dtype, shape, nullable) == ("image", "numpy.uint8", (6, 5, 3), False)
    assert (codec.name, codec.state) == (
        "petastorm.codecs.CompressedImageCodec", {"_image_codec": ".png", "_quality": 80}
    )  # fmt: skip
    assert by_name["weight"][4] is True
    assert by_name["weight"][3].state["_spark_type"].name == "pyspark.sql.types.DoubleType"
    assert by_name["soft"][1:4] == ("numpy.float32", (None,), None)
    assert by_name["pixels"][2] == (None, 4)
    assert by_name["pixels"][3].name == "petastorm.codecs.NdarrayCodec"


def test_timestamps_that_may_be_missing_are_kept_from_petastorm_which_fails_on_their_nulls():
    time = pa.timestamp("us", tz="UTC")
    raw = unischema_pickle([Field("at", time), Field("maybe_at", time, nullable=True)]).encode()
    assert list(InertUnpickler(io.BytesIO(raw)).load().state["_fields"]) == ["at"]


def test_names_cannot_end_the_line_they_stand_on():
    name = "a\nbé\\u0041\U0001f426"
    raw = schema_pickle(name, [StoredField(name, ("numpy", "int64"))])
    assert raw.isascii()
    assert InertUnpickler(io.BytesIO(raw.encode())).load().state["_name"] == name


def test_verify_reads_everything_and_says_what_it_compared(published):
    found = verify(published)
    assert (found.splits, found.rows, found.is_deep) == (("train",), 101, True)
    assert verify(published / "train", deep=False).files == found.files


def test_fields_travel_as_json_and_unknown_ones_are_refused():
    for field in (*FIELDS, Field("k", pa.int8(), classes=("a", "b")), Field("k", pa.int8(), classes=())):
        assert field_from_json(json.loads(json.dumps(field.to_json()))) == field
    for wrong in (
        {"name": "x"},
        {"name": "x", "type": "complex64", "codec": "raw"},
        {"name": "x", "type": "int64", "codec": "pickle"},
        {"name": "x", "type": "int64", "codec": "raw", "classes": "ab"},
        {"name": "x", "type": "int64", "codec": "raw", "classes": ["a", "a"]},
        {"name": "x", "type": "int64", "codec": "raw", "classes": [["a"]]},
        {"name": "x", "type": "int64", "codec": "raw", "classes": ["a", ""]},
        {"name": "x", "type": "string", "codec": "raw", "classes": ["a"]},
        {"name": "x", "type": "list<float32>", "codec": "raw", "shape": [3], "classes": ["a", "b"]},
        {"name": "_x", "type": "int64", "codec": "raw"},
        {"name": "x", "type": "int64", "codec": "image"},
        {"name": "x", "type": "binary", "codec": "image", "shape": [8, 8, 2]},
        {"name": "x", "type": "binary", "codec": "ndarray", "shape": [None], "dtype": "uint8"},
        {"name": "x", "type": "binary", "codec": "npy", "dtype": "object"},
        "x",
    ):
        with pytest.raises(FormatError):
            field_from_json(wrong)


@pytest.mark.parametrize("change", [
    {"format_version": 2}, {"format": "other"}, {"rows": 7}, {"parts": []}, {"fingerprint": "0" * 64},
    {"split": "../x"}, {"schema": {}}, {"parts": [{"name": "../../part-00000.parquet"}]},
])  # fmt: skip
def test_a_manifest_that_was_edited_is_refused(own, change):
    path = own / "train" / "_manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(FormatError):
        read_manifest(own / "train")
