"""Whole columns become what the codec gives for each value, and what a reader of batches gives."""

from __future__ import annotations

import datetime
import io
import tracemalloc
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from loaders.errors import DecodeError
from loaders.petastorm.codecs import (
    CompressedImageCodec,
    CompressedNdarrayCodec,
    DataframeColumnCodec,
    NdarrayCodec,
    ScalarCodec,
)
from loaders.petastorm.columns import batch_column, decode_column, rows_of
from loaders.petastorm.spark_types import SparkType
from loaders.petastorm.unischema import UnischemaField
from loaders.petastorm.utils import DecodeFieldError


def field(dtype, shape=(), codec=None) -> UnischemaField:
    return UnischemaField("x", dtype, shape, codec, True)


def same(found, wanted) -> bool:
    """Whether two columns are equal in values, types and shapes."""
    if isinstance(wanted, np.ndarray):
        return isinstance(found, np.ndarray) and (found.dtype, found.shape) == (wanted.dtype, wanted.shape) and (
            all(same(a, b) for a, b in zip(found, wanted, strict=True)) if found.dtype == object
            else bool(((found == wanted) | ((found != found) & (wanted != wanted))).all())
        )  # fmt: skip
    if isinstance(wanted, list):
        return isinstance(found, list) and all(same(a, b) for a, b in zip(found, wanted, strict=True))
    return type(found) is type(wanted) and (found == wanted or (found != found and wanted != wanted))


ARRAYS = [np.arange(6, dtype=np.float32).reshape(2, 3) + at for at in range(5)]
PICTURES = [np.full((4, 5, 3), at, dtype=np.uint8) for at in range(5)]
CODECS = [(NdarrayCodec(), ARRAYS), (CompressedNdarrayCodec(), ARRAYS), (CompressedImageCodec("png"), PICTURES)]


def stored(codec, values) -> pa.Array:
    return pa.array([None if value is None else bytes(codec.encode(
        field(value.dtype.type, value.shape), value)) for value in values], pa.binary())  # fmt: skip


@pytest.mark.parametrize(("codec", "values"), CODECS, ids=lambda one: str(one) if hasattr(one, "encode") else "")
def test_values_of_one_shape_are_one_array_however_they_are_stored(codec, values):
    declared, column = field(values[0].dtype.type, values[0].shape, codec), stored(codec, values)
    for form in (column, column.cast(pa.large_binary()), column.dictionary_encode(), pa.chunked_array([column])):
        found = decode_column(declared, form)
        assert same(found, np.stack(values))
        assert (found.flags.c_contiguous, found.flags.writeable, found.flags.aligned) == (True, True, True)
    assert same(decode_column(declared, column[1:4]), np.stack(values[1:4]))
    assert same(decode_column(declared, column.dictionary_encode()[1:4]), np.stack(values[1:4]))
    twice = column.dictionary_encode().take(pa.array([3, 0, 3]))
    assert same(decode_column(declared, twice), np.stack([values[3], values[0], values[3]]))
    assert same(decode_column(declared, column[:0]), np.stack(values)[:0])


@pytest.mark.parametrize(("codec", "values"), CODECS, ids=lambda one: str(one) if hasattr(one, "encode") else "")
def test_nulls_and_values_of_several_shapes_are_lists(codec, values):
    declared = field(values[0].dtype.type, (None, *values[0].shape[1:]), codec)
    ragged = [values[0], values[1][:1], values[2]]
    for wanted in (ragged, [None, *values[:2]], [None, None], [*ragged, None]):
        column = stored(codec, wanted)
        assert same(decode_column(declared, column), wanted)
        assert same(decode_column(declared, column.dictionary_encode()), wanted)


