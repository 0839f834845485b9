"""Recipes and people's SQL believe by the policies of the lake."""

from __future__ import annotations

import json

import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import ConfigError, QueryRefusedError, RecipeError
from lakehouse.evaluation.evaluate import evaluate
from lakehouse.labels import changes
from lakehouse.labels.believed import labels
from lakehouse.labels.policies import register_policy
from lakehouse.labels.policy import Policy, Step
from lakehouse.labels.presets import PEOPLE, union
from lakehouse.lake import Lake
from lakehouse.opinions.step import record_opinions
from lakehouse.query import fetch
from lakehouse.sql.believed import labels_sql
from lakehouse.sql.contained import user_query
from tests.labels.making import FEB, JAN, believed, say
from tests.making import entity_id

CASCADE = Policy(
    (Step(kinds=("human",), quorum=3, min_share=0.6), Step(actors=("human:expert",)),
     Step(actors=("model:cnn@2",), min_confidence=0.98)), name="strict",
)  # fmt: skip


def built(lake: Lake, believe: str, **more: object) -> tuple[str, dict[str, str]]:
    label = {"believe": believe, **dict(more.pop("label", {}))}
    recipe = parse_recipe({"name": "animals", "question": "animal", "label": label, **more}, where="test")
    dataset_id = str(build(lake, recipe).details["dataset_id"])
    rows = fetch(lake, "select entity_id, label from members where dataset_id = $id", params={"id": dataset_id})
    named = {entity_id(name): name for name in "wxyz"}
    return dataset_id, {named[row["entity_id"]]: row["label"] for row in rows}


def test_a_dataset_has_what_the_policy_believes_and_its_id_the_policy(told):
    register_policy(told, CASCADE)
    dataset_id, held = built(told, "strict")
    assert held == believed(told, "strict") == {"w": "dog", "x": "cat", "y": "lynx", "z": "cat"}
    row = fetch(told, "select digests_json from gold.datasets where dataset_id = $id", params={"id": dataset_id})[0]
    assert json.loads(row["digests_json"])["heard.policy"] == CASCADE.policy_id
    assert built(told, "strict")[0] == dataset_id
    # A name that means another policy is another dataset; the old one is named by its id, or by the time.
    register_policy(told, Policy((Step(actors=("human:expert",)),), name="strict"))
    assert built(told, "strict")[1] == {"y": "lynx"}
    assert built(told, CASCADE.policy_id)[1] == held


def test_what_the_policy_does_not_rest_on_changes_no_dataset(told):
    register_policy(told, Policy((Step(actors=("human:expert",)),), name="expert"))
    before = built(told, "expert")[0]
    say(told, "human:dora", {"y": "dog"})
    say(told, "human:dora", {"y": "dog"})
    assert built(told, "expert")[0] == before
    assert built(told, "expert", as_of={"known_at": FEB}, label={})[1] == {"y": "lynx"}
    changes.merge_label(told, "animal", "lynx", "cat")
    assert built(told, "expert")[1] == {"y": "cat"}


def test_soft_labels_of_a_policy_keep_its_weights(told):
    register_policy(told, Policy((Step(kinds=PEOPLE, weights={"human:bo": 0.5}, ties="lowest"),), soft=True, name="s"))
    dataset_id, _ = built(told, "s", label={"policy": "soft"})
    row, = fetch(told, "select label_votes, label_share from members where dataset_id = $id and entity_id = $x",
                 params={"id": dataset_id, "x": entity_id("x")})  # fmt: skip
    assert (dict(row["label_votes"]), row["label_share"]) == ({"cat": 2_000_000, "lynx": 500_000}, 0.8)


def say_cells(lake, said):
    rows = [{"entity_id": entity_id(name), "actor": actor, "regions": regions} for actor, name, regions in said]
    record_opinions(lake, rows, source="cells", question="cells", said_at=JAN)


def cell(x, label="wbc"):
    return {"kind": "box", "label": label, "x": x, "y": 0.0, "w": 10.0, "h": 10.0}


