"""Functions over arrays in queries: what is taken for an array, NULL, errors, pictures, the gate, the documentation."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.engines.array_functions import define_in_duckdb
from lakehouse.errors import QueryRefusedError, TensorError
from lakehouse.sql import user_query
from lakehouse.tensors import batches, opening
from lakehouse.tensors.decoding import Decoder
from lakehouse.tensors.listing import table
from lakehouse.tensors.registry import BUILT_IN
from lakehouse.tensors.value import as_struct, from_struct, ragged_column
from tests.making import small_lake

DOCS = Path(__file__).parents[2] / "docs" / "tensors.md"


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as opened:
        define_in_duckdb(opened, BUILT_IN.values(), Decoder())
        yield opened


def one(connection: duckdb.DuckDBPyConnection, expression: str) -> Any:
    row = connection.execute(f"select {expression}").fetchone()
    assert row is not None
    return from_struct(row[0]) if isinstance(row[0], dict) else row[0]


def png(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    Image.fromarray(array).save(held, "PNG")
    return held.getvalue()


def test_the_documentation_has_the_functions_that_there_are() -> None:
    assert DOCS.read_text(encoding="utf-8").endswith(table())


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("nd_mean([1, 2, 4.5])", 2.5),
        ("nd_shape([[1, 2, 3], [4, 5, 6]])", [2, 3]),
        ("nd_dtype([1::float])", "float32"),
        ("nd_dtype(nd_array([1, 2], 'uint8'))", "uint8"),
        ("nd_dtype(nd_add(nd_array([1, 2], 'uint8'), 1))", "uint8"),
        ("nd_dtype(nd_add(nd_array([1, 2], 'uint8'), 1.5))", "float64"),
        ("nd_list(nd_slice([1, 2, 3, 4], '-3:-1'))", [2.0, 3.0]),
        ("nd_list(nd_slice([[1, 2], [3, 4]], '?, ::-1', 1))", [4.0, 3.0]),
        ("nd_iou([0, 0, 2, 2]::double[4], [1, 1, 2, 2])", 1 / 7),
        ("nd_mean(NULL)", None),
        ("nd_mean({'dtype': 'uint8', 'shape': [1]::integer[1], 'bytes': 'a'::blob})", 97.0),
        ("nd_item(nd_add(18446744073709551615::ubigint, 0))", float(2**64)),
        ("nd_mean_axis([1, 2], NULL)", None),
        ("nd_list(nd_less(nd_array([1, 200], 'uint8'), 300))", [1.0, 1.0]),
    ],
)
def test_an_expression_has_the_value_of_numpy(
    connection: duckdb.DuckDBPyConnection, expression: str, value: object
) -> None:
    assert one(connection, expression) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("nd_dot([1, 2], [1, 2, 3])", r"nd_dot: row 0 of a batch of 1: ValueError: shapes \(2,\) and \(3,\) differ"),
        ("nd_min(nd_array([]))", "nd_min: row 0 .* zero-size array"),
        ("nd_sum_axis([1, 2], 3)", "nd_sum_axis: row 0 .* axis 3 is out of bounds"),
        ("nd_mean([1, NULL])", "nd_mean: row 0 .* a list with NULL in it"),
        ("nd_mean([[1.5, NULL]])", "nd_mean: row 0 .* a list with NULL in it"),
        ("nd_all([[true, NULL]])", "nd_all: row 0 .* a list with NULL in it"),
        ("nd_shape([NULL::double[]])", "nd_shape: row 0 .* a list with NULL in it"),
        ("nd_sum([['1', '2']])", "nd_sum: .* is no array; lists hold numbers"),
        ("nd_shape([[date '2026-01-01']])", "nd_shape: .* is no array; lists hold numbers"),
        ("nd_sum_axis([[1], [2]], [0, NULL])", "nd_sum_axis: row 0 .* an axis is a whole number, found None"),
        ("nd_sum_axis([[1], [2]], 0.9)", "an axis is a whole number, found 0.9"),
        ("nd_reshape([1, 2, 3, 4], [2.5, 2])", "a length is a whole number, found 2.5"),
        ("nd_clip_box([0, 0, 5, 5], -3, 3)", "width and height of at least 0"),
        ("nd_mean({'dtype': 'uint8', 'shape': ['a'], 'bytes': 'a'::blob})", "nd_mean: a shape is a list of whole"),
        ("nd_add(nd_array([1], 'uint8'), 300)", "nd_add: row 0 .* 300 is no uint8"),
        ("nd_slice([1, 2], 'drop')", "nd_slice: row 0 .* expected a whole number, found 'drop'"),
        ("nd_norm([1], 'l3')", "unknown norm 'l3'; known: l1, l2, linf"),
        ("nd_mean()", "No function matches"),
        ("nd_mean([1], 2, 3)", r"nd_mean: takes nd_mean\(x\), found 3 arguments"),
        ("nd_mean({'dtype': 'uint8', 'shape': [3], 'bytes': 'a'::blob})", r"uint8 \(3,\) has 3 bytes, found 1"),
        ("nd_mean({'dtype': 'object', 'shape': [1], 'bytes': 'a'::blob})", "no array of dtype 'object'"),
        ("nd_mean({'dtype': 'uint8', 'shape': [-1], 'bytes': ''::blob})", "negative length"),
        ("nd_mean(date '2026-01-01')", "is no array"),
        ("nd_mean('text')", "is no entity id"),
        ("nd_mean('text'::blob)", "has no array in SQL"),
    ],
)
def test_an_error_names_function_and_row(
    connection: duckdb.DuckDBPyConnection, expression: str, message: str
) -> None:
    with pytest.raises(duckdb.Error, match=message):
        one(connection, expression)


def test_the_row_that_is_wrong_is_found_among_others(connection: duckdb.DuckDBPyConnection) -> None:
    text = "select nd_dot([1, 2], case when i = 1234 then [1] else [3, 4] end) from range(2000) t(i)"
    with pytest.raises(duckdb.Error, match="row 1,234 of a batch of 2,000"):
        connection.execute(text).fetchall()


def test_rows_of_several_kinds_and_without_value_come_back_in_order(connection: duckdb.DuckDBPyConnection) -> None:
    arrays = [np.arange(n, dtype="int16" if n % 2 else "float32") + 1 for n in range(1, 9)]
    rows = pa.table({"n": range(8), "x": ragged_column(arrays)})
    connection.register("kinds", rows)
    found = connection.execute("select nd_max(case when n <> 5 then x end) from kinds order by n").fetchall()
    assert [value for (value,) in found] == [1, 2, 3, 4, 5, None, 7, 8]


def test_pictures_are_decoded_where_the_row_is_wanted_and_a_few_at_a_time(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.random.default_rng(1).integers(0, 255, (9, 7, 3)).astype(np.uint8)
    decoded = []

    def decode(value: object) -> np.ndarray:
        decoded.append(value)
        return Decoder()(value)

    monkeypatch.setattr(batches, "DECODED_BYTES", 2 * picture.nbytes)
    with duckdb.connect(":memory:") as own:
        define_in_duckdb(own, [BUILT_IN["nd_crop"], BUILT_IN["nd_sum"], BUILT_IN["nd_decode"]], decode)
        own.register("pictures", pa.table({"n": range(9), "image": [png(picture)] * 8 + [None]}))
        found = own.execute(
            "select nd_sum(nd_crop(image, [2, 1, 3, 4])) from pictures where n % 2 = 0 order by n"
        ).fetchall()
    assert found == 4 * [(float(picture[1:5, 2:5].sum()),)] + [(None,)]
    # Two at a time, and one that is like the one before is not decoded again.
    assert len(decoded) == 2
    assert (one(connection, f"nd_decode(unhex('{png(picture).hex()}'))") == picture).all()


def test_deep_pictures_keep_their_numbers(connection: duckdb.DuckDBPyConnection) -> None:
    deep = np.random.default_rng(2).integers(0, 1 << 16, (4, 5)).astype(np.uint16)
    held = io.BytesIO()
    # As TIFFs of the other order of bytes come.
    Image.frombytes("I;16B", (5, 4), deep.astype(">u2").tobytes()).save(held, "TIFF")
    found = [one(connection, f"nd_decode(unhex('{data.hex()}'))") for data in (png(deep), held.getvalue())]
    assert [(each.dtype, np.array_equal(each, deep)) for each in found] == 2 * [(np.uint16, True)]
    colour = np.stack([deep, deep // 2, deep // 3], axis=2)
    raster = b"P6 5 4 65535 " + colour.astype(">u2").tobytes()
    assert np.array_equal(one(connection, f"nd_decode(unhex('{raster.hex()}'))"), colour)


def test_an_entity_is_decoded_in_the_process_of_people_and_by_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.full((4, 5, 3), 9, np.uint8)
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "a.png").write_bytes(png(picture))
    root = tmp_path / "lake"
    text = "select nd_mean(entity_id) as mean, nd_shape(nd_slice(entity_id, ':2, ::-1')) as shape from silver.entities"
    with small_lake(root) as lake:
        lh.land(lake, lh.Source(name="drop", folder=str(drop)))
        lh.entities(lake)
        by_engine = lh.fetch(lake, text)
        with pytest.raises(TensorError, match="nd_mean: row 0 .* no entity 0000"):
            lh.fetch(lake, f"select nd_mean('{64 * '0'}') as x")
        with monkeypatch.context() as patched:
            patched.setattr(opening, "MOST_BYTES", 3)
            with pytest.raises(TensorError, match="more than the 3 of any file"):
                lh.fetch(lake, text)
    assert by_engine == user_query(root, text).to_pylist() == [{"mean": 9.0, "shape": [2, 5, 3]}]
    with pytest.raises(TensorError, match="nd_dot: row 0 of a batch of 1: ValueError: shapes"):
        user_query(root, "select nd_dot([1], [1, 2])")
    with pytest.raises(QueryRefusedError, match="function nd_men is not allowed in a query; did you mean `nd_mean`"):
        user_query(root, "select nd_men([1])")


def test_a_value_goes_into_sql_and_comes_back() -> None:
    for array in (np.zeros((0, 3), "uint16"), np.array(2.5), np.arange(6).reshape(2, 3).T):
        found = from_struct(as_struct(array))
        assert found is not None
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)