def test_rows_own_their_memory():
    declared = field(np.float32, (2, 3), NdarrayCodec())
    block = decode_column(declared, stored(NdarrayCodec(), ARRAYS))
    rows = rows_of(block)
    rows[0][:] = 9
    assert same(block, np.stack(ARRAYS))
    assert all(row.base is None for row in rows)
    repeated = stored(NdarrayCodec(), [ARRAYS[0], ARRAYS[1][:1]]).dictionary_encode().take(pa.array([0, 1, 0]))
    first, _, third = decode_column(field(np.float32, (None, 3), NdarrayCodec()), repeated)
    first[:] = 9
    assert same(third, ARRAYS[0])


@pytest.mark.parametrize("arrays", [
    [np.asfortranarray(array) for array in ARRAYS],
    [ARRAYS[0], ARRAYS[1].astype(np.float64)],
    [np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)],
    [np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(6, dtype=np.float32).reshape(3, 2)],
    [np.array(["a", "b"]), np.array(["c", "d"])],
    [np.arange(3, dtype=">i4"), np.arange(3, dtype=">i4")],
], ids=["fortran", "types", "empty", "one size", "text", "big endian"])  # fmt: skip
def test_every_kind_of_array_is_what_the_codec_decodes(arrays):
    column = stored(NdarrayCodec(), arrays)
    found = rows_of(decode_column(field(arrays[0].dtype.type, (None,) * arrays[0].ndim, NdarrayCodec()), column))
    assert same(found, arrays)


def test_arrays_without_axes_stay_arrays():
    found = decode_column(field(np.float32, (), NdarrayCodec()), stored(NdarrayCodec(), [np.zeros(()), np.ones(())]))
    assert same(rows_of(found), [np.zeros(()), np.ones(())])


US, DAY = "datetime64[us]", datetime.date(2024, 1, 2)
SINGLE = [
    (np.int32, pa.array([1, -2], pa.int32()), np.array([1, -2], np.int32)),
    (np.uint8, pa.array([1, 255], pa.int16()), np.array([1, 255], np.uint8)),
    (np.uint16, pa.array([1, 65535], pa.uint16()), np.array([1, 65535], np.uint16)),
    (np.int64, pa.array([1, None]), [np.int64(1), None]),
    (np.int32, pa.array([5, 7, 5], pa.int32()).dictionary_encode(), np.array([5, 7, 5], np.int32)),
    (np.float32, pa.array([0.1], pa.float64()), np.array([0.1], np.float32)),
    (np.float16, pa.array([0.5], pa.float16()), np.array([0.5], np.float16)),
    (np.bool_, pa.array([True, False]), np.array([True, False])),
    (np.bool_, pa.array([True, None]), [np.True_, None]),
    (np.str_, pa.array(["a", "\0b\0"]), [np.str_("a"), np.str_("\0b\0")]),
    (np.str_, pa.array(["a", None, "a"]).dictionary_encode(), [np.str_("a"), None, np.str_("a")]),
    (np.str_, pa.array(["a"], pa.large_string()), [np.str_("a")]),
    (np.str_, pa.array(["a"], pa.string_view()), [np.str_("a")]),
    (np.str_, pa.array([5]), [np.str_("5")]),
    (np.int64, pa.array(["5"]), np.array([5])),
    (np.bytes_, pa.array([b"a\0"]), [np.bytes_(b"a\0")]),
    (np.bytes_, pa.array([b"ab"], pa.binary(2)), [np.bytes_(b"ab")]),
    (Decimal, pa.array([Decimal("1.20"), None]), [Decimal("1.20"), None]),
    (Decimal, pa.array(["1.20"]), [Decimal("1.20")]),
    (np.datetime64, pa.array([DAY]), np.array([DAY], "datetime64[D]")),
    (np.datetime64, pa.array([DAY], pa.date64()), np.array([DAY], "datetime64[D]")),
    (np.datetime64, pa.array([7], pa.timestamp("us")), np.array([7], US)),
    (np.datetime64, pa.array([7], pa.timestamp("us", "Europe/Berlin")), np.array([7], US)),
    (np.timedelta64, pa.array([7], pa.duration("s")), np.array([7], "timedelta64[s]")),
    (np.object_, pa.array([{"a": 1}, None]), [{"a": 1}, None]),
    (np.object_, pa.array([None, None]), [None, None]),
    (np.object_, pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8())), [{"a": 1}]),
    (np.object_, pa.array([datetime.time(1, 2)]), [datetime.time(1, 2)]),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "values", "wanted"), SINGLE, ids=lambda one: str(getattr(one, "type", "")) or None)
