"""Answers that come as lines, as long as somebody sends them: whole batches, nothing twice, nothing unaccounted."""

from __future__ import annotations

import io
import json
import random
import sys
import threading
import time

import pytest

from jobs.cli import main
from lakehouse.errors import IngestError
from lakehouse.opinions.stream import Stream, batches, record_stream
from lakehouse.query import fetch
from tests.opinions.making import counts, land, said, versions

DESK = Stream(source="desk", question="animal", actor="human:ann", match="auto", rows=2, seconds=0)


def line(subject: str, label: str, **more: object) -> bytes:
    return json.dumps({"subject": subject, "label": label, **more}).encode() + b"\n"


def test_lines_become_opinions_batch_by_batch_and_adding_them_again_adds_nothing(photos):
    lines = [line(f"{number}.jpg", "cat", event_time="2024-05-01T10:00:00Z") for number in (1, 2, 3)]
    receipts = list(record_stream(photos, [*lines, b"\n"], DESK, max_rejected_share=0))
    assert [receipt.counts for receipt in receipts] == [counts(read=2, new=2), counts(read=1, new=1)]
    before = versions(photos)
    again = list(record_stream(photos, reversed(lines), DESK, max_rejected_share=0))
    assert sum(receipt.counts["same"] for receipt in again) == 3
    assert versions(photos) == before
    assert said(photos) == [("cat/1.jpg", "cat"), ("cat/2.jpg", "cat"), ("dog/3.jpg", "cat")]


def test_what_was_written_stays_when_a_later_batch_is_refused(photos):
    lines = [line("1.jpg", "cat"), line("2.jpg", "cat"), b"{", line("3.jpg", "dog")]
    with pytest.raises(IngestError, match="1 of 2 rows do not pass"):
        list(record_stream(photos, lines, DESK, max_rejected_share=0))
    assert said(photos) == [("cat/1.jpg", "cat"), ("cat/2.jpg", "cat")]


def test_of_1500_lines_with_a_tenth_malformed_every_one_is_accounted_for(photos):
    names = [f"p{number:04}.jpg" for number in range(1_300)]
    land(photos, names)
    broken = [b"{", b"[]", b"\xff\xfe{}", b'{"label": "cat"}', b'{"subject": "p0001.jpg"}', b'{"subject": 3}',
              line("p0002.jpg", "cat", votes=-1), line("p0003.jpg", "", ), line("p0004.jpg", "cat", wrong=1),
              line("p0005.jpg", "cat", event_time="yesterday")]  # fmt: skip
    lines = [line(name, "cat") for name in names] + [line(f"unknown{number}.jpg", "dog") for number in range(50)]
    lines += broken * 15
    random.Random(7).shuffle(lines)
    with pytest.raises(IngestError, match="do not pass"):
        list(record_stream(photos, lines, Stream(**{**_fields(DESK), "rows": 2_000}), max_rejected_share=0.05))
    assert fetch(photos, "select count(*) as n from silver.opinions") == [{"n": 0}]
    receipts = list(record_stream(photos, lines, Stream(**{**_fields(DESK), "rows": 400}), max_rejected_share=0.2))
    total = {name: sum(receipt.counts[name] for receipt in receipts) for name in receipts[0].counts}
    assert total == counts(read=1_500, new=1_300, rejected=150, unmatched=50)
    held = fetch(photos, "select (select count(*) from silver.opinions) as opinions, "
                 "(select count(*) from silver.rejected) as rejected, "
                 "(select count(*) from silver.parked_opinions) as parked, "
                 "(select sum(rows_read) from silver.batches) as read")[0]  # fmt: skip
    # A line that was refused for the same reason under the same number is one row.
    assert (held["opinions"], held["parked"], held["read"]) == (1_300, 50, 1_500)
    assert held["rejected"] == 150


def test_a_batch_is_written_when_its_first_line_has_waited_long_enough():
    arrived = threading.Event()

    def slow():
        yield b"a\n"
        arrived.wait(10)
        yield b"b\n"

    found = batches(slow(), rows=10, seconds=0.05)
    started = time.monotonic()
    assert next(found) == [(1, b"a\n")]
    assert time.monotonic() - started < 5
    arrived.set()
    assert list(found) == [[(2, b"b\n")]]


def test_lines_before_a_broken_source_are_written_and_the_break_is_an_error():
    def breaking():
        yield b"a\n"
        raise OSError("gone")

    found = batches(breaking(), rows=10, seconds=0)
    assert next(found) == [(1, b"a\n")]
    with pytest.raises(OSError, match="gone"):
        next(found)


def test_the_command_reads_the_standard_input(photos, monkeypatch, capsys):
    text = line("1.jpg", "cat") + line("3.jpg", "dog")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    lake = ["--lake", str(photos.root), "--source", "desk", "--question", "animal", "--actor", "human:ann"]
    assert main(["opinions", "record", *lake, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == counts(read=2, new=2)
    assert main(["opinions", "record", *lake, "--said-at", "noon"]) == 1
    assert "--said-at" in capsys.readouterr().err


def _fields(stream: Stream) -> dict[str, object]:
    return {name: getattr(stream, name) for name in stream.__slots__}
