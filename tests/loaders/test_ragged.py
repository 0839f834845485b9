"""Arrays of different sizes as one array."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from loaders import Field, FormatError
from loaders.tensors.ragged import join, pad, varying_axes

I32 = np.int32


def test_lists_are_padded_with_zeros_and_keep_their_lengths():
    out, sizes = pad([np.array([1, 2, 3], I32), np.array([], I32), np.array([4], I32)], axes=1)
    assert out.tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]]
    assert sizes.tolist() == [[3], [0], [1]]
    assert (out.dtype, sizes.dtype) == (I32, np.int64)


def test_pictures_are_padded_below_and_to_the_right():
    wide, tall = np.full((1, 3, 3), 5, np.uint8), np.full((2, 1, 3), 7, np.uint8)
    out, sizes = pad([wide, tall], axes=2)
    assert out.shape == (2, 2, 3, 3)
    assert out[..., 0].tolist() == [[[5, 5, 5], [0, 0, 0]], [[7, 0, 0], [7, 0, 0]]]
    assert sizes.tolist() == [[1, 3], [2, 1]]


def test_lists_are_joined_end_to_end():
    flat, offsets = join([np.array([1, 2], I32), np.array([], I32), np.array([3], I32)])
    assert flat.tolist() == [1, 2, 3]
    assert offsets.tolist() == [0, 2, 2, 3]
    vectors, offsets = join([np.ones((2, 4)), np.zeros((1, 4))])
    assert vectors.shape == (3, 4)
    assert offsets.tolist() == [0, 2, 3]


def test_no_values_give_empty_arrays():
    out, sizes = pad([], axes=2)
    assert (out.shape, sizes.shape) == ((0, 0, 0), (0, 2))
    flat, offsets = join([])
    assert (flat.shape, offsets.tolist()) == ((0,), [0])


@pytest.mark.parametrize(
    "other", [np.zeros(3, np.int64), np.zeros((3, 1), I32), np.zeros((), I32)], ids=["dtype", "axes", "scalar"]
)
def test_values_that_do_not_fit_together_are_refused(other):
    with pytest.raises(FormatError, match="row 1 is"):
        pad([np.zeros(2, I32), other], axes=1)
    with pytest.raises(FormatError, match="row 1 is"):
        join([np.zeros(2, I32), other])


@pytest.mark.parametrize(
    ("field", "axes"),
    [
        (Field("a", pa.list_(pa.int64())), 1),
        (Field("a", pa.list_(pa.int64()), shape=(3,)), 0),
        (Field("a", pa.binary(), codec="image"), 2),
        (Field("a", pa.binary(), codec="image", shape=(None, 8, 3)), 1),
        (Field("a", pa.binary(), codec="image", shape=(8, None)), 2),
        (Field("a", pa.binary(), codec="image", shape=(8, 8)), 0),
        (Field("a", pa.binary(), codec="npy", dtype="float32"), None),
        (Field("a", pa.binary(), codec="npy", dtype="float32", shape=(None, 16)), 1),
        (Field("a", pa.binary(), codec="ndarray", dtype="float32", shape=(2, 2)), 0),
    ],
)
def test_the_axes_that_vary_follow_from_the_field(field, axes):
    assert varying_axes(field) == axes


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.string(), pa.int64(), pa.map_(pa.string(), pa.int64())])
def test_columns_without_arrays_are_refused(kind):
    with pytest.raises(FormatError, match="column a holds .* no arrays"):
        varying_axes(Field("a", kind))


def test_all_axes_may_vary():
    out, sizes = pad([np.ones((1, 2)), np.ones((3, 1))], axes=None)
    assert out.shape == (2, 3, 2)
    assert sizes.tolist() == [[1, 2], [3, 1]]