def test_single_values_have_the_type_of_their_field(dtype, values, wanted):
    assert same(decode_column(field(dtype), values), wanted)
    assert same(decode_column(field(dtype, codec=ScalarCodec(SparkType("StringType"))), values), wanted)
    before = pa.concat_arrays([values[:1], values])
    assert same(rows_of(decode_column(field(dtype), before[1:])), rows_of(wanted))


LISTS = [
    (np.int64, (None,), pa.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]])),
    (np.int64, (None,), pa.array([[1, 2], [3]]), [np.array([1, 2]), np.array([3])]),
    (np.int64, (None,), pa.array([[1], None, []]), [np.array([1]), None, np.array([], np.int64)]),
    (np.int64, (None,), pa.array([[], []], pa.list_(pa.int64())), np.zeros((2, 0), np.int64)),
    (np.int64, (None,), pa.array([[1, None]]), np.array([[1, np.nan]])),
    (np.uint8, (None,), pa.array([[1, 2]], pa.list_(pa.int16())), np.array([[1, 2]], np.uint8)),
    (np.float32, (2,), pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2)), np.array([[1, 2], [3, 4]], np.float32)),
    (np.str_, (None,), pa.array([["a", "bc"]]), np.array([["a", "bc"]])),
    (np.int8, (None, 2), pa.array([[[1, 2]], [[3, 4]]], pa.list_(pa.list_(pa.int8(), 2))),
     np.array([[[1, 2]], [[3, 4]]], np.int8)),
    (np.float32, (2, 3), pa.FixedShapeTensorArray.from_numpy_ndarray(np.stack(ARRAYS)), np.stack(ARRAYS)),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "shape", "values", "wanted"), LISTS)
def test_lists_are_arrays(dtype, shape, values, wanted):
    assert same(decode_column(field(dtype, shape), values), wanted)
    if len(values) > 1:
        assert same(rows_of(decode_column(field(dtype, shape), values[1:])), rows_of(wanted)[1:])


def objects(*values) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = values if not any(isinstance(value, np.ndarray) for value in values) else None
    for at, value in enumerate(values):
        out[at] = value
    return out


BATCHES = [
    (pa.array([1, 2], pa.uint16()), np.array([1, 2], np.uint16)),
    (pa.array([1, None]), np.array([1, np.nan])),
    (pa.array([1, None], pa.float32()), np.array([1, np.nan], np.float32)),
    (pa.array([True, False]), np.array([True, False])),
    (pa.array([True, None]), objects(True, None)),
    (pa.array(["a", "bc"]), np.array(["a", "bc"])),
    (pa.array(["a", None]), objects("a", None)),
    (pa.array(["b", "a", "b"]).dictionary_encode(), np.array(["b", "a", "b"])),
    (pa.array([], pa.string()), np.array([], "<U1")),
    (pa.array([b"a"]), objects(b"a")),
    (pa.array([Decimal("1.5"), None]), objects(Decimal("1.5"), None)),
    (pa.array([DAY, None]), objects(DAY, None)),
    (pa.array([7, None], pa.timestamp("ns", "UTC")), np.array([7, "NaT"], "datetime64[ns]")),
    (pa.array([7], pa.timestamp("ms")), np.array([7], "datetime64[ms]")),
    (pa.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]])),
    (pa.array([[1, 2], [3]]), objects(np.array([1, 2]), np.array([3]))),
    (pa.array([[1], None]), objects(np.array([1]), None)),
    (pa.array([{"a": 1}]), objects({"a": 1})),
]  # fmt: skip


