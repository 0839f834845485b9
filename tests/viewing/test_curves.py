"""Curves of precision over recall: which predictions are right, what equal scores do, how long a curve is."""

from __future__ import annotations

import numpy as np

from lakehouse.datasets.build import build
from lakehouse.datasets.policies.box_scores import SHAPE
from lakehouse.datasets.policies.detection import ranked_objects
from lakehouse.datasets.policies.kind import Scored
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.evaluation.evaluate import evaluate
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from lakehouse.viewing.curves import POINTS, curve
from lakehouse.viewing.pages import evaluation_page
from schemas.tables import DATASET_MEMBERS
from tests.making import START, add_entities, add_opinions, opinion

CAT = {"label": "cat", "x": 10.0, "y": 10.0, "w": 20.0, "h": 20.0}
FAR = CAT | {"x": 70.0}


MODEL = "model:cnn@1"


def test_a_prediction_that_overlaps_is_right_and_what_is_not_found_is_missed():
    rows = [
        Scored("a", [CAT], [FAR | {"score": 0.8}, CAT | {"score": 0.9, "x": 12.0}]),
        Scored("b", [CAT, FAR | {"difficult": True}], [FAR | {"score": 0.95}]),  # difficult: counts neither way
        Scored("c", [CAT | {"label": "dog"}], None),
    ]
    ranked = ranked_objects(rows, SHAPE)
    scores, is_right, wanted = ranked["cat"]
    assert (scores.tolist(), is_right.tolist(), wanted) == ([0.9, 0.8], [True, False], 2)
    assert curve("cat", scores, is_right, wanted) == {
        "label": "cat", "support": 2, "area": 0.5, "points": [[0.5, 1.0, 0.9], [0.5, 0.5, 0.8]],
    }  # fmt: skip
    assert curve("dog", *ranked["dog"]) == {"label": "dog", "support": 1, "area": 0.0, "points": []}


def test_equal_scores_are_one_step():
    found = curve("cat", np.array([0.5, 0.5, 0.1]), np.array([False, True, True]), 2)
    assert found["points"] == [[0.5, 0.5, 0.5], [1.0, 0.66667, 0.1]]


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_its_area():
    scores = np.linspace(1, 0, 10_000)
    is_right = np.random.default_rng(1).random(10_000) < scores
    found = curve("cat", scores, is_right, int(is_right.sum()))
    assert (len(found["points"]), found["points"][0][2], found["points"][-1][0]) == (POINTS, 1.0, 1.0)
    hits = np.cumsum(is_right)
    exact = float(np.sum((hits / np.arange(1, 10_001))[is_right])) / int(is_right.sum())
    assert abs(found["area"] - exact) < 1e-9


def test_the_confusion_counts_the_members_and_answers_that_are_scored(lake):
    """Variants are none of them, and of an actor who answered in several slots the newest counts."""
    names = {"n0": "cat", "n1": "dog"}
    add_entities(lake, list(names))
    add_opinions(lake, [opinion(name, "human:ada", label) for name, label in names.items()])
    record = {"name": "zoo", "question": "animal", "split": {"ratios": {"test": 1.0, "train": 0.0}}}
    dataset_id = build(lake, parse_recipe(record, where="zoo.toml")).details["dataset_id"]
    add_opinions(lake, [
        opinion("n0", MODEL, "dog", slot="seed1", event_time=START.replace(year=2024), probs={"cat": 0.2, "dog": 0.8}),
        opinion("n0", MODEL, "cat", slot="seed2", event_time=START, probs={"cat": 0.9, "dog": 0.1}),
        opinion("n1", MODEL, "dog", slot="seed1", event_time=START, probs={"cat": 0.3, "dog": 0.7}),
    ])  # fmt: skip
    done = evaluate(lake, dataset_id=dataset_id, actor=MODEL, question="animal").details["evaluation_id"]
    member, *_ = fetch(lake, "select * from gold.dataset_members where dataset_id = $id", params={"id": dataset_id})
    varied = {name: value for name, value in member.items() if name != "row_hash"}
    insert_rows(lake, DATASET_MEMBERS, [varied | {"entity_id": "v0", "operation": "variant"}], step="test")
    page = evaluation_page(lake, done)
    assert [(row["truth"], row["said"], row["members"]) for row in page["confusion"]] == [
        ("cat", "cat", 1), ("dog", "dog", 1),
    ]  # fmt: skip
    assert [(each["label"], each["area"]) for each in page["curves"]["test"]] == [("cat", 1.0), ("dog", 1.0)]
