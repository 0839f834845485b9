"""A Unischema behaves as Petastorm's does: fields, views, rows, inference, what is stored."""

from __future__ import annotations

import datetime
import os
import pickle
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loaders.petastorm import spark_types
from loaders.petastorm.codecs import CompressedImageCodec, NdarrayCodec, ScalarCodec
from loaders.petastorm.generator import generate_datapoint
from loaders.petastorm.spark_types import SparkType
from loaders.petastorm.test_util.reader_mock import ReaderMock, schema_data_generator_example
from loaders.petastorm.unischema import (
    Unischema,
    UnischemaField,
    dict_to_spark_row,
    encode_row,
    insert_explicit_nulls,
    match_unischema_fields,
)
from loaders.petastorm.utils import DecodeFieldError, decode_row, run_in_subprocess

ROOT = Path(__file__).parents[2]
ID = UnischemaField("id", np.int64, (), ScalarCodec(SparkType("LongType")), False)
IMAGE = UnischemaField("image", np.uint8, (4, 5, 3), CompressedImageCodec("png"), False)
NOTE = UnischemaField("note", np.str_, (), None, True)
SCHEMA = Unischema("Animals", [ID, IMAGE, NOTE])


def test_fields_are_equal_if_all_but_their_codecs_are():
    other = UnischemaField("id", np.int64, ())
    assert (ID, hash(ID)) == (other, hash(other))
    assert UnischemaField("id", np.int32, ()) != ID
    assert ID._replace(nullable=True) != ID


def test_fields_are_attributes_unless_their_name_is_taken():
    assert SCHEMA.id is ID
    assert list(SCHEMA.fields.values()) == [ID, IMAGE, NOTE]
    with pytest.warns(UserWarning, match="Can not create dynamic property fields because it conflicts"):
        taken = Unischema("S", [UnischemaField("fields", np.int64, ())])
    assert list(taken.fields) == ["fields"]
    with pytest.raises(AttributeError, match="nothing"):
        _ = SCHEMA.nothing


def test_a_schema_as_text_can_be_read():
    assert str(SCHEMA) == (
        "Unischema(Animals, [\n"
        "  UnischemaField('id', int64, (), ScalarCodec(LongType()), False),\n"
        "  UnischemaField('image', uint8, (4, 5, 3), CompressedImageCodec('png', 80), False),\n"
        "  UnischemaField('note', str_, (), None, True),\n"
        "])"
    )


def test_views_keep_the_given_order_of_fields_and_that_of_the_schema_for_patterns():
    found = SCHEMA.create_schema_view([NOTE, UnischemaField("id", np.int8, (9,), NdarrayCodec(), True)])
    assert found._name == "Animals_view"
    assert list(found.fields.values()) == [NOTE, ID]
    assert found.id is ID
    assert list(SCHEMA.create_schema_view(["i.*", NOTE]).fields) == ["note", "id", "image"]
    assert list(SCHEMA.create_schema_view(["i.*"]).fields) == ["id", "image"]
    assert SCHEMA.create_schema_view([".*"]).create_schema_view(["id"])._name == "Animals_view_view"
    with pytest.raises(ValueError, match='Elements of "fields" must be either a string'):
        SCHEMA.create_schema_view([7])
    with pytest.raises(ValueError, match="field {'other'} does not belong to the schema Unischema\\(Animals"):
        SCHEMA.create_schema_view([UnischemaField("other", np.int8, ())])


def test_a_pattern_that_matches_the_beginning_of_a_name_alone_warns():
    assert match_unischema_fields(SCHEMA, ["note", "id"]) == [ID, NOTE]
    assert match_unischema_fields(SCHEMA, []) == []
    with pytest.warns(UserWarning, match="schema_fields behavior has changed.* following fields: id, image"):
        assert match_unischema_fields(SCHEMA, ["i", "note"]) == [NOTE]


def test_rows_are_namedtuples_of_one_class_that_pickle():
    row = SCHEMA.make_namedtuple(note=None, id=1, image="x")
    assert (type(row).__name__, row._fields, tuple(row)) == ("Animals_view", ("id", "image", "note"), (1, "x", None))
    same = Unischema("Animals", [ID, IMAGE, NOTE]).make_namedtuple_tf(1, "x", None)
    assert type(same) is type(row)
    assert type(pickle.loads(pickle.dumps(row))) is type(row)
    assert pickle.loads(pickle.dumps(row)) == row
    assert type(SCHEMA.make_namedtuple_tf(1, note=2, image=3)) is type(row)
    for wrong in ({"id": 1}, {"id": 1, "image": 2, "note": 3, "more": 4}):
        with pytest.raises(TypeError, match="one value for each field"):
            SCHEMA.make_namedtuple(**wrong)


