"""Digests: content in three numbers, whatever the order and the number of commits."""

from __future__ import annotations

import hashlib
import itertools
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.tables.digest import relation_digest
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import digest_at, head, open_table, table_path
from lakehouse.verification.facts import commit_facts, digest_from_metadata
from schemas.digest import Digest, parse_digest
from schemas.tables import ACTORS
from tests.making import small_lake

digests = st.builds(Digest, st.integers(0, 2**40), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


def digest_of(hashes) -> Digest:
    """The definition, in plain Python: sums of bytes 0-7 and 8-15."""
    raw = [bytes.fromhex(each) for each in hashes]
    low, high = (sum(int.from_bytes(each[start : start + 8]) for each in raw) % 2**64 for start in (0, 8))
    return Digest(len(raw), low, high)


def row(number: int) -> dict[str, object]:
    return {"actor_id": f"human:{number}", "kind": "human", "name": "Ä" * number}


@given(digests, digests, digests)
def test_digests_add_up_in_any_order(a, b, c):
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Digest() == a


@given(digests)
def test_a_digest_reads_back_equal(digest):
    assert parse_digest(str(digest)) == digest


@given(digests)
def test_a_commit_carries_its_digest(digest):
    facts = commit_facts(step="land", engine="embedded", added=3, digest=digest, version=7, previous="0" * 64)
    text = json.dumps({"petrel": facts})
    assert digest_from_metadata(text, 7) == digest
    assert digest_from_metadata(text, 8) is None


@pytest.mark.parametrize("text", [None, "", "{", "null", "[]", '{"petrel": null}', '{"petrel": {"digest": "1-2"}}',
                                  '{"petrel": {"digest": "x-y-z"}}', '{"petrel": {"digest": 3}}', "3"])
def test_a_commit_of_somebody_else_carries_none(text):
    assert digest_from_metadata(text, 1) is None


def test_the_digest_of_no_rows_is_zero(lake):
    assert digest_at(lake, ACTORS, head(lake.root, ACTORS)) == Digest()


def test_the_digest_of_a_table_is_the_sum_over_its_row_hashes_also_past_2_to_the_64(lake):
    written = insert_rows(lake, ACTORS, [row(number) for number in range(40)], step="test")
    rows = open_table(lake.root, ACTORS).to_pyarrow_table().to_pylist()
    expected = digest_of(each["row_hash"] for each in rows)
    assert sum(int(each["row_hash"][:16], 16) for each in rows) > 2**64
    assert written.digest == str(expected)
    assert digest_at(lake, ACTORS, written.version_after) == expected
    scanned = lake.engine.scan(table_path(lake.root, ACTORS), written.version_after)
    assert relation_digest(lake.engine, scanned) == expected


def test_order_and_number_of_commits_leave_the_digest_alone(tmp_path):
    found = set()
    for place, order in enumerate(itertools.permutations(range(3))):
        with small_lake(tmp_path / str(place)) as lake:
            for number in order[: place % 3]:
                insert_rows(lake, ACTORS, [row(number)], step="test")
            insert_rows(lake, ACTORS, [row(number) for number in order], step="test")
            found.add(str(digest_at(lake, ACTORS, head(lake.root, ACTORS))))
    assert len(found) == 1


def test_the_digest_of_an_old_version_stays(lake):
    first = insert_rows(lake, ACTORS, [row(1)], step="test")
    insert_rows(lake, ACTORS, [row(2)], step="test")
    assert str(digest_at(lake, ACTORS, first.version_after)) == first.digest


def test_halves_of_every_sign_bit_are_unsigned(lake):
    hashes = ["f" * 64, "8" + "0" * 63, "0" * 16 + "f" * 48, "0" * 64, hashlib.sha256(b"x").hexdigest()]
    rows = lake.engine.from_arrow(pa.table({"row_hash": hashes}))
    assert relation_digest(lake.engine, rows) == digest_of(hashes)