def test_a_recipe_believes_the_united_regions_that_the_function_gives(told):
    say_cells(told, [("human:ann", "x", [cell(0.0), cell(50.0)]), ("human:bo", "x", [cell(2.0)]),
                     ("human:ann", "y", []), ("human:bo", "y", []), ("human:ann", "z", [cell(7.0)])])  # fmt: skip
    register_policy(told, Policy(union(support=1.0).steps, name="all"))
    dataset_id, _ = built(told, "all", question="cells", label={"policy": "single"})
    rows = fetch(told, "select entity_id, answer_json from members where dataset_id = $id", params={"id": dataset_id})
    members = {row["entity_id"]: json.loads(row["answer_json"]) for row in rows}
    assert {name: [box["x"] for box in members[entity_id(name)]] for name in "xyz"} == {"x": [1.0], "y": [], "z": [7.0]}
    function = told.engine.arrow(labels(told, "cells", "all")).to_pylist()
    assert {row["subject_id"]: [each["x"] for each in row["regions"]] for row in function} == {
        name: [box["x"] for box in boxes] for name, boxes in members.items()
    }
    # And so does people's SQL, beside what else it reads.
    text = """
        select unnest(l.regions).x as x from labels_at('cells', 'all') l join entities e on e.entity_id = l.subject_id
    """
    said = user_query(told.home, text).to_pylist()
    assert sorted(row["x"] for row in said) == [1.0, 7.0]
    with pytest.raises(ConfigError, match="unites regions of several, which is no SQL"):
        labels_sql(union(), "cells")
    # Whoever is united counts: one more who says the same is another dataset with the same boxes.
    say_cells(told, [("human:cy", "y", [])])
    assert built(told, "all", question="cells", label={"policy": "single"})[0] != dataset_id


@pytest.mark.parametrize(("label", "message"), [
    ({"believe": "strikt"}, "no policy `strikt`; did you mean `strict`"),
    ({"believe": "strict", "kinds": ["human"]}, "leave label.kinds"),
])  # fmt: skip
def test_a_policy_that_a_recipe_cannot_believe_is_refused(told, label, message):
    register_policy(told, CASCADE)
    with pytest.raises(RecipeError, match=message):
        built(told, **label) if len(label) == 1 else built(told, "strict", label={"kinds": ["human"]})


def test_people_ask_labels_at_a_time_in_sql(told):
    register_policy(told, CASCADE)
    text = "select subject_id, label, problem, step from labels_at('animal', 'strict') as l where l.label is not null"
    found = user_query(told.home, text).to_pylist()
    assert {row["subject_id"]: row["label"] for row in found} == {
        entity_id(name): label for name, label in {"w": "dog", "x": "cat", "y": "lynx", "z": "cat"}.items()
    }  # fmt: skip
    text = f"""
        select n.subject_id, o.label as before, n.label as now
        from labels_at('animal', 'majority') n join Labels_At('animal', 'majority', '{FEB.isoformat()}', NULL) o
            on o.subject_id = n.subject_id
        where n.label is distinct from o.label
    """
    assert user_query(told.home, text).to_pylist() == [{"subject_id": entity_id("x"), "before": None, "now": "cat"}]
    text = "select count(*) as n from labels_at('animal', 'majority', '2025-03-01', '2025-01-01T00:00:00Z')"
    assert user_query(told.home, text).to_pylist() == [{"n": 3}]


@pytest.mark.parametrize(("call", "error"), [
    ("labels_at('animal')", QueryRefusedError), ("labels_at(animal, 'majority')", QueryRefusedError),
    ("labels_at('animal', 'majority', 'noon')", QueryRefusedError), ("labels_at('animal', 'majorty')", ConfigError),
])  # fmt: skip
def test_a_call_that_cannot_be_is_refused_and_says_its_form(told, call, error):
    with pytest.raises(error):
        user_query(told.home, f"select * from {call}")


def test_a_prediction_is_scored_by_the_merges_that_the_dataset_knew(told):
    split = {"ratios": {"test": 1.0}}
    before = built(told, "latest", split=split)[0]
    changes.merge_label(told, "animal", "lynx", "cat")
    merged, members = built(told, "latest", split=split)
    assert members == {"w": "cat", "x": "cat", "y": "cat"}
    say(told, "model:cnn@3", {"w": "cat", "x": "lynx", "y": "lynx"})
    assert {dataset_id: accuracy(told, dataset_id) for dataset_id in (before, merged)} == {before: 2 / 3, merged: 1.0}


def accuracy(lake: Lake, dataset_id: str) -> float:
    evaluate(lake, dataset_id=dataset_id, actor="model:cnn@3", question="animal", split="test")
    text = "select value from gold.evaluations where dataset_id = $id and metric = 'accuracy' and slice = 'all'"
    return float(fetch(lake, text, params={"id": dataset_id})[0]["value"])
