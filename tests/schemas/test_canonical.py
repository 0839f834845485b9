"""Canonical JSON, ids, hashes and buckets: golden values, because other programs and older lakes rely on them."""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import bucket, canonical_json, content_id, row_hash
from schemas.model import ROW_HASH, TIMESTAMP, Column, Table

BERLIN = timezone(timedelta(hours=2))

THINGS = Table(
    name="silver.things",
    doc="One thing.",
    columns=(
        Column("thing_id", pa.string(), "Id."),
        Column("share", pa.float64(), "Share.", null="unknown"),
        Column("tags", pa.map_(pa.string(), pa.string()), "Tags.", null="unknown"),
        Column("seen_at", TIMESTAMP, "Seen.", null="unknown"),
        Column("ingest_time", TIMESTAMP, "Learned.", clock=True),
        ROW_HASH,
    ),
    key=("thing_id",),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (2**63, "9223372036854775808"),
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e-7, "1e-07"),
        (-2.5, "-2.5"),
        (2.0**53 - 1, "9007199254740991"),
        (2.0**53, "9007199254740992.0"),
        (1e22, "1e+22"),
        (Decimal("1.50"), "1.5"),
        ("", '""'),
        ("é", '"é"'),
        ("e\u0301", '"é"'),
        ('a"b\\\n\t\u0001', r'"a\"b\\\n\t\u0001"'),
        ("😀/\u2028", '"😀/\u2028"'),
        (b"\x00\xff", '"00ff"'),
        ([], "[]"),
        ((1, None), "[1,null]"),
        ({}, "{}"),
        ({"b": 1, "a": [2, {"z": 0, "A": None}]}, '{"a":[2,{"A":null,"z":0}],"b":1}'),
        ({"e\u0301": 1}, '{"é":1}'),
        (datetime(2024, 2, 29, 23, 59, 59, 123456, UTC), '"2024-02-29T23:59:59.123456Z"'),
        (datetime(2024, 1, 1, tzinfo=BERLIN), '"2023-12-31T22:00:00.000000Z"'),
        (datetime(7, 1, 2, tzinfo=UTC), '"0007-01-02T00:00:00.000000Z"'),
    ],
)
def test_every_value_has_one_text(value, text):
    assert canonical_json(value) == text


def test_keys_are_sorted_by_code_point_and_not_by_utf_16():
    # U+FF61 sorts after U+1F600 in UTF-16, before it by code point.
    assert canonical_json({"\U0001f600": 1, "\uff61": 2, "Z": 3, "a": 4}) == '{"Z":3,"a":4,"\uff61":2,"\U0001f600":1}'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, Decimal("NaN")])
def test_numbers_that_are_not_finite_are_refused(number):
    with pytest.raises(ValueError, match="finite"):
        canonical_json({"x": [number]})


@pytest.mark.parametrize("value", [{1: "a"}, {None: "a"}, {("a",): 1}])
def test_keys_that_are_not_text_are_refused(value):
    with pytest.raises(TypeError, match="text keys"):
        canonical_json(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, datetime(2024, 1, 1).date()])
def test_a_type_without_a_canonical_form_is_refused(value):
    with pytest.raises(TypeError, match="no canonical JSON"):
        canonical_json(value)


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        canonical_json(datetime(2024, 1, 1))


def test_two_keys_that_are_the_same_text_are_refused():
    with pytest.raises(ValueError, match="same text"):
        canonical_json({"é": 1, "e\u0301": 2})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(max_codepoint=0x2FF), max_size=5), inner, max_size=4),
    max_leaves=12,
)


def normal(value):
    """What reading canonical JSON gives back: NFC text, lists, and numbers compared by value."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, dict):
        return {normal(key): normal(item) for key, item in value.items()}
    return value


@given(JSON)
def test_canonical_text_reads_back_equal_and_is_a_fixed_point(value):
    text = canonical_json(value)
    assert json.loads(text) == normal(value)
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text(max_size=3).filter(str.isascii), st.integers(), max_size=6), st.randoms())
def test_the_order_of_keys_changes_nothing(record, random):
    items = list(record.items())
    random.shuffle(items)
    assert content_id(dict(items)) == content_id(record)


def test_a_content_id_is_the_start_of_the_sha_256_of_the_canonical_text():
    assert content_id({"b": 1, "a": "é"}) == hashlib.sha256('{"a":"é","b":1}'.encode()).hexdigest()[:32]
    assert content_id(None) == "74234e98afe7498fb5daf1f36ac2d78a"
    assert content_id(["land", 1.0], digits=8) == "6185383b"


def test_bucket_golden_values():
    assert bucket("a", 0) == 0xBAE94BAFED1EC
    assert bucket("é", 7) == int(hashlib.md5("é|7".encode()).hexdigest()[:13], 16)
    assert bucket("", -1) == int(hashlib.md5(b"|-1").hexdigest()[:13], 16)


@given(st.text(max_size=20), st.integers(-(2**63), 2**63 - 1))
def test_a_bucket_is_exact_in_a_double(identity, seed):
    identity = identity.encode("utf-8", "replace").decode()
    assert 0 <= bucket(identity, seed) < 2**52


ROW = {
    "thing_id": "a",
    "share": 1.0,
    "tags": {"b": "2", "a": "1"},
    "seen_at": datetime(2024, 1, 1, tzinfo=UTC),
    "ingest_time": datetime(2025, 1, 1, tzinfo=UTC),
}
GOLDEN = '{"seen_at":"2024-01-01T00:00:00.000000Z","share":1,"tags":{"a":"1","b":"2"},"thing_id":"a"}'


def test_a_row_hash_is_the_sha_256_of_the_row_without_clocks():
    assert row_hash(ROW, THINGS) == hashlib.sha256(GOLDEN.encode()).hexdigest()


def test_clock_columns_and_the_hash_itself_do_not_change_the_hash():
    later = ROW | {"ingest_time": datetime(2030, 1, 1, tzinfo=UTC), "row_hash": "anything"}
    assert row_hash(later, THINGS) == row_hash(ROW, THINGS)


def test_columns_the_table_does_not_have_do_not_change_the_hash():
    assert row_hash(ROW | {"extra": 1}, THINGS) == row_hash(ROW, THINGS)


def test_a_missing_column_hashes_as_null():
    assert row_hash({"thing_id": "a"}, THINGS) == row_hash({"thing_id": "a", "share": None, "tags": None}, THINGS)


def test_null_and_empty_hash_differently():
    assert row_hash(ROW | {"tags": {}}, THINGS) != row_hash(ROW | {"tags": None}, THINGS)


def test_a_map_hashes_alike_as_dict_and_as_the_pairs_that_arrow_hands_out():
    pairs = ROW | {"tags": [("b", "2"), ("a", "1")]}
    assert row_hash(pairs, THINGS) == row_hash(ROW, THINGS)


def test_a_row_that_went_through_arrow_keeps_its_hash():
    complete = ROW | {"row_hash": row_hash(ROW, THINGS)}
    back = pa.Table.from_pylist([complete], schema=THINGS.arrow_schema).to_pylist()[0]
    assert row_hash(back, THINGS) == complete["row_hash"]
