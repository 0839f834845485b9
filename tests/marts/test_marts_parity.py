"""Marts and reified objects on Spark: the rows of the embedded engine, whole and of what new rows touch."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lakehouse.marts.definition import load_marts
from lakehouse.marts.step import marts
from lakehouse.opinions.predictions import record_opinions
from lakehouse.reifying.step import reify_clusters, reify_places, reify_tracks
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import digest_at, head
from schemas.tables import ENTITIES, ENTITY_SOURCES, LANDED_FILES, MART_ROWS, MARTS, OBJECT_MEMBERS
from tests.making import add_entities, add_opinions, entity_id, opinion

SHIPPED = Path(__file__).parents[2] / "conf" / "marts"


def seen(lake, **sources):
    """Record an entity of each name, brought and landed by its source."""
    at = {
        name: {"source": source, "drop_name": "d", "uri": f"file:///{name}", "path": name, "name": name,
               "landed_id": name, "group_keys": {}}
        for name, source in sources.items()
    }  # fmt: skip
    add_entities(lake, list(at))
    brought = [{**row, "entity_id": entity_id(name)} for name, row in at.items()]
    insert_rows(lake, ENTITY_SOURCES, brought, step="entities")
    how = {"size_bytes": 7, "status": "refused", "rule": "r", "origin": "real"}
    hours = [datetime(2026, 5, 1, 23 * place, tzinfo=UTC) for place in range(len(at))]
    rows = [{**row, **how, "landed_at": hour} for row, hour in zip(at.values(), hours, strict=True)]
    insert_rows(lake, LANDED_FILES, rows, step="land")


def test_both_engines_make_the_same(lake, spark_lake):
    for each in (lake, spark_lake):
        seen(each, one="a", two="b")
        add_opinions(each, [opinion("one", "human:ada", "cat"), opinion("one", "human:bob", "dog")])
        marts(each, load_marts(SHIPPED))
        seen(each, three="a")
        add_opinions(each, [opinion("three", "human:ada", "cat"), opinion("three", "human:bob", "cat")])
        counts = marts(each, load_marts(SHIPPED), check=True).counts
        assert (counts["touched"], counts["whole"]) == (2, 0)
        box = {"kind": "box", "label": "a", "x": 2.0, "y": 3.0, "w": 4.0, "h": 5.0, "frame_start": 0, "frame_end": 3}
        for actor in ("human:ada", "human:bob"):
            said = [{"entity_id": entity_id("one"), "regions": [{**box, "track_id": actor}]}]
            record_opinions(each, said, source=actor, question="things", actor=actor)
        assert reify_tracks(each, "things").counts["objects"] == 1
        where = "select entity_id, 10 as latitude, 20.5 as longitude, captured_at as seen_at from entities"
        assert reify_places(each, f"{where} where operation is null", cell_m=100).counts["members"] == 3
        apart = where.replace("10 as", "10 + ascii(entity_id) % 3 * 0.0001 as")
        assert reify_clusters(each, f"{apart} where operation is null", within_m=15).counts["members"] == 3
    for table in (MARTS, MART_ROWS, OBJECT_MEMBERS, ENTITIES):
        here, there = (digest_at(each, table, head(each.home, table)) for each in (lake, spark_lake))
        assert (table.name, here) == (table.name, there)
        assert here.rows > 0
