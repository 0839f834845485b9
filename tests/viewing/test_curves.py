"""Curves of precision over recall: which predictions are right, what equal scores do, how long a curve is."""

from __future__ import annotations

import numpy as np

from lakehouse.datasets.policies.box_scores import SHAPE
from lakehouse.datasets.policies.detection import ranked_objects
from lakehouse.datasets.policies.kind import Scored
from lakehouse.viewing.curves import POINTS, curve

CAT = {"label": "cat", "x": 10.0, "y": 10.0, "w": 20.0, "h": 20.0}
FAR = CAT | {"x": 70.0}


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
