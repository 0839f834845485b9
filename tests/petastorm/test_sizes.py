"""What values take once they are decoded, told from headers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from loaders.petastorm.codecs import CompressedImageCodec, CompressedNdarrayCodec, NdarrayCodec
from loaders.petastorm.sizes import decoded_bytes
from loaders.petastorm.unischema import UnischemaField


def picture(kind, side):
    field = UnischemaField("picture", np.uint8, (side, side, 3), CompressedImageCodec(kind))
    return bytes(field.codec.encode(field, np.zeros((side, side, 3), dtype=np.uint8)))


@pytest.mark.parametrize("kind", ["png", "jpeg"])
@pytest.mark.parametrize("sides", [(8, 8, 8), (8, 16, 8), (16,), ()])
def test_pictures(kind, sides):
    field = UnischemaField("picture", np.uint8, (None, None, 3), CompressedImageCodec(kind))
    values = pa.array([picture(kind, side) for side in sides], pa.binary())
    assert decoded_bytes(field, values).tolist() == [side * side * 3 for side in sides]


def test_a_dictionary_counts_each_use_and_a_null_nothing():
    field = UnischemaField("picture", np.uint8, (None, None, 3), CompressedImageCodec("png"))
    words = pa.array([picture("png", 8), picture("png", 16)])
    values = pa.DictionaryArray.from_arrays(pa.array([1, 0, None, 1]), words)
    assert decoded_bytes(field, values).tolist() == [768, 192, 0, 768]
    assert decoded_bytes(field, pa.array([picture("png", 8), None])).tolist() == [192, 0]


def test_what_is_no_picture_is_told_when_it_is_decoded():
    field = UnischemaField("picture", np.uint8, (None, None, 3), CompressedImageCodec("png"))
    assert decoded_bytes(field, pa.array([b"no picture", picture("png", 8)])).tolist() == [0, 192]


def test_arrays():
    zeros = np.zeros(1000)
    for codec, least, most in ((CompressedNdarrayCodec(), 8000, 8200), (NdarrayCodec(), 8000, 8200)):
        field = UnischemaField("array", np.float64, (None,), codec)
        (size,) = decoded_bytes(field, pa.array([bytes(codec.encode(field, zeros))])).tolist()
        assert least <= size <= most
    numbers = UnischemaField("number", np.int32, ())
    assert decoded_bytes(numbers, pa.array([1, 2, 3], pa.int32())).tolist() == [4, 4, 4]
