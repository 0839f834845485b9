"""Symbolic links of a source: refused with a reason, or followed as far as they may lead, each folder once."""

from __future__ import annotations

import os

import pyarrow as pa
import pytest

from lakehouse.errors import ConfigError, IngestError
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.listing import list_folder
from lakehouse.ingestion.sources.source import source_from
from lakehouse.ingestion.storing.pending import StorePlan
from lakehouse.ingestion.storing.store import LISTED_SCHEMA, store_batches
from tests.ingestion.files import landed, png, put, source
from tests.making import START


@pytest.fixture
def cached(tmp_path):
    """A folder whose pictures are links into a cache beside it, as DVC and Hugging Face lay them out."""
    put(tmp_path / ".cache" / "ab", "c1", png(1))
    put(tmp_path / ".cache" / "ab", "c2", png(2))
    put(tmp_path / "elsewhere", "secret.png", png(3))
    drop = tmp_path / "drop"
    put(drop, "own.png", png(4))
    (drop / "one.png").symlink_to("../.cache/ab/c1")
    (drop / "two.png").symlink_to(tmp_path / ".cache" / "ab" / "c2")
    (drop / "again.png").symlink_to("own.png")
    (drop / "secret.png").symlink_to(tmp_path / "elsewhere" / "secret.png")
    (drop / "nothing.png").symlink_to("nowhere")
    return drop


def rules(drop, **options):
    return {each.path: each.rule for each in list_folder(source(drop, **options))}


def test_links_are_refused_and_told_by_rule(lake, cached):
    receipt = land(lake, source(cached))
    assert receipt.counts == {"seen": 6, "stored": 1, "duplicate": 0, "refused": 5, "unchanged": 0}
    (note,) = receipt.notes
    assert (note.rule, note.count) == ("symlink", 5)
    assert "--follow-links" in note.example


def test_followed_links_lead_below_the_folder_and_below_the_roots_that_are_given(cached, tmp_path):
    assert rules(cached, follow_links=True) == {
        "again.png": None, "own.png": None, "one.png": "symlink", "two.png": "symlink", "secret.png": "symlink",
        "nothing.png": "symlink",
    }
    assert rules(cached, follow_links=True, links_roots=(str(tmp_path / ".cache"),)) == {
        "again.png": None, "own.png": None, "one.png": None, "two.png": None, "secret.png": "symlink",
        "nothing.png": "symlink",
    }
    reasons = {each.path: each.reason for each in list_folder(source(cached, follow_links=True))}
    assert f"{tmp_path / 'elsewhere' / 'secret.png'}" in reasons["secret.png"]
    assert "leads nowhere" in reasons["nothing.png"]


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_followed_links_are_landed_under_their_own_names_with_the_bytes_they_lead_to(lake, cached, tmp_path, mode):
    of = source(cached, follow_links=True, links_roots=(str(tmp_path / ".cache"),), mode=mode)
    receipt = land(lake, of)
    assert receipt.counts == {"seen": 6, "stored": 3, "duplicate": 1, "refused": 2, "unchanged": 0}
    kept = {"copy": "stored", "link": "linked"}[mode]
    assert {row["path"]: row["status"] for row in landed(lake)} == {
        "again.png": kept, "own.png": kept, "one.png": kept, "two.png": kept, "secret.png": "refused",
        "nothing.png": "refused",
    }
    assert entities(lake).counts["stored"] == 3
    assert land(lake, of).counts["unchanged"] == 4


def test_every_folder_is_searched_once_whatever_links_lead_there(tmp_path):
    drop, other = tmp_path / "drop", tmp_path / "other"
    put(drop, "a/one.png", png(1))
    put(other, "deep/two.png", png(2))
    (drop / "a" / "up").symlink_to("..")
    (drop / "loop").symlink_to(drop)
    (drop / "to_a").symlink_to("a")
    (drop / "to_other").symlink_to(other)
    (drop / "to_other_again").symlink_to(other / "deep")
    (other / "back").symlink_to(drop)
    (other / "parent").symlink_to(tmp_path)
    assert rules(drop, follow_links=True, links_roots=(str(tmp_path),)) == {
        "a/one.png": None, "a/up": "symlink", "loop": "symlink", "to_a": "symlink", "to_other/back": "symlink",
        "to_other/deep/two.png": None, "to_other_again": "symlink",
    }


def test_a_hidden_folder_inside_is_searched_where_a_link_leads_there(tmp_path):
    put(tmp_path / "drop" / ".store", "a.png", png(1))
    (tmp_path / "drop" / "shown").symlink_to(".store")
    assert rules(tmp_path / "drop", follow_links=True) == {"shown/a.png": None}


def test_a_link_that_is_turned_round_after_the_listing_reads_nothing_outside(lake, tmp_path):
    drop = tmp_path / "drop"
    put(drop, "inside.png", png(1))
    put(tmp_path / "outside", "secret.png", png(2))
    (drop / "link.png").symlink_to("inside.png")
    of = source(drop, follow_links=True)
    listed = [each for each in list_folder(of) if each.name == "link.png"]
    (drop / "link.png").unlink()
    (drop / "link.png").symlink_to(tmp_path / "outside" / "secret.png")
    rows = [
        {name: getattr(listed[0], name) for name in ("uri", "path", "name", "size_bytes", "mtime_at")}
        | {"group_keys": {}}
    ]
    plan = StorePlan(
        root=str(lake.root), scratch=str(lake.scratch), source="photos", drop="main", mode="copy", licence="",
        campaign="", origin="real", max_bytes=1 << 20, now=START, allowed_roots=of.allowed_roots,
    )
    (stored,) = store_batches(iter([pa.RecordBatch.from_pylist(rows, schema=LISTED_SCHEMA)]), plan=plan)
    (row,) = stored.to_pylist()
    assert (row["status"], row["rule"], row["sha256"]) == ("refused", "symlink", None)
    assert "outside the folders" in row["reason"]


def test_roots_without_following_and_roots_that_are_missing_are_errors(tmp_path):
    put(tmp_path / "drop", "a.png", png(1))
    with pytest.raises(ConfigError, match="links are not followed; set follow_links = true"):
        source(tmp_path / "drop", links_roots=("/x",))
    with pytest.raises(IngestError, match="no folder .*/cache for links to lead into"):
        rules(tmp_path / "drop", follow_links=True, links_roots=(str(tmp_path / "cache"),))
    with pytest.raises(ConfigError, match="follow_links: expected bool, found str 'yes'"):
        source_from({"name": "s", "folder": "f", "follow_links": "yes"}, where="p.toml")
    made = source_from({"name": "s", "folder": "f", "follow_links": True, "links_roots": ["c"]}, where="p.toml")
    assert made.links_roots == ("c",)


def test_a_path_longer_than_any_call_takes_is_one_refused_row_and_the_rest_is_landed(lake, tmp_path):
    put(tmp_path / "drop", "a.png", png(1))
    here = os.getcwd()
    try:
        os.chdir(tmp_path / "drop")
        for _ in range(21):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
    finally:
        os.chdir(here)
    for follow in (False, True):
        receipt = land(lake, source(tmp_path / "drop", follow_links=follow))
        assert (receipt.counts["seen"], receipt.counts["refused"]) == (2, 1)
        assert [note.rule for note in receipt.notes] == ["unreadable"]
