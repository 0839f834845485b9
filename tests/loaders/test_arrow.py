"""Batches as Arrow record batches."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loaders import Field, FormatError, Shuffle, make_reader
from loaders.arrow import record_batches, to_record_batch

U8 = np.uint8


def test_every_sample_comes_with_its_values_and_nulls(train):
    with make_reader(train, batch_size=16, shuffle=Shuffle(seed=1)) as reader:
        table = pa.Table.from_batches(record_batches(reader))
    with make_reader(train, batch_size=112, shuffle=Shuffle(seed=1, lanes=16)) as reader:
        (plain,) = reader
    assert table.num_rows == 7 * 16
    assert table.schema.field("image").type == pa.fixed_shape_tensor(pa.uint8(), (6, 5, 3))
    assert table.schema.field("soft").type == pa.fixed_shape_tensor(pa.float32(), (3,))
    assert table.schema.field("votes").type == pa.map_(pa.string(), pa.int64())
    keep = table.filter(pa.compute.invert(table["is_pad"])).sort_by("number")
    assert keep["number"].to_pylist() == list(range(101))
    assert keep["weight"].null_count == 15
    assert keep["weight"][8].as_py() == 4.0
    assert keep["votes"][3].as_py() == [("cat", 3), ("dog", 1)]
    at = int(np.flatnonzero(plain["number"] == 8)[0])
    found = keep["image"].combine_chunks().to_numpy_ndarray()[8]
    np.testing.assert_array_equal(found, plain["image"][at])


def column(value: Any, field: Field | None = None) -> pa.Array:
    """Return one column as Arrow."""
    return to_record_batch({"a": value}, [] if field is None else [field]).column(0)


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_numbers_and_tensors_are_not_copied():
    pictures, numbers = np.zeros((4, 2, 3, 3), U8), np.arange(4.0)
    assert column(pictures).storage.flatten().buffers()[1].address == address(pictures)
    assert column(numbers).buffers()[1].address == address(numbers)
    masked = np.ma.MaskedArray(numbers, mask=[False, True, False, False])
    assert column(masked).buffers()[1].address == address(numbers)
    assert column(masked).to_pylist() == [0.0, None, 2.0, 3.0]


def test_a_row_of_nulls_is_a_null():
    masked = np.ma.MaskedArray(np.arange(4.0).reshape(2, 2), mask=[[True, True], [False, False]])
    assert column(masked).storage.to_pylist() == [None, [2.0, 3.0]]


def test_lists_of_numbers_are_lists():
    tokens = Field("a", pa.list_(pa.int32()), nullable=True)
    found = column([np.array([1, 2], np.int32), None, np.array([], np.int32)], tokens)
    assert found.type == tokens.type
    assert found.to_pylist() == [[1, 2], None, []]
    assert column([None, None], tokens).type == tokens.type


def test_arrays_of_different_shapes_keep_them():
    photo = Field("a", pa.binary(), codec="image", nullable=True)
    found = column([np.full((1, 2, 3), 7, U8), None], photo)
    assert found.to_pylist() == [{"data": [7] * 6, "shape": [1, 2, 3]}, None]
    assert found.type == column([None], photo).type


def test_dates_times_and_text_have_the_type_of_their_field():
    day = Field("a", pa.date32(), nullable=True)
    found = column(np.ma.MaskedArray(np.array(["2024-01-02"] * 2, "datetime64[D]"), mask=[False, True]), day)
    assert (found.type, found.to_pylist()) == (pa.date32(), [dt.date(2024, 1, 2), None])
    at = Field("a", pa.timestamp("us", tz="UTC"))
    assert column(np.array(["2024-01-02T03:04:05"], "datetime64[us]"), at).to_pylist() == [
        dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    ]
    assert column(["x", None], Field("a", pa.string(), nullable=True)).to_pylist() == ["x", None]
    assert column([["x"], []], Field("a", pa.list_(pa.string()))).to_pylist() == [["x"], []]


def test_what_a_transform_adds_has_a_type_of_its_own():
    assert column(np.array([1, 2], np.float16)).type == pa.float16()
    assert column(np.array([1.5]), Field("a", pa.int64())).type == pa.float64()
    assert column([{"x": 1}]).to_pylist() == [{"x": 1}]
    with pytest.raises(FormatError, match="column a has no Arrow form"):
        column([object()])
