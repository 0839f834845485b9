"""Of entities_wide only the dimensions that a query names are pivoted, and no answer is another for it."""

from __future__ import annotations

import pytest

from lakehouse.query import fetch
from lakehouse.sql.contained import user_query
from lakehouse.views.registry import view_text
from lakehouse.views.wide import named_columns
from tests.making import add_dimension, add_entities, entity_id

KNOWN = {"entity_id", "brightness", "contrast", "width", "media_type"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("select entity_id from entities_wide where Brightness < .1", {"entity_id", "brightness"}),
        ("select e.entity_id, count(*) as n from entities_wide e group by all order by n", {"e", "entity_id", "n"}),
        ("select w.entity_id from entities_wide w join other o using (width)", {"w", "entity_id", "width"}),
        ("select 2 * brightness from entities_wide", {"brightness"}),
        ("select count(*) from entities_wide", set()),
    ],
)
def test_a_query_that_states_its_columns_names_these(text, names):
    assert named_columns(text, known=KNOWN) == names


@pytest.mark.parametrize(
    "text",
    [
        "select * from entities_wide",
        "from entities_wide where brightness < .1",
        "table entities_wide",
        "select * exclude (width) from entities_wide",
        "select columns('b.*') from entities_wide",
        "select columns(c -> c like 'b%') from entities_wide",
        "select entities_wide from entities_wide",
        "select to_json(e) from entities_wide e",
        "select count(distinct s) from (select width from entities_wide) s",
        "select brightness from entities_wide natural join other",
        "select a from entities_wide as e(a, b)",
        "describe entities_wide",
        "summarize entities_wide",
        "pivot entities_wide on media_type in ('a') using count(brightness)",
        "select brightnes from entities_wide",
        "not a query",
    ],
)
def test_in_doubt_a_query_reads_every_column(text):
    assert named_columns(text, known=KNOWN) is None


def test_the_text_of_the_view_has_what_is_named_and_nothing_else():
    text = view_text("entities_wide", asked_by="select entity_id from entities_wide where brightness < .1")
    assert "'brightness'" in text
    assert "'contrast'" not in text
    assert "dimensions" not in view_text("entities_wide", asked_by="select count(*) from entities_wide")


def test_the_newest_version_and_then_the_first_extractor_measure_a_dimension(lake):
    add_entities(lake, ["x", "y", "z"])
    add_dimension(lake, "brightness", {"x": 0.5, "y": 0.25}, version=1)
    add_dimension(lake, "brightness", {"x": 0.75}, version=2)
    add_dimension(lake, "brightness", {"y": 0.125}, version=1, extractor="another")
    add_dimension(lake, "width", {"x": 10.0}, kind="integer")
    expected = {entity_id("x"): 0.75, entity_id("y"): 0.125, entity_id("z"): None}
    text = "select entity_id, brightness from entities_wide"
    assert {row["entity_id"]: row["brightness"] for row in fetch(lake, text)} == expected
    assert {row["entity_id"]: row["brightness"] for row in fetch(lake, "select * from entities_wide")} == expected
    rows = user_query(lake.root, text, limits=lake.config.sql).to_pylist()
    assert {row["entity_id"]: row["brightness"] for row in rows} == expected
    assert [row["width"] for row in fetch(lake, "select width from entities_wide where width is not null")] == [10]
