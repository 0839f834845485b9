"""Hostile inputs among good images: the run completes, the counts balance, nothing leaves the lake."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from lakehouse.config import load_config
from lakehouse.dimensions.step import dimensions as measure_dimensions
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.objects import uri_path
from lakehouse.opening import open_lake
from lakehouse.query import fetch
from tests.corpus import DUPLICATE, HOSTILE_SETTINGS, IGNORED, Hostile, good_images, hostile_inputs

GOOD = 300
OF_NO_KIND = (b"program", b"archive_with_dotdot.zip", b"drawing.svg")
"""What is no picture and claims to be none: kept as bytes."""
OF_OTHER_KINDS = {b"claims_4_gb.wav": "undecodable", b"no_moov.mp4": "truncated"}
TAKEN = "taken"


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    """Land, look into and measure the corpus, twice; returns everything there is to know about it."""
    place = tmp_path_factory.mktemp("hostile")
    good = good_images(place / "drop" / "good", GOOD)
    hostile = hostile_inputs(place / "drop" / "hostile", good[1], outside=place / "outside")
    before = listing(place)
    config = load_config(overrides=[f'lake.root="{place / "lake"}"', "engine.workers=2", *HOSTILE_SETTINGS], environ={})
    source = Source(name="corpus", folder=str(place / "drop"))
    with open_lake(config, create=True) as lake:
        first = [land(lake, source), entities(lake), measure_dimensions(lake)]
        second = [land(lake, source), entities(lake), measure_dimensions(lake)]
        rules = fetch(lake, "select r.location, r.rule from silver.rejected r where r.step = 'entities'")
        sources = fetch(lake, "select entity_id, uri, path from silver.entity_sources")
        objects = fetch(lake, "select object_uri from silver.entities")
        yield {"place": place, "before": before, "hostile": hostile, "first": first, "second": second,
               "rules": rules, "sources": sources, "objects": objects, "lake": lake}


def listing(place: Path) -> dict[bytes, tuple[int, int]]:
    """Return path -> (inode, size) of everything outside the lake, by bytes."""
    found = {}
    for folder, folders, names in os.walk(os.fsencode(place)):
        if b"lake" in folders and folder == os.fsencode(place):
            folders.remove(b"lake")
        for name in names + folders:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            found[path] = (status.st_ino, status.st_size if not os.path.isdir(path) else 0)
    return found


def of_the_lake(hostile: Hostile) -> str:
    """Return the outcome in a lake: the corpus states how a probe of pictures judges, other kinds are asked too."""
    name = os.path.basename(hostile.path)
    return TAKEN if name in OF_NO_KIND else OF_OTHER_KINDS.get(name, hostile.outcome)


def test_all_good_images_are_stored_and_measured(ingested):
    _, looked_into, measured = ingested["first"]

    assert looked_into.counts["stored"] == GOOD + len(OF_NO_KIND)
    assert measured.counts == {"entities": GOOD, "seen": 4 * GOOD, "measured": 4 * GOOD, "rejected": 0}


def test_everything_seen_is_stored_duplicate_or_rejected(ingested):
    expected = Counter(of_the_lake(each) for each in ingested["hostile"])
    seen = GOOD + sum(count for outcome, count in expected.items() if outcome != IGNORED)
    bad = sum(count for outcome, count in expected.items() if outcome not in (IGNORED, DUPLICATE, TAKEN))

    assert ingested["first"][0].counts["seen"] == seen
    assert ingested["first"][1].counts == {
        "seen": seen, "stored": GOOD + expected[TAKEN], "duplicate": expected[DUPLICATE], "rejected": bad,
    }


def test_every_hostile_input_has_the_outcome_that_the_corpus_states(ingested):
    found = {uri_path(row["location"]): row["rule"] for row in ingested["rules"]}
    kept = [path for row in ingested["sources"] if b"/hostile/" in (path := uri_path(row["uri"]))]
    found |= {path: TAKEN if os.path.basename(path) in OF_NO_KIND else DUPLICATE for path in kept}
    expected = {each.path: of_the_lake(each) for each in ingested["hostile"] if each.outcome != IGNORED}

    assert found == expected


def test_names_round_trip_byte_for_byte(ingested):
    from urllib.parse import unquote_to_bytes

    for row in ingested["sources"]:
        assert uri_path(row["uri"]).endswith(b"/" + unquote_to_bytes(row["path"]))


def test_nothing_outside_the_lake_was_written_or_changed(ingested):
    assert listing(ingested["place"]) == ingested["before"]


def test_inside_the_lake_objects_have_no_name_but_their_hash(ingested):
    root = ingested["place"] / "lake"
    stored = {str(path.relative_to(root)) for path in (root / "objects").rglob("*") if path.is_file()}

    assert {row["object_uri"] for row in ingested["objects"]} <= stored
    assert all(len(name.rsplit("/", 1)[1]) == 64 for name in stored)
    assert not any(path.is_symlink() for path in root.rglob("*"))


def test_no_temporary_object_is_left_behind(ingested):
    assert not list((ingested["place"] / "lake" / "_tmp").rglob("*.staged"))


def test_a_second_run_adds_nothing(ingested):
    assert [receipt.rows_new for receipt in ingested["second"]] == [0, 0, 0]
    assert [receipt.bytes_written for receipt in ingested["second"]] == [0, 0, 0]
