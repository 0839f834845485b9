"""A table or view from a program: now, at a version, as of a time; what is not there is an error that says what is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from lakehouse.errors import (
    ConfigError,
    QueryFailedError,
    QueryRefusedError,
    TableError,
    TableNotFoundError,
    VersionUnavailableError,
)
from lakehouse.opening import open_lake
from lakehouse.reading.versions import version_at, version_times
from lakehouse.tables.read import head, table_path
from schemas.tables import ENTITIES
from tests.making import add_dimension, add_entities, add_opinions, entity_id, opinion


def ids(rows):
    return sorted(rows["entity_id"].to_pylist())


@pytest.fixture
def grown(lake):
    """A lake with `a` since one version of silver.entities, and `b` and `c` since the next."""
    add_entities(lake, ["a"])
    time.sleep(0.002)  # times of commits are milliseconds
    add_entities(lake, ["b", "c"])
    return lake


def test_a_table_comes_with_the_columns_and_types_of_its_definition(grown):
    rows = grown.read_table("silver.entities")
    assert rows.num_rows == 3
    assert rows.schema == ENTITIES.arrow_schema


def test_the_columns_wanted_come_in_their_order(grown):
    rows = grown.read_table("silver.entities", columns=["size_bytes", "entity_id"])
    assert rows.column_names == ["size_bytes", "entity_id"]


def test_a_condition_with_parameters_chooses_rows(grown):
    rows = grown.read_table("silver.entities", where="entity_id = $id -- this one", params={"id": entity_id("b")})
    assert ids(rows) == [entity_id("b")]


def test_a_version_and_a_time_give_the_rows_that_were_there(grown):
    newest, old = head(grown.root, ENTITIES), [entity_id("a")]
    assert ids(grown.read_table("silver.entities", version=newest - 1)) == old
    times = version_times(grown.root, ENTITIES)
    assert ids(grown.read_table("silver.entities", as_of=times[-1] - timedelta(milliseconds=1))) == old
    assert grown.read_table("silver.entities", as_of=times[-1]).num_rows == 3


def test_a_view_is_read_as_of_a_time_or_at_versions_of_its_tables(grown):
    add_dimension(grown, "brightness", {"a": 0.5})
    newest, times = head(grown.root, ENTITIES), version_times(grown.root, ENTITIES)
    rows = grown.read_table("entities_wide", columns=["entity_id", "brightness"], where="brightness is not null")
    assert rows.to_pylist() == [{"entity_id": entity_id("a"), "brightness": 0.5}]
    assert ids(grown.read_table("entities_wide", version={"silver.entities": newest - 1})) == [entity_id("a")]
    past = grown.read_table("entities_wide", as_of=times[-1] - timedelta(milliseconds=1))
    assert past.select(["entity_id", "brightness"]).to_pylist() == [{"entity_id": entity_id("a"), "brightness": None}]


def test_a_view_over_views_has_the_versions_of_all_tables_below(lake):
    add_entities(lake, ["a"])
    add_opinions(lake, [opinion("a", "human:ann", "cat")])
    rows = lake.read_table("labels", version={"silver.opinions": 1})
    assert rows.num_rows == 0
    assert lake.read_table("labels").num_rows == 1


def test_what_is_not_there_is_an_error_that_names_what_is(grown):
    newest = head(grown.root, ENTITIES)
    with pytest.raises(TableNotFoundError, match="no table or view `silver.entites`; did you mean `silver.entities`"):
        grown.read_table("silver.entites")
    with pytest.raises(VersionUnavailableError, match=f"silver.entities@99: no such version; there are 0 to {newest}"):
        grown.read_table("silver.entities", version=99)
    with pytest.raises(VersionUnavailableError, match="no such version"):
        grown.read_table("silver.entities", version=-1)
    with pytest.raises(VersionUnavailableError, match=r"was not there at 2001-01-01.*version 0 is of 20.*the newest"):
        grown.read_table("silver.entities", as_of=datetime(2001, 1, 1, tzinfo=UTC))
    with pytest.raises(ConfigError, match="no column `sise_bytes`; did you mean `size_bytes`"):
        grown.read_table("silver.entities", columns=["sise_bytes"])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"version": 1, "as_of": datetime(2026, 1, 1, tzinfo=UTC)}, "both given"),
        ({"as_of": datetime(2026, 1, 1)}, "names no time zone"),
        ({"as_of": datetime(2999, 1, 1, tzinfo=UTC)}, "has not come yet"),
        ({"version": {"silver.opinions": 1}}, "does not read `silver.opinions`"),
        ({"columns": []}, "none is given"),
        ({"columns": ["entity_id", "entity_id"]}, "given twice"),
    ],
)
def test_what_cannot_be_meant_is_refused(grown, asked, message):
    with pytest.raises(ConfigError, match=message):
        grown.read_table("silver.entities", **asked)


def test_a_number_is_no_version_of_a_view(grown):
    with pytest.raises(ConfigError, match=r"entities is a view over silver.entities.*version=\{'silver.entities': 2\}"):
        grown.read_table("entities", version=2)


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("entity_id in (select entity_id from gold.dataset_members)", QueryFailedError),
        ("entity_id = read_text('/etc/passwd')", QueryRefusedError),
        ("true; drop table silver.entities", QueryRefusedError),
        ("true) union all select * from silver.opinions where (true", QueryFailedError),
    ],
)
def test_a_condition_is_one_over_this_table_alone(grown, where, error):
    with pytest.raises(error):
        grown.read_table("silver.entities", where=where)


def test_a_table_that_was_damaged_is_not_read(grown):
    file = sorted(table_path(grown.root, ENTITIES).glob("*.parquet"))[0]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with open_lake(grown.config) as again, pytest.raises(TableError, match=file.name):
        again.read_table("silver.entities")


def test_a_clock_that_went_back_moves_no_version_before_another(grown, monkeypatch):
    told = [{"version": 2, "timestamp": 1000}, {"version": 1, "timestamp": 3000}, {"version": 0, "timestamp": 2000}]
    table = SimpleNamespace(history=lambda: told)
    monkeypatch.setattr("lakehouse.reading.versions.open_table", lambda *_: table)
    assert [each.timestamp() for each in version_times(grown.root, ENTITIES)] == [2, 3, 3]
    assert version_at(grown.root, ENTITIES, datetime.fromtimestamp(2.5, UTC)) == 0
    assert version_at(grown.root, ENTITIES, datetime.fromtimestamp(3, UTC)) == 2
