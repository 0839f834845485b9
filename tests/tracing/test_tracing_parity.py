"""Spark tells the same impact and the same trace as DuckDB."""

from __future__ import annotations

import pytest

from lakehouse.config import load_config
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.opening import open_lake
from lakehouse.tracing.impact import impact_of
from lakehouse.tracing.trace import plain, trace_sample
from tests.making import add_dimension, add_entities, add_opinions, entity_id, opinion, small_lake

NAMES = ["a", "b", "c", "d"]
ASKED = (("actor", "human:ada"), ("extractor", "image_pixels@1"), ("entity", entity_id("a")))


def told(lake) -> list[object]:
    return [*(impact_of(lake, *each) for each in ASKED), plain(trace_sample(lake, "zoo", entity_id("a")))]


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_both_engines_tell_the_same(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        add_entities(lake, NAMES, groups={name: {"site": "x"} for name in NAMES[:2]})
        add_opinions(lake, [opinion(name, "human:ada", "cat") for name in NAMES[:3]])
        add_dimension(lake, "brightness", dict.fromkeys(NAMES, 0.5))
        record = {"name": "zoo", "question": "animal", "split": {"group": "site"},
                  "select": {"sql": "select entity_id from entities_wide where brightness < 1"}}  # fmt: skip
        build(lake, parse_recipe(record, where="zoo.toml"))
        embedded = told(lake)
    # Else the driver would answer by DuckDB.
    config = load_config(overrides=[f'lake.root="{tmp_path / "lake"}"', "engine.driver_mb=0"], environ={})
    with open_lake(config, engine="spark") as lake:
        assert told(lake) == embedded
    assert [each.versions[0]["touched"] for each in embedded[:3]] == [3, 3, 1]
