"""Codecs store what they are given and give it back; what does not fit is refused as Petastorm does."""

from __future__ import annotations

import datetime
import io
import zipfile
import zlib
from decimal import Decimal

import cv2
import numpy as np
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
from loaders.petastorm.spark_types import SparkType
from loaders.petastorm.unischema import UnischemaField

ARRAYS = (NdarrayCodec(), CompressedNdarrayCodec())


def field(dtype, shape=(), codec=None) -> UnischemaField:
    return UnischemaField("x", dtype, shape, codec, False)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def scalar(name: str) -> ScalarCodec:
    return ScalarCodec(SparkType(name))


@pytest.mark.parametrize("codec", ARRAYS, ids=str)
@pytest.mark.parametrize("value", [
    np.arange(6, dtype=np.float32).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.zeros((0, 3), np.int8), np.zeros((2, 0, 4)), np.array(7, dtype=np.uint16), np.array([True, False]),
    np.array(["a", "bcd"]), np.array([b"a", b"\0"]), np.array([1 + 2j]), np.arange(3, dtype=">i4"),
    np.array(["2024-01-02"], dtype="datetime64[ns]"),
], ids=lambda value: f"{value.dtype}{value.shape}")  # fmt: skip
def test_arrays_come_back_as_they_were(codec, value):
    stored = codec.encode(field(value.dtype.type, value.shape), value)
    assert isinstance(stored, bytearray)
    found = codec.decode(None, bytes(stored))
    np.testing.assert_array_equal(found, value)
    assert (found.dtype, found.shape) == (value.dtype, value.shape)
    assert found.flags.writeable
    assert found.flags.aligned


@pytest.mark.parametrize("codec", ARRAYS, ids=str)
def test_arrays_are_stored_as_numpy_stores_them(codec):
    value = np.arange(6, dtype=np.int16).reshape(2, 3)
    found = np.load(io.BytesIO(codec.encode(field(np.int16, (None, 3)), value)), allow_pickle=False)
    np.testing.assert_array_equal(found if codec is ARRAYS[0] else found["arr"], value)


@pytest.mark.parametrize("codec", ARRAYS, ids=str)
def test_arrays_that_are_not_the_fields_are_refused(codec):
    for value, message in (
        (np.zeros((2, 3), np.float64), "Unexpected type of x feature. Expected <class 'numpy.float32'>. Got float64"),
        (np.zeros((2, 4), np.float32), "Unexpected dimensions of x feature. Expected \\(None, 3\\). Got \\(2, 4\\)"),
        (np.zeros(3, np.float32), "Unexpected dimensions of x feature"),
        ([[1.0, 2.0, 3.0]], "Unexpected type of x feature. Expected ndarray of .* Got <class 'list'>"),
    ):
        with pytest.raises(ValueError, match=message):
            codec.encode(field(np.float32, (None, 3)), value)
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        codec.encode(field(np.object_, (1,)), np.array([{}], dtype=object))


def npy(value: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, value, **options)
    return file.getvalue()


def zipped(name="arr.npy", content=None, method=zipfile.ZIP_DEFLATED, extra=None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, npy(np.arange(9)) if content is None else content)
        if extra:
            archive.writestr(extra, b"x")
    return file.getvalue()


def test_a_pickle_inside_an_array_is_never_loaded():
    pickled = npy(np.array([{}], dtype=object), allow_pickle=True)
    for codec, raw in zip(ARRAYS, (pickled, zipped(content=pickled)), strict=True):
        with pytest.raises(DecodeError, match="Object arrays are pickles, which are never loaded"):
            codec.decode(None, raw)


def test_damaged_arrays_are_refused():
    raw = npy(np.arange(9))
    for damaged in (b"", b"\x93NUMPY", raw[:50], raw[:-1], b"x" + raw, raw.replace(b"<i8", b"<i9"),
                    raw.replace(b"(9,)", b"(99)"), raw.replace(b"'<i8'", b"[(1)]")):  # fmt: skip
        with pytest.raises(DecodeError):
            NdarrayCodec().decode(None, damaged)