def test_rows_take_names_that_namedtuples_refuse_and_any_number_of_them():
    names = ("_source", "my-column", "class", "count")
    schema = Unischema("2 odd", [UnischemaField(name, np.int8, ()) for name in names])
    row = schema.make_namedtuple(**{"_source": 1, "my-column": 2, "class": 3, "count": 4})
    assert (type(row).__name__, row._source, getattr(row, "my-column"), row.count) == ("_2_odd_view", 1, 2, 4)
    assert row._asdict() == {"_source": 1, "my-column": 2, "class": 3, "count": 4}
    assert row._replace(_source=5)[0] == 5
    assert pickle.loads(pickle.dumps(row)) == row
    assert repr(row) == "_2_odd_view(_source=1, my-column=2, class=3, count=4)"
    with pytest.raises(ValueError, match="unexpected field names"):
        row._replace(other=1)
    wide = Unischema("wide", [UnischemaField(f"f{at}", np.int8, ()) for at in range(1000)])
    assert wide.make_namedtuple(**{f"f{at}": at for at in range(1000)}).f999 == 999


def test_schemas_travel_between_processes():
    found = pickle.loads(pickle.dumps(SCHEMA))
    assert str(found) == str(SCHEMA)
    assert found.id == ID


COLUMNS = [
    (pa.int8(), np.int8, ()), (pa.uint16(), np.uint16, ()), (pa.uint64(), np.uint64, ()),
    (pa.float16(), np.float16, ()), (pa.float64(), np.float64, ()), (pa.bool_(), np.bool_, ()),
    (pa.string(), np.str_, ()), (pa.large_string(), np.str_, ()),
    (pa.binary(), np.bytes_, ()), (pa.binary(4), np.bytes_, ()), (pa.decimal128(9, 2), Decimal, ()),
    (pa.decimal256(50, 2), Decimal, ()), (pa.date32(), np.datetime64, ()),
    (pa.timestamp("ns", "Europe/Berlin"), np.datetime64, ()), (pa.duration("s"), np.timedelta64, ()),
    (pa.time64("us"), np.object_, ()), (pa.null(), np.object_, ()),
    (pa.dictionary(pa.int8(), pa.string()), np.str_, ()), (pa.list_(pa.float32()), np.float32, (None,)),
    (pa.list_(pa.int16(), 3), np.int16, (3,)), (pa.large_list(pa.string()), np.str_, (None,)),
    (pa.list_(pa.list_(pa.int64(), 2)), np.int64, (None, 2)),
    (pa.fixed_shape_tensor(pa.float32(), (2, 3)), np.float32, (2, 3)),
    (pa.struct([("a", pa.int8())]), np.object_, ()), (pa.map_(pa.string(), pa.int8()), np.object_, ()),
]  # fmt: skip


def test_a_schema_is_inferred_and_no_column_is_left_out():
    arrow = pa.schema([pa.field(f"c{at}", kind, nullable=at % 2 == 0) for at, (kind, _, _) in enumerate(COLUMNS)])
    found = Unischema.from_arrow_schema(arrow)
    assert found._name == "inferred_schema"
    assert [(field.numpy_dtype, field.shape, field.codec, field.nullable) for field in found.fields.values()] == [
        (dtype, shape, None, at % 2 == 0) for at, (_, dtype, shape) in enumerate(COLUMNS)
    ]


def test_a_column_without_a_form_is_left_out_with_a_warning():
    arrow = pa.schema([("a", pa.int8()), ("u", pa.dense_union([pa.field("x", pa.int8())]))])
    with pytest.warns(UserWarning, match="Column 'u' has an unsupported field"):
        assert list(Unischema.from_arrow_schema(arrow).fields) == ["a"]
    with pytest.raises(ValueError, match="Cannot auto-create unischema due to unsupported column type"):
        Unischema.from_arrow_schema(arrow, omit_unsupported_fields=False)


def test_partition_columns_may_not_be_null():
    class Folder:
        schema = pa.schema([("day", pa.string()), ("x", pa.int8())])
        partition_names = ("day",)

    assert [field.nullable for field in Unischema.from_arrow_schema(Folder()).fields.values()] == [False, True]


def test_nulls_are_put_where_they_may_be():
    row = {"id": 1, "image": 2}
    insert_explicit_nulls(SCHEMA, row)
    assert row == {"id": 1, "image": 2, "note": None}
    with pytest.raises(ValueError, match="Field image is not found in the row_dict, but is not nullable"):
        insert_explicit_nulls(SCHEMA, {"id": 1})


