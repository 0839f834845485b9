"""Files of which a tenth is malformed: every row is accounted for, and the rest comes in."""

from __future__ import annotations

import json

import pytest

import lakehouse as lh
from lakehouse.query import fetch
from tests.opinions.making import counts, csv_source, jsonl_source, land

ROWS = 1_500

BROKEN_JSON = (
    b"{", b"[]", b'{"subject": 5, "label": "cat"}', b'{"subject": "1.jpg"}', b"\xff\xfe{}", b'{"label": "cat"}',
    b'{"subject": "1.jpg", "label": NaN}', b'{"subject": "1.jpg", "label": "a", "label": "b"}',
    b'{"subject": "1.jpg", "label": "cat", "event_time": "soon"}', b'{"subject": "1.jpg", "labels": "cat"}',
)  # fmt: skip
BROKEN_CSV = (
    b"only", b"1.jpg,cat,0.5,more", b"1.jpg,,0.5", b"1.jpg,cat,much", b"\xff\xfe,cat,0.5", b",cat,0.5",
    b'1.jpg,"cat"x,0.5', b"1.jpg,cat,7", b"1.jpg,NA,0.5", b"1.jpg,c\x00t,0.5",
)  # fmt: skip


def good(number: int, kind: str) -> bytes:
    # Of 15 rows one is about a thing that nobody knows.
    name = f"{number}.jpg" if number % 15 else f"unknown{number}.jpg"
    if kind == "csv":
        return f"{name},cat,0.5".encode()
    return json.dumps({"subject": name, "label": "cat", "confidence": 0.5}).encode()


@pytest.mark.parametrize(("kind", "broken"), [("csv", BROKEN_CSV), ("jsonl", BROKEN_JSON)])
def test_of_1500_rows_with_a_tenth_malformed_none_is_unaccounted_for(lake, tmp_path, kind, broken):
    lines = [broken[place // 10 % 10] if place % 10 == 5 else good(place, kind) for place in range(ROWS)]
    known = [f"{place}.jpg" for place in range(ROWS) if place % 15]
    land(lake, known)
    head = b"subject,label,confidence\n" if kind == "csv" else b""
    path = tmp_path / f"answers.{kind}"
    if kind == "csv":
        columns = {name: name for name in ("subject", "label", "confidence")}
        source = csv_source(path, head + b"\n".join(lines) + b"\n", options={"columns": columns})
    else:
        source = jsonl_source(path, "")
        path.write_bytes(b"\n".join(lines) + b"\n")
    receipt = lh.opinions(lake, lh.OpinionSource(**{
        name: getattr(source, name) for name in ("format", "path", "question", "actor", "source", "options")
    }, max_rejected_share=0.2))  # fmt: skip
    unmatched = sum(1 for place in range(ROWS) if place % 10 != 5 and not place % 15)
    assert receipt.counts == counts(
        read=ROWS, rejected=150, unmatched=unmatched, new=ROWS - 150 - unmatched
    )
    held = fetch(lake, "select (select count(*) from silver.opinions) as opinions, "
                 "(select count(*) from silver.rejected) as rejected, "
                 "(select count(*) from silver.parked_opinions) as parked")[0]  # fmt: skip
    assert sum(held.values()) == ROWS
    rules = {row["rule"] for row in fetch(lake, "select distinct rule from silver.rejected")}
    assert len(rules) >= 6