def test_damaged_archives_are_refused_and_bombs_take_no_memory():
    raw = zipped()
    middle = bytearray(raw)
    middle[60] ^= 1
    claims = bytearray(raw)
    at = raw.index(b"PK\1\2") + 24
    claims[at : at + 4] = (1 << 29).to_bytes(4, "little")  # half a gigabyte, it says
    bomb = zipped(content=npy(np.zeros(1)) + bytes(50_000_000))
    at = bomb.index(b"PK\1\2") + 24
    bomb = bomb[:at] + (200).to_bytes(4, "little") + bomb[at + 4 :]
    for damaged in (b"", raw[:-1], raw[:40], bytes(middle), bytes(claims), bomb, zipped("other.npy"), zipped(extra="b"),
                    zipped(method=zipfile.ZIP_LZMA), zipped(content=b"no array"), b"PK\5\6" + bytes(18)):  # fmt: skip
        with pytest.raises(DecodeError):
            CompressedNdarrayCodec().decode(None, damaged)
    stored = zipped(method=zipfile.ZIP_STORED)
    np.testing.assert_array_equal(CompressedNdarrayCodec().decode(None, stored), np.arange(9))


PICTURES = [(kind, dtype, shape) for kind, dtype in (("png", np.uint8), ("png", np.uint16), ("bmp", np.uint8))
            for shape in ((9, 7), (9, 7, 3), (1, 1), (1, 300, 3))]  # fmt: skip


@pytest.mark.parametrize(("kind", "dtype", "shape"), PICTURES)
def test_pictures_come_back_as_they_were_and_others_see_the_same(rng, kind, dtype, shape):
    value = rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    codec = CompressedImageCodec(kind)
    stored = bytes(codec.encode(field(dtype, (None,) * len(shape)), value[::-1]))
    theirs = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED)
    found = codec.decode(None, stored)
    np.testing.assert_array_equal(found, value[::-1])
    assert (found.dtype, found.flags.c_contiguous, found.flags.writeable) == (dtype, True, True)
    if kind == "png":  # of BMP it makes three channels
        np.testing.assert_array_equal(theirs if theirs.ndim == 2 else theirs[:, :, ::-1], found)


@pytest.mark.parametrize("shape", [(64, 48), (64, 48, 3)])
@pytest.mark.parametrize("kind", ["jpeg", "jpg", "png"])
def test_pictures_of_opencv_are_decoded_to_the_same_pixels(rng, kind, shape):
    value = cv2.GaussianBlur(rng.integers(0, 256, shape, dtype=np.uint8), (7, 7), 3)
    stored = bytes(cv2.imencode(f".{kind}", value)[1])
    theirs = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED)
    found = CompressedImageCodec(kind).decode(None, stored)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, theirs if theirs.ndim == 2 else theirs[:, :, ::-1])


def test_the_quality_of_a_jpeg_is_that_of_the_codec(rng):
    value = cv2.GaussianBlur(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), (7, 7), 3)
    declared = field(np.uint8, value.shape)
    low, high = (bytes(CompressedImageCodec("jpeg", quality).encode(declared, value)) for quality in (20, 95))
    assert len(low) < len(high) / 2
    theirs = cv2.imencode(".jpg", value[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 20])[1]
    tables = [Image.open(io.BytesIO(raw)).quantization for raw in (low, bytes(theirs))]
    assert tables[0] == tables[1]


def test_pictures_that_are_not_the_fields_are_refused():
    codec = CompressedImageCodec("png")
    for value, message in (
        (np.zeros((4, 5), np.int8), "Unexpected type of x feature, expected <class 'numpy.uint8'>, got int8"),
        (np.zeros((4, 6), np.uint8), "Unexpected dimensions of x feature, expected \\(4, 5\\), got \\(4, 6\\)"),
    ):
        with pytest.raises(ValueError, match=message):
            codec.encode(field(np.uint8, (4, 5)), value)
    with pytest.raises(ValueError, match="Unexpected image dimensions. Supported dimensions are"):
        codec.encode(field(np.uint8, (4, 5, 4)), np.zeros((4, 5, 4), np.uint8))
    with pytest.raises(ValueError, match="cannot be stored as jpeg"):
        CompressedImageCodec("jpeg").encode(field(np.uint16, (4, 5)), np.zeros((4, 5), np.uint16))
    with pytest.raises(ValueError, match="unknown image codec 'exr'"):
        CompressedImageCodec("exr").encode(field(np.uint8, (4, 5)), np.zeros((4, 5), np.uint8))