@pytest.mark.parametrize(("values", "wanted"), BATCHES, ids=lambda one: str(getattr(one, "type", "")) or None)
def test_batches_hold_stored_values_and_keep_nulls(values, wanted):
    found = batch_column(field(np.object_), values)
    assert same(found, wanted)
    assert found.flags.writeable


def test_batches_take_the_shape_of_their_field():
    values = pa.array([list(range(6)), list(range(6, 12))])
    assert same(batch_column(field(np.int64, (2, 3)), values), np.arange(12).reshape(2, 2, 3))
    with pytest.raises(DecodeFieldError, match='Decoding field "x" failed'):
        batch_column(field(np.int64, (2, 4)), values)


def test_one_long_text_does_not_blow_up_a_batch():
    values = pa.array(["a"] * 1000 + ["b" * 1_000_000])
    found = batch_column(field(np.str_), values)
    assert (found.dtype, found[0], len(found[-1])) == (np.dtype(object), "a", 1_000_000)


def test_an_error_names_field_and_row_and_keeps_its_cause():
    declared = field(np.float32, (2, 3), NdarrayCodec())
    good = stored(NdarrayCodec(), ARRAYS).to_pylist()
    for values, row in (([good[0], None, b"bad"], 2), ([b"bad"], 0), ([None, good[0], good[1], good[2][:-1]], 3)):
        for column in (pa.array(values, pa.binary()), pa.array(values, pa.binary()).dictionary_encode()):
            with pytest.raises(DecodeFieldError, match='^Decoding field "x" failed: ') as raised:
                decode_column(declared, column)
            assert (raised.value.row, raised.value.column, type(raised.value.__cause__)) == (row, "x", DecodeError)
    with pytest.raises(DecodeFieldError, match="300 is no uint8"):
        decode_column(field(np.uint8), pa.array([1, 300]))
    image = field(np.uint8, (4, 5, 3), CompressedImageCodec())
    with pytest.raises(DecodeFieldError) as raised:
        decode_column(image, pa.array([*stored(CompressedImageCodec(), PICTURES).to_pylist(), b"no picture"]))
    assert raised.value.row == 5


def test_a_picture_of_too_many_pixels_takes_no_memory():
    file = io.BytesIO()
    Image.new("1", (8_000, 5_001)).save(file, "PNG")
    with pytest.raises(DecodeFieldError, match="8000x5001 pixels are more than 40,000,000"):
        decode_column(field(np.uint8, (None, None), CompressedImageCodec()), pa.array([file.getvalue()]))


def test_a_codec_of_the_users_own_is_asked_value_by_value():
    class Doubled(DataframeColumnCodec):
        def encode(self, unischema_field, value):
            return value

        def decode(self, unischema_field, value):
            return np.full(2, int(value))

        def spark_dtype(self):
            return None

        def __str__(self):
            return "Doubled()"

    assert same(decode_column(field(np.int64, (2,), Doubled()), pa.array([b"1", b"2"])), np.array([[1, 1], [2, 2]]))
    with pytest.raises(DecodeFieldError, match="invalid literal"):
        decode_column(field(np.int64, (2,), Doubled()), pa.array([b"x"]))


def test_a_compressed_array_that_claims_far_more_than_its_field_is_refused_before_it_is_unpacked():
    field = UnischemaField("array", np.float32, (3,), CompressedNdarrayCodec(), False)
    good = CompressedNdarrayCodec().encode(field, np.zeros(3, dtype=np.float32))
    wide = UnischemaField("array", np.float32, (10**7,), CompressedNdarrayCodec(), False)
    bomb = CompressedNdarrayCodec().encode(wide, np.zeros(10**7, dtype=np.float32))
    tracemalloc.start()
    with pytest.raises(DecodeFieldError, match="an array of 40,000,128 bytes") as raised:
        decode_column(field, pa.array([bytes(good), bytes(bomb)]))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert raised.value.row == 1