def test_a_row_is_encoded_and_decoded_again():
    values = {"image": np.arange(60, dtype=np.uint8).reshape(4, 5, 3), "id": np.int64(7)}
    stored = encode_row(SCHEMA, values)
    assert list(values) == ["image", "id"]  # the caller's is left alone
    assert (list(stored), type(stored["id"]), type(stored["image"]), stored["note"]) == (
        ["id", "image", "note"], int, bytearray, None
    )  # fmt: skip
    found = decode_row({**stored, "unknown": 1}, SCHEMA)
    assert (type(found["id"]), found["id"], found["note"]) == (np.int64, 7, None)
    np.testing.assert_array_equal(found["image"], values["image"])
    with pytest.raises(DecodeFieldError, match='Decoding field "image" failed') as raised:
        decode_row({"image": b"none"}, SCHEMA)
    assert raised.value.__cause__ is not None


def test_a_row_that_is_not_the_schemas_is_refused():
    image = np.zeros((4, 5, 3), np.uint8)
    with pytest.raises(ValueError, match="Dictionary fields \n[^$]*more[^$]*\n do not match schema fields"):
        encode_row(SCHEMA, {"id": 1, "image": image, "more": 1})
    with pytest.raises(ValueError, match='Field id is not "nullable"'):
        encode_row(SCHEMA, {"id": None, "image": image})
    with pytest.raises(TypeError, match="expected a Unischema"):
        encode_row([ID], {"id": 1})


def test_spark_sees_the_columns_as_they_are_stored():
    types = pytest.importorskip("pyspark.sql.types")
    real = UnischemaField("money", Decimal, (), ScalarCodec(types.DecimalType(12, 3)), False)
    schema = Unischema("S", [*SCHEMA.fields.values(), real, UnischemaField("flag", np.bool_, ())])
    assert schema.as_spark_schema() == types.StructType([
        types.StructField("id", types.LongType(), False), types.StructField("image", types.BinaryType(), False),
        types.StructField("note", types.StringType(), True),
        types.StructField("money", types.DecimalType(12, 3), False),
        types.StructField("flag", types.BooleanType(), False),
    ])  # fmt: skip
    assert str(real.codec) == "ScalarCodec(DecimalType())"
    assert spark_types.record_of(types.DecimalType(12, 3)) == SparkType("DecimalType", 12, 3)
    with pytest.raises(ValueError, match="'v' has codec set to None"):
        Unischema("S", [UnischemaField("v", np.int8, (3,))]).as_spark_schema()
    with pytest.raises(ValueError, match="Was not able to map type"):
        Unischema("S", [UnischemaField("v", np.complex64, ())]).as_spark_schema()


def test_a_row_for_spark_has_the_order_of_the_schema():
    pyspark = pytest.importorskip("pyspark")
    row = dict_to_spark_row(Unischema("S", [NOTE, ID]), {"id": 3})
    assert isinstance(row, pyspark.Row)
    assert (row.__fields__, tuple(row)) == (["note", "id"], (None, 3))


def test_made_up_rows_fit_the_schema():
    fields = [
        UnischemaField("u", np.uint64, (2,)), UnischemaField("f", np.float16, (None, 3)),
        UnischemaField("s", np.str_, ()), UnischemaField("b", np.bool_, ()), UnischemaField("d", Decimal, ()),
        UnischemaField("t", np.datetime64, ()), ID, IMAGE,
    ]  # fmt: skip
    schema = Unischema("made", fields)
    row = generate_datapoint(schema)
    assert (row["u"].dtype, row["u"].shape, row["f"].shape, row["f"].dtype) == ("uint64", (2,), (13, 3), "float16")
    assert (type(row["s"]), type(row["d"]), type(row["t"])) == (np.str_, Decimal, np.datetime64)
    assert encode_row(Unischema("some", [ID, IMAGE]), {"id": row["id"], "image": row["image"]})["id"] == row["id"]


def test_a_mock_reader_gives_rows_without_end():
    with ReaderMock(SCHEMA, schema_data_generator_example) as reader:
        rows = [next(reader) for _ in range(3)]
        assert reader.next()._fields == ("id", "image", "note")
    assert not reader.batched_output
    assert rows[2].image.shape == (4, 5, 3)
    assert schema_data_generator_example(Unischema("S", [UnischemaField("d", Decimal, ())])) == {"d": Decimal("0.0")}
    with pytest.raises(ValueError, match="Sequence argument not supported for ReaderMock"):
        ReaderMock(SCHEMA, schema_data_generator_example, ngram=object())


def test_a_function_runs_in_a_process_of_its_own():
    assert run_in_subprocess(datetime.date, 2024, 1, day=2) == datetime.date(2024, 1, 2)


def test_a_script_without_a_main_guard_is_told_and_does_not_hang(tmp_path):
    script = "from loaders.petastorm.utils import run_in_subprocess\nprint(run_in_subprocess(abs, -2))\n"
    (tmp_path / "script.py").write_text(script)
    command, env = [sys.executable, tmp_path / "script.py"], {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)
    assert found.returncode == 1
    assert "BrokenProcessPool" in found.stderr