def png(width: int, height: int, *, colour: int = 2, rows: bytes = b"") -> bytes:
    parts = ((b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, colour, 0, 0, 0))),
             (b"IDAT", zlib.compress(rows)), (b"IEND", b""))  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big") for name, body in parts
    )


def test_damaged_pictures_bombs_and_alpha_are_refused(rng):
    pixels = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    good = bytes(CompressedImageCodec().encode(field(np.uint8, pixels.shape), pixels))
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 4
    alpha = io.BytesIO()
    Image.new("RGBA", (4, 4)).save(alpha, "PNG")
    for raw in (b"", b"no picture", good[:-30], good[: len(good) // 2], bytes(flipped), png(9_000, 5_000),
                png(2, 2, rows=b"\0" * 5), png(2, 2, rows=b"\7" + b"\0" * 13), alpha.getvalue()):  # fmt: skip
        with pytest.raises(DecodeError):
            CompressedImageCodec().decode(None, raw)


@pytest.mark.parametrize(("codec", "dtype", "value", "stored"), [
    (scalar("IntegerType"), np.int32, np.int32(5), 5),
    (scalar("LongType"), np.int64, np.array(5), 5),
    (scalar("DoubleType"), np.float64, np.float32(0.5), 0.5),
    (scalar("BooleanType"), np.bool_, np.bool_(True), True),
    (scalar("StringType"), np.str_, np.str_("text"), "text"),
    (scalar("BinaryType"), np.bytes_, b"bytes", b"bytes"),
    (scalar("DecimalType"), Decimal, Decimal("1.50"), Decimal("1.50")),
    (scalar("DateType"), np.datetime64, datetime.date(2024, 1, 2), datetime.date(2024, 1, 2)),
])  # fmt: skip
def test_single_values_are_stored_in_pythons_types_and_come_back_in_the_fields(codec, dtype, value, stored):
    found = codec.encode(field(dtype), value)
    assert (found, type(found)) == (stored, type(stored))
    back = codec.decode(field(dtype), found)
    assert back == (np.datetime64(value) if dtype is np.datetime64 else value)
    assert isinstance(back, dtype)


def test_single_values_may_not_be_several():
    for value in ([1], np.zeros(1), b"bytes"):
        with pytest.raises(TypeError, match="Expected a scalar as a value for field 'x'"):
            scalar("IntegerType").encode(field(np.int32), value)
    with pytest.raises(ValueError, match="must be an empty tuple"):
        scalar("IntegerType").encode(field(np.int32, (1,)), 1)
    with pytest.raises(ValueError, match="Expected a string value for field x. Got type <class 'int'>"):
        scalar("StringType").encode(field(np.str_), 1)


def test_codecs_say_how_they_are_made():
    made = [CompressedImageCodec("jpeg", 55), *ARRAYS, scalar("LongType"), ScalarCodec(SparkType("DecimalType", 9, 2))]
    assert list(map(str, made)) == [
        "CompressedImageCodec('jpeg', 55)", "NdarrayCodec()", "CompressedNdarrayCodec()", "ScalarCodec(LongType())",
        "ScalarCodec(DecimalType(9,2))",
    ]  # fmt: skip
    assert made[0].image_codec == "jpeg"
    assert all(isinstance(codec, DataframeColumnCodec) for codec in made)


def test_codecs_give_the_types_of_spark():
    types = pytest.importorskip("pyspark.sql.types")
    assert [codec.spark_dtype() for codec in (CompressedImageCodec(), *ARRAYS)] == [types.BinaryType()] * 3
    assert ScalarCodec(types.ShortType()).spark_dtype() == scalar("ShortType").spark_dtype() == types.ShortType()
    assert ScalarCodec(types.ShortType()).encode(field(np.int16), np.int16(3)) == 3
