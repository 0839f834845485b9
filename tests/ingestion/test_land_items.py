"""What a program hands over is landed as files are: once, counted, as far as it came."""

from __future__ import annotations

import io
import json
import os

import pytest

import lakehouse as lh
from lakehouse.errors import ConfigError, IngestError
from lakehouse.ingestion.entities import entities
from tests.ingestion.files import landed, png, put, stored_objects
from tests.making import small_lake

COUNTS = {"seen": 0, "stored": 0, "duplicate": 0, "refused": 0}


def test_bytes_paths_and_streams_with_what_is_said_about_them(lake, tmp_path):
    path = put(tmp_path, "b.png", png(2))
    given = [("a/1.png", png(1), {"speaker": "ann", "taken": "2024-01-31", "score": float("nan")}),
             ("b.png", path, {}), ("c.png", io.BytesIO(png(3)), {"speaker": "bob"}), ("d.png", png(1), {})]  # fmt: skip
    source = lh.Source(name="made", folder="", form="items", licence="CC0", consent="given",
                       group_keys={"speaker": "speaker"}, captured_at="taken")  # fmt: skip
    assert lh.land_items(lake, source, iter(given)).counts == COUNTS | {"seen": 4, "stored": 3, "duplicate": 1}
    first = landed(lake, "path, uri, name, group_keys, sidecar_json, licence, consent, captured_at")[0]
    assert json.loads(first.pop("sidecar_json")) == {"speaker": "ann", "taken": "2024-01-31", "score": "NaN"}
    assert first.pop("captured_at").year == 2024
    assert first == {"path": "a/1.png", "uri": "items://made/a/1.png", "name": "1.png", "licence": "CC0",
                     "group_keys": [("speaker", "ann")], "consent": "given"}  # fmt: skip
    given[2] = ("c.png", io.BytesIO(png(3)), {"speaker": "bob"})
    again = lh.land_items(lake, source, given)
    assert (again.counts, again.rows_new) == (COUNTS | {"seen": 4, "duplicate": 4}, 0)
    assert set(stored_objects(lake).values()) == {png(1), png(2), png(3)}
    assert entities(lake).counts["stored"] == 3


def test_a_path_that_is_no_file_is_refused_and_stops_nothing(lake, tmp_path):
    put(tmp_path, "a.png", png(1))
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    os.mkfifo(tmp_path / "fifo")
    given = [(name, tmp_path / name, {}) for name in ("a.png", "link.png", "fifo", "none.png")]
    assert lh.land_items(lake, "made", given).counts == COUNTS | {"seen": 4, "stored": 1, "refused": 3}
    assert [row["rule"] for row in landed(lake)] == [None, "not_a_regular_file", "symlink", "unreadable"]


def test_what_was_committed_before_an_iterator_raised_stays(tmp_path):
    def failing():
        for number in range(600):
            yield f"{number}.bin", b"%d" % number, {}
        raise KeyError("of the caller")

    with small_lake(tmp_path / "lake", "land.files_per_commit=256") as lake:
        with pytest.raises(IngestError, match="raised KeyError: 'of the caller' after 600 items"):
            lh.land_items(lake, "made", failing())
        assert len(landed(lake)) == 512


@pytest.mark.parametrize(("given", "said"), [
    (("a", b"x"), "expected"), (("", b"x", {}), "no name"), (("a\0", b"x", {}), "no name"), (("a", 7, {}), "found int"),
    (None, ""),
])  # fmt: skip
def test_what_is_no_item_is_said(lake, given, said):
    if given is None:
        with pytest.raises(ConfigError, match="form = \"items\""):
            lh.land_items(lake, lh.Source(name="made", folder="x"), [])
        with pytest.raises(ConfigError, match="land_items"):
            lh.land(lake, lh.Source(name="made", folder="x", form="items"))
        return
    with pytest.raises(IngestError, match=f"item 1: .*{said}"):
        lh.land_items(lake, "made", [given])
