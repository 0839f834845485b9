"""rebuild: silver that was dropped, or differs, is again what bronze gives; retries and new versions do their part."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lakehouse.dimensions.step import dimensions
from lakehouse.errors import ConfigError
from lakehouse.extractors.image_header import IMAGE_HEADER
from lakehouse.extractors.registry import extractors
from lakehouse.ingestion import entities as entities_step
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.rebuild import TABLES, rebuild
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import digest_at, head
from lakehouse.tables.remove import remove_rows
from schemas.tables import DIMENSIONS, ENTITIES
from tests.ingestion.files import png, put, source


@pytest.fixture
def drop(tmp_path, lake, clock):
    """Two deliveries of pictures, one of them broken; the same bytes came twice, described in two ways."""
    folder = tmp_path / "drop"
    stating = source(folder, sidecar="said.csv", group_keys={"site": "site"})
    for number in (1, 2):
        put(folder, f"{number}.png", png(number))
    put(folder, "cut.png", png(3)[:-30])
    (folder / "said.csv").write_text("path,site\n1.png,north\n")
    land(lake, stating)
    clock.forward(days=1)
    put(folder, "again.png", png(1))
    put(folder, "4.png", png(4))
    (folder / "said.csv").write_text("path,site\n1.png,north\nagain.png,south\n")
    land(lake, stating)
    entities(lake)
    dimensions(lake)
    return folder


def digests(lake):
    return {table.name: str(digest_at(lake, table, head(lake.home, table))) for table in TABLES}


def drop_table(lake, table):
    remove_rows(lake, table, lambda rows: pa.array([True] * rows.num_rows), step="test")


def test_silver_that_was_dropped_is_rebuilt_with_equal_digests(lake, drop, clock):
    before = digests(lake)
    for table in TABLES:
        drop_table(lake, table)
    assert all(str(each).startswith("0") for each in digests(lake).values())
    clock.forward(days=30)
    receipt = rebuild(lake)
    assert digests(lake) == before
    assert receipt.counts["missing"] == receipt.counts["seen"] > 0
    assert receipt.details == before


def test_silver_that_was_dropped_comes_back_by_the_steps_too(lake, drop):
    before = digests(lake)
    for table in TABLES:
        drop_table(lake, table)
    for note in (lake.runs / "fresh").iterdir():
        note.unlink()  # a dropped table is older than its note; rows that were removed are not
    entities(lake)
    dimensions(lake)
    assert digests(lake) == before


def test_an_entity_is_described_by_its_first_observation_however_many_are_looked_at_together(lake, drop):
    rows = fetch(lake, "select e.group_keys['site'] as site from silver.entities e join bronze.landed_files b "
                       "on b.sha256 = e.entity_id where b.path = '1.png'")  # fmt: skip
    assert rows == [{"site": "north"}]


def test_a_lake_that_is_as_bronze_gives_it_is_left_alone(lake, drop):
    before = {table.name: head(lake.home, table) for table in TABLES}
    receipt = rebuild(lake)
    assert receipt.counts["same"] == receipt.counts["seen"]
    assert {table.name: head(lake.home, table) for table in TABLES} == before


def test_a_row_that_differs_is_found_and_replaced(lake, drop):
    before = digests(lake)
    row = fetch(lake, "select * from silver.dimensions where dimension = 'width' order by entity_id limit 1")[0]
    remove_rows(lake, DIMENSIONS, lambda rows: pc.equal(rows["row_hash"], row["row_hash"]), step="test")
    wrong = {name: value for name, value in row.items() if name != "row_hash"} | {"number": 5.0}
    insert_rows(lake, DIMENSIONS, [wrong], step="test")
    found = rebuild(lake, dry_run=True)
    assert (found.counts["different"], digests(lake) == before) == (1, False)
    rebuild(lake)
    assert digests(lake) == before


def test_a_date_range_and_a_source_are_one_command(lake, drop, clock):
    for table in TABLES:
        drop_table(lake, table)
    rebuild(lake, since=clock.now - timedelta(hours=1), until=clock.now + timedelta(hours=1))
    found = fetch(lake, "select s.path from silver.entity_sources s order by s.path")
    # 1.png is the first observation of the bytes of again.png, and describes their entity.
    assert [row["path"] for row in found] == ["1.png", "4.png", "again.png"]
    rebuild(lake, source="photos")
    assert fetch(lake, "select count(*) as n from silver.entities") == [{"n": 3}]
    with pytest.raises(ConfigError, match="no source `photo`"):
        rebuild(lake, source="photo")


def test_what_bronze_does_not_tell_of_is_noted_and_stays(lake, drop):
    row = fetch(lake, "select * from silver.entities limit 1")[0]
    stranger = {name: value for name, value in row.items() if name != "row_hash"} | {"entity_id": "f" * 64}
    derived = stranger | {"object_uri": None, "parent_id": "e" * 64, "storage": "none"}
    insert_rows(lake, ENTITIES, [derived], step="test")
    assert [note.rule for note in rebuild(lake).notes] == []
    insert_rows(lake, ENTITIES, [stranger | {"entity_id": "e" * 64, "media_type": "text/x"}], step="test")
    assert [note.rule for note in rebuild(lake).notes] == ["not_from_bronze"]


def test_a_new_version_of_an_extractor_measures_itself_alone(lake, drop):
    chosen = extractors()
    calls: dict[str, int] = {}

    def counted(extractor):
        def measure(view):
            calls[extractor.name] = calls.get(extractor.name, 0) + 1
            return extractor.function(view)

        return dataclasses.replace(extractor, function=measure)

    newer = dataclasses.replace(IMAGE_HEADER, version=IMAGE_HEADER.version + 1)
    upgraded = tuple(newer if each is IMAGE_HEADER else each for each in chosen)
    receipt = dimensions(lake, extractors=map(counted, upgraded))
    assert calls == {"image_header": 3}
    assert receipt.counts["seen"] == receipt.counts["measured"] == 3


def test_what_was_rejected_is_retried_when_asked_and_accounted_for(lake, drop, monkeypatch):
    assert entities(lake).counts["seen"] == 0
    again = entities(lake, retry_rejected=True)
    assert again.counts == {"seen": 1, "stored": 0, "duplicate": 0, "rejected": 1, "retried": 1}
    assert fetch(lake, "select count(*) as n from silver.rejected where step = 'entities'") == [{"n": 1}]
    # A library of now reads what that of then could not.
    monkeypatch.setattr(entities_step, "_facts_or_rejection", lambda *_args, **_options: entities_step._Unknown())
    repaired = entities(lake, retry_rejected=True)
    assert repaired.counts == {"seen": 1, "stored": 1, "duplicate": 0, "rejected": 0, "retried": 1}
    assert entities(lake, retry_rejected=True).counts == {
        "seen": 0, "stored": 0, "duplicate": 0, "rejected": 0, "retried": 0
    }
