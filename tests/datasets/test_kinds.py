"""Every kind of answer from opinions to a batch and back: its policy, its sample fields, its scores."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lakehouse.errors import ConfigError, RecipeError
from lakehouse.opinions.questions import Question
from tests.datasets.pictures import answers, bring_pictures, built, metrics, samples, say

MODEL = "model:m@1"


@pytest.fixture
def pictures(lake, tmp_path):
    """A lake with the pictures a, b, c, d."""
    bring_pictures(lake, tmp_path / "pictures")
    return lake


def test_labels_by_majority_become_a_vector_in_the_order_of_the_label_set(pictures):
    question = Question(question_id="tags", answer_kind="labels", labels=("sun", "rain", "snow"))
    say(pictures, question, "human:ann", {"a": {"labels": ["sun"]}, "b": {"labels": ["rain", "sun"]},
                                          "c": {"labels": []}})  # fmt: skip
    say(pictures, "tags", "human:bo", {"a": {"labels": ["sun", "snow"]}, "b": {"labels": ["rain", "sun"]},
                                       "c": {"labels": []}})  # fmt: skip
    say(pictures, "tags", "human:cy", {"b": {"labels": ["snow"]}})
    version = built(pictures, "tags", policy="majority", quorum=2)
    found, left = answers(pictures, version)
    assert {name: json.loads(text) for name, text in found.items()} == {"b": ["rain", "sun"], "c": []}
    # Half of the votes are for snow: nobody knows.
    assert left == {"a": "tie", "d": "no_answer"}
    lowest, _ = answers(pictures, built(pictures, "tags", policy="majority", ties="lowest"))
    assert json.loads(lowest["a"]) == ["sun"]
    unanimous, _ = answers(pictures, built(pictures, "tags", policy="majority", min_share=0.7))
    assert json.loads(unanimous["b"]) == []
    rows = samples(pictures, version)
    assert rows["b"]["label_vector"].dtype == np.uint8
    assert {name: row["label_vector"].tolist() for name, row in rows.items()} == {"b": [1, 1, 0], "c": [0, 0, 0]}
    say(pictures, "tags", MODEL, {"b": {"labels": ["rain"], "probs": {"rain": 0.9, "sun": 0.4, "snow": 0.1}},
                                  "c": {"labels": [], "probs": {"rain": 0.2, "sun": 0.6}}})  # fmt: skip
    scores = metrics(pictures, version, MODEL, "tags")
    # b: one of two labels is missed; c: nothing is there, and nothing was said.
    assert scores["exact_match", "all"] == 0.5
    assert scores["hamming_loss", "all"] == 1 / 4
    assert (scores["micro_precision", "all"], scores["micro_recall", "all"]) == (1.0, 0.5)
    assert scores["recall", "class=sun"] == 0.0
    # By falling probability of sun c comes first and is wrong, of rain b does and is right.
    assert (scores["ap", "class=sun"], scores["ap", "class=rain"], scores["map", "all"]) == (0.5, 1.0, 0.75)


PERSON = Question(
    question_id="pose", answer_kind="regions", labels=("person",), keypoints=("nose", "left_eye", "right_eye"),
    skeleton=((0, 1), (0, 2)),
)  # fmt: skip


def person(dx: float = 0.0, **more: object) -> dict[str, object]:
    points = [{"x": 5.0 + dx, "y": 6.0, "v": 2}, {"x": 7.0 + dx, "y": 4.0, "v": 1}, {"x": 0.0, "y": 0.0, "v": 0}]
    return {"kind": "keypoints", "label": "person", "points": points, "x": 2.0, "y": 2.0, "w": 8.0, "h": 10.0, **more}


def test_keypoints_go_the_whole_way_and_back(pictures):
    say(pictures, PERSON, "human:ann", {"a": {"regions": [person(), person(9.0)]}, "b": {"regions": []}})
    version = built(pictures, "pose", policy="single")
    rows = samples(pictures, version)
    assert set(rows) == {"a", "b"}
    points = rows["a"]["keypoints"]
    assert (points.dtype, points.shape) == (np.float32, (2, 3, 3))
    np.testing.assert_array_equal(points[0], [[5, 6, 2], [7, 4, 1], [0, 0, 0]])
    np.testing.assert_array_equal(rows["a"]["boxes"][0], [2, 2, 10, 12])
    assert rows["a"]["keypoint_labels"].tolist() == [0, 0]
    assert (rows["b"]["keypoints"].shape, rows["b"]["boxes"].shape) == ((0, 3, 3), (0, 4))
    say(pictures, "pose", MODEL, {"a": {"regions": [person(score=0.9), person(9.0, score=0.8)]}})
    scores = metrics(pictures, version, MODEL, "pose")
    assert (scores["map", "all"], scores["mar20", "all"], scores["coverage", "all"]) == (1.0, 1.0, 0.5)
    assert answers(pictures, built(pictures, "pose", policy="single", box_format="xywh"))[0]
    # `geometry_kinds` says what they are; another task takes the same regions as something else.
    assert samples(pictures, built(pictures, "pose", policy="single", task="boxes"))["a"]["boxes"].shape == (2, 4)


def test_keypoints_of_another_number_are_left_out_with_a_reason(pictures):
    say(pictures, PERSON, "human:ann", {"a": {"regions": [person()]}})
    short = person() | {"points": [{"x": 1.0, "y": 1.0, "v": 2}]}
    say(pictures, "pose", "human:bo", {"b": {"regions": [short]}, "c": {"regions": [person() | {"kind": "box",
                                                                                               "points": None}]}})
    assert answers(pictures, built(pictures, "pose", policy="single"))[1] == {
        "b": "other_keypoints", "c": "not_keypoints", "d": "no_answer",
    }  # fmt: skip


def test_names_of_keypoints_are_part_of_the_question(pictures):
    say(pictures, PERSON, "human:ann", {"a": {"regions": [person()]}})
    other = Question(question_id="pose", answer_kind="regions", keypoints=("nose", "mouth", "chin"))
    with pytest.raises(ConfigError, match="constraints_json"):
        say(pictures, other, "human:bo", {"b": {"regions": [person()]}})
    with pytest.raises(ConfigError, match="skeleton is pairs of places in its 1 keypoints"):
        Question(question_id="pose", keypoints=("nose",), skeleton=((0, 1),))


@pytest.mark.parametrize(("policy", "number"), [("mean", 2.0), ("median", 1.0), ("latest", None), ("single", None)])
def test_numbers_by_policy(pictures, policy, number):
    for who, value in (("ann", 1.0), ("bo", 4.0), ("cy", 1.0)):
        more = {"b": {"number": 0.1}} if who == "bo" else {}
        say(pictures, "age", f"human:{who}", {"a": {"number": value}} | more)
    version = built(pictures, "age", policy=policy)
    found, left = answers(pictures, version)
    assert json.loads(found["b"]) == 0.1
    assert (json.loads(found["a"]) if "a" in found else None) == number
    assert left.get("a") == {"latest": "tie", "single": "several_actors"}.get(policy)


def test_numbers_are_read_and_scored(pictures):
    said = {"a": 1.0, "b": 2.0, "c": 4.0}
    say(pictures, "age", "human:ann", {name: {"number": value} for name, value in said.items()})
    version = built(pictures, "age", policy="mean")
    assert {name: float(row["number"]) for name, row in samples(pictures, version).items()} == said
    say(pictures, "age", MODEL, {"a": {"number": 2.0}, "b": {"number": 2.0}, "c": {"number": 2.0}})
    scores = metrics(pictures, version, MODEL, "age")
    assert scores["mae", "all"] == 1.0
    assert scores["rmse", "all"] == pytest.approx((5 / 3) ** 0.5)
    assert scores["bias", "all"] == pytest.approx(-1 / 3)
    assert scores["r2", "all"] == pytest.approx(1 - 5 / (14 / 3))


def test_yes_or_no_by_majority(pictures):
    for who, a, b in (("ann", True, True), ("bo", True, False), ("cy", False, None)):
        said = {"a": {"bool": a}} | ({} if b is None else {"b": {"bool": b}})
        say(pictures, "sharp", f"human:{who}", said | ({"c": {"bool": False}} if who == "ann" else {}))
    version = built(pictures, "sharp", policy="majority")
    found, left = answers(pictures, version)
    assert (found, left) == ({"a": "true", "c": "false"}, {"b": "tie", "d": "no_answer"})
    assert {name: bool(row["bool"]) for name, row in samples(pictures, version).items()} == {"a": True, "c": False}
    say(pictures, "sharp", MODEL, {"a": {"bool": True}, "c": {"bool": True}})
    scores = metrics(pictures, version, MODEL, "sharp")
    assert (scores["yes_accuracy", "all"], scores["yes_precision", "all"], scores["yes_recall", "all"]) == (0.5, 0.5, 1)


def test_texts_are_read_and_scored(pictures):
    say(pictures, "caption", "human:ann", {"a": {"text": "a red cat"}, "b": {"text": ""}})
    version = built(pictures, "caption", policy="single")
    assert {name: str(row["text"]) for name, row in samples(pictures, version).items()} == {"a": "a red cat", "b": ""}
    say(pictures, "caption", MODEL, {"a": {"text": "a red hat"}, "b": {"text": ""}})
    scores = metrics(pictures, version, MODEL, "caption")
    assert (scores["text_match", "all"], scores["cer", "all"], scores["wer", "all"]) == (0.5, 1 / 9, 1 / 3)


def test_settings_of_votes_that_mean_nothing_are_refused_by_name(pictures):
    say(pictures, "age", "human:ann", {"a": {"number": 1.0}})
    with pytest.raises(RecipeError, match="label.quorum has no meaning under label.policy = 'latest'"):
        built(pictures, "age", policy="latest", quorum=2)
    with pytest.raises(RecipeError, match="label.ties has no meaning under label.policy = 'mean'"):
        built(pictures, "age", policy="mean", ties="lowest")
