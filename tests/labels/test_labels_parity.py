"""Both engines believe the same, at every time."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lakehouse.config import load_config
from lakehouse.datasets.build import build
from lakehouse.datasets.following import read_inputs
from lakehouse.datasets.hearing.answers import kind_asked, tally
from lakehouse.datasets.recipes.recipe import Recipe, parse_recipe
from lakehouse.datasets.versions.version import pin
from lakehouse.labels import changes
from lakehouse.labels.policies import register_policy
from lakehouse.labels.policy import Policy, Step
from lakehouse.labels.presets import PEOPLE, majority, soft, trust, union
from lakehouse.opening import open_lake
from lakehouse.opinions.step import record_opinions
from lakehouse.query import fetch
from lakehouse.tables.read import digest_at, head
from lakehouse.views.opinions import current_opinions_sql
from schemas.tables import DATASET_MEMBERS, DATASETS, LABEL_SETS
from tests.labels.making import APR, FEB, JAN, MAR, MAY, rows_of
from tests.lanes import examples
from tests.making import Clock, entity_id, small_lake
from tests.opinions.conftest import SETTINGS

POLICIES = {
    "majority": majority(), "weighted": majority(weights={"human:bo": 1.5}, ties="latest"), "soft": soft(),
    "trust": trust("human:expert", "model:cnn@*"), "union": union(),
    "cascade": Policy((Step(kinds=("human",), quorum=3, min_share=0.6), Step(kinds=("model",), min_confidence=0.9),
                       Step(kinds=PEOPLE, ties="lowest"))),
}  # fmt: skip
TIMES = ({}, {"known_at": FEB}, {"known_at": MAR, "valid_at": FEB}, {"valid_at": JAN})
VIEW_TIMES = examples((TIMES[0], TIMES[2]), long=(*TIMES, {"known_at": JAN}, {"known_at": APR, "valid_at": JAN}))
"""When the current view is asked; policies ask the same view at each of `TIMES`."""
ASKED = {
    name: examples((TIMES[place % 4],), long=({}, TIMES[1 + place % 3]))
    for place, name in enumerate(examples(("weighted", "soft", "trust", "union", "cascade"), long=tuple(POLICIES)))
}
"""Policy -> the times at which it is asked; the recipe `then` asks the majority."""

RECIPES = {
    "cascade": {"label": {"believe": "cascade"}},
    "weighted": {"label": {"believe": "soft", "policy": "soft"}},
    "united": {"label": {"believe": "all", "policy": "single"}, "question": "cells"},
    "then": {"label": {"believe": "majority"}, "as_of": {"known_at": FEB, "valid_at": JAN}},
}
READ = examples(("cascade", "united", "then"), long=tuple(RECIPES))
"""Recipes that are read; the weights and shares of `weighted` are asked as policies too."""


def opened(root: Path, engine: str):
    """The lake, where Spark reads even small tables itself."""
    config = load_config(overrides=[f'lake.root="{root}"', *SETTINGS, "engine.driver_mb=0"], environ={})
    return open_lake(config, engine=engine, clock=Clock(MAY))


def recipe_of(name: str, more: dict[str, object]) -> Recipe:
    return parse_recipe({"name": name, "question": "animal", **more}, where=name)


def views(lake) -> dict[str, list[tuple[object, ...]]]:
    """The current view at pairs of times, and the views by label."""
    found = {}
    for times in VIEW_TIMES:
        text = current_opinions_sql(known_at="known_at" in times, valid_at="valid_at" in times)
        found[str(times)] = fetch(lake, text, params=times)
    for name in ("current_opinions", "labels", "opinion_votes", "merged_labels", "label_names"):
        found[name] = fetch(lake, f"select * from {name}")
    return {name: sorted(map(_plain, rows)) for name, rows in found.items()}


def _plain(row: dict[str, object]) -> str:
    # The order in a map is none.
    return repr({name: sorted(map(tuple, value)) if name in ("label_votes", "export_ids") and value else value
                 for name, value in row.items()})  # fmt: skip


@pytest.mark.spark
def test_views_and_policies_give_equal_rows_in_both_engines_at_every_time(spark, history_lake: Path, tmp_path: Path):
    history_lake = Path(shutil.copytree(history_lake, tmp_path / "lake"))
    with small_lake(history_lake, *SETTINGS, clock=Clock()) as lake:
        changes.merge_label(lake, "animal", "lynx", "cat")
    seen, said = {}, {}
    for engine in ("embedded", "spark"):
        with opened(history_lake, engine) as lake:
            seen[engine] = views(lake)
            said[engine] = {
                (name, str(times)): sorted(map(_plain, rows_of(lake, policy, **times)))
                for name, policy in POLICIES.items() for times in ASKED.get(name, ())
            }  # fmt: skip
    assert seen["spark"] == seen["embedded"]
    assert said["spark"] == said["embedded"]
    assert all(rows for (name, times), rows in said["embedded"].items() if times == "{}" and name != "union")


@pytest.mark.spark
def test_what_recipes_believe_after_a_merge_is_the_same_in_both_engines(spark, history_lake: Path, tmp_path: Path):
    found = {}
    for engine in ("embedded", "spark"):
        root = Path(shutil.copytree(history_lake, tmp_path / engine))
        with opened(root, engine) as lake:
            changes.merge_label(lake, "animal", "lynx", "cat")
            register_policy(lake, replace(POLICIES["cascade"], name="cascade"))
            register_policy(lake, Policy((Step(kinds=PEOPLE, weights={"human:bo": 0.5}, ties="lowest"),), soft=True,
                                         name="soft"))  # fmt: skip
            register_policy(lake, replace(POLICIES["union"], name="all"))
            drawn = [{"entity_id": entity_id("x"), "actor": f"human:{who}", "regions": [
                {"kind": "box", "label": "wbc", "x": x, "y": 0.0, "w": 10.0, "h": 10.0, "angle": 3.0 * x}
            ]} for who, x in (("ann", 0.0), ("bo", 2.0))]  # fmt: skip
            record_opinions(lake, drawn, source="cells", question="cells", said_at=JAN)
            believed = rows_of(lake, "all", question="cells")
            ids, tallied = {}, {"cells": believed}
            for name in READ:
                recipe = recipe_of(name, RECIPES[name])
                pins = pin(lake, recipe)
                kind = kind_asked(lake, recipe, pins)
                read = read_inputs(lake, recipe, pins)
                ids[name] = read.dataset_id
                rows = lake.engine.arrow(tally(lake, recipe, kind, read.heard[1])).to_pylist()
                tallied[name] = sorted(map(_plain, rows))
            details = build(lake, recipe_of("cascade", RECIPES["cascade"])).details
            held = [str(digest_at(lake, table, head(root, table))) for table in (LABEL_SETS, DATASETS, DATASET_MEMBERS)]
            found[engine] = ids, tallied, details, held
    assert found["spark"] == found["embedded"]
    assert "'label': 'cat'" in str(found["embedded"][1]["cascade"])
    assert found["embedded"][1]["cells"][0]["regions"][0]["angle"] == pytest.approx(3.0)
    # A turned box is none that a dataset of boxes takes: it is left out with a reason, on both engines.
    assert "not_boxes" in str(found["embedded"][1]["united"])
