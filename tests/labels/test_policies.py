"""Policies say whose opinions are believed, now and as it was believed at a time."""

from __future__ import annotations

import json

import pytest

from lakehouse.errors import ConfigError
from lakehouse.labels import changes
from lakehouse.labels.believed import labels
from lakehouse.labels.policies import policy_named, register_policy, registered
from lakehouse.labels.policy import Policy, Step, load_policy, policy_from
from lakehouse.labels.presets import PEOPLE, consensus, majority, model, soft, trust, union
from lakehouse.labels.sql import backing_sql
from lakehouse.labels.union import union_of
from lakehouse.opinions.step import record_opinions
from lakehouse.query import fetch, query
from tests.labels.making import APR, FEB, JAN, MAR, MAY, believed, rows_of
from tests.making import add_entities, entity_id
from tests.opinions.making import versions

CASCADE = Policy(
    (Step(kinds=("human",), quorum=3, min_share=0.6), Step(actors=("human:expert",)),
     Step(actors=("model:cnn@2",), min_confidence=0.98)),
)  # fmt: skip


@pytest.mark.parametrize(("policy", "expected"), [
    ("majority", {"w": "cat", "x": "cat", "y": "tie"}),
    (majority(quorum=2), {"w": "cat", "x": "cat", "y": "tie"}),
    (majority(quorum=4), {"w": "cat", "x": "below_quorum", "y": "below_quorum"}),
    (majority(kinds=("human",), min_share=0.7), {"x": "below_share", "y": "tie"}),
    (majority(ties="lowest"), {"w": "cat", "x": "cat", "y": "cat"}),
    (majority(ties="latest"), {"w": "cat", "x": "cat", "y": "lynx"}),
    (majority(weights={"human:bo": 1.5}), {"w": "cat", "x": "cat", "y": "dog"}),
    (majority(weights={"human:expert": 2, "human:bo": 2.5}), {"w": "cat", "x": "lynx", "y": "dog"}),
    (trust("human:expert", "human:bo", "model:cnn@1"), {"w": "cat", "x": "lynx", "y": "lynx", "z": "cat"}),
    (model("model:cnn@2", above=0.98), {"w": "dog", "z": "cat"}),
    (model("model:cnn@1", above=0.8), {}),
    (CASCADE, {"w": "dog", "x": "cat", "y": "lynx", "z": "cat"}),
])  # fmt: skip
def test_a_policy_comes_to_one_answer_or_says_why_not(heard, policy, expected):
    assert believed(heard, policy) == expected


def test_the_first_step_that_comes_to_an_answer_decides_and_is_told(heard):
    found = {row["subject_id"]: row for row in rows_of(heard, CASCADE)}
    assert {name: (found[entity_id(name)]["step"], found[entity_id(name)]["share"]) for name in "wxyz"} == {
        "w": (3, 1.0), "x": (1, 2 / 3), "y": (2, 1.0), "z": (3, 1.0),
    }
    assert (found[entity_id("x")]["votes"], found[entity_id("x")]["all_votes"]) == (2.0, 3.0)


def test_soft_labels_are_the_shares_of_the_votes(heard):
    found = {row["subject_id"]: dict(row["label_votes"]) for row in rows_of(heard, soft())}
    assert found == {
        entity_id("w"): {"cat": 47, "dog": 3}, entity_id("x"): {"cat": 2, "lynx": 1},
        entity_id("y"): {"cat": 1, "dog": 1, "lynx": 1},
    }  # fmt: skip
    weighted = Policy((Step(kinds=PEOPLE, weights={"human:bo": 0.5}, ties="lowest"),), soft=True)
    found = {row["subject_id"]: dict(row["label_votes"]) for row in rows_of(heard, weighted)}
    assert found[entity_id("x")] == {"cat": 2_000_000, "lynx": 500_000}


def test_what_was_believed_at_a_time_stays_what_it_was(heard):
    # What was known: the edit in February, the late arrival in March, the retraction in April.
    assert believed(heard, "majority", known_at=JAN) == {"x": "cat", "y": "tie", "z": "dog"}
    assert believed(heard, "majority", known_at=FEB) == {"w": "cat", "x": "tie", "y": "tie", "z": "dog"}
    assert believed(heard, "majority", known_at=MAR) == {"w": "cat", "x": "cat", "y": "tie", "z": "dog"}
    assert believed(heard, "majority", known_at=MAY) == believed(heard, "majority")
    # What had been said by then, as we know it today.
    assert believed(heard, "majority", valid_at=JAN) == {"x": "cat", "y": "tie", "z": "dog"}
    assert believed(heard, trust("human:cy"), valid_at=FEB) == {"x": "cat"}
    assert believed(heard, trust("human:cy"), valid_at=FEB, known_at=FEB) == {}


def test_a_merge_counts_from_when_it_was_known(told, clock):
    changes.merge_label(told, "animal", "lynx", "cat")
    assert believed(told, "majority") == {"w": "cat", "x": "cat", "y": "cat"}
    assert believed(told, "majority", known_at=APR)["y"] == "tie"


def test_the_opinions_on_which_an_answer_rests_are_those_that_say_it(heard):
    rows = fetch(heard, "select o.actor_id, o.label from backing b join opinions o on o.opinion_id = b.opinion_id "
                 "order by o.actor_id", inputs={"backing": query(heard, backing_sql(CASCADE), params=
                 {"question": "animal"})})  # fmt: skip
    assert sorted((row["actor_id"], row["label"]) for row in rows) == [
        ("human:ann", "cat"), ("human:cy", "cat"), ("human:expert", "lynx"), ("model:cnn@2", "cat"),
        ("model:cnn@2", "dog"),
    ]  # fmt: skip


SAID = {
    "number": ({"human:ann": 2.5, "human:bo": 2.5, "human:cy": 3}, 2.5),
    "text": ({"human:ann": "a", "human:bo": "b", "human:cy": "b"}, "b"),
    "labels": ({"human:ann": ["a", "b"], "human:bo": ["b", "a"], "human:cy": ["a"]}, ["a", "b"]),
    "ranking": ({"human:ann": ["a", "b"], "human:bo": ["b", "a"], "human:cy": ["b", "a"]}, ["b", "a"]),
    "bool": ({"human:ann": True, "human:bo": True, "human:cy": False}, 1.0),
}
"""Kind -> answers by actor, what the majority says."""


def test_answers_of_every_kind_are_voted_on_whole(photos):
    add_entities(photos, ["x"])
    rows = [
        {"entity_id": entity_id("x"), kind: value, "actor": actor, "question": kind}
        for kind, (answers, _) in SAID.items() for actor, value in answers.items()
    ]  # fmt: skip
    record_opinions(photos, rows, source="all")
    for kind, (_, expected) in SAID.items():
        row, = photos.engine.arrow(labels(photos, kind)).to_pylist()
        found = row["number" if kind == "bool" else kind]
        assert (sorted(found) if kind == "labels" else found, row["problem"]) == (expected, None), kind
        assert row["value_kind"] == kind


def box(x: float, y: float = 0.0, *, label: str = "cell", w: float = 10.0, h: float = 10.0) -> dict[str, object]:
    return {"kind": "box", "label": label, "x": x, "y": y, "w": w, "h": h}


def test_regions_are_of_one_actor_of_a_consensus_or_united_above_a_support(photos):
    add_entities(photos, ["x", "y"])
    said = {"human:ann": [box(0), box(50), box(90)], "human:bo": [box(1), box(51, label="other")],
            "human:cy": [box(2), box(90)], "consensus:boxes@1": [box(5)]}  # fmt: skip
    rows = [{"entity_id": entity_id("x"), "regions": regions, "actor": actor} for actor, regions in said.items()]
    rows.append({"entity_id": entity_id("y"), "regions": [], "actor": "human:ann"})
    record_opinions(photos, rows, source="all", question="animal")

    def boxes(policy: Policy) -> dict[str, list[tuple[str, float, float | None]]]:
        return {
            name: [(r["label"], r["x"], r["score"]) for r in row["regions"]] if row["regions"] is not None else None
            for row in rows_of(photos, policy) for name in "xy" if row["subject_id"] == entity_id(name)
        }  # fmt: skip

    assert boxes(majority()) == {"x": None, "y": []}  # three answers, none of them twice
    assert boxes(trust("human:bo", "human:ann")) == {"x": [("cell", 1.0, None), ("other", 51.0, None)], "y": []}
    assert boxes(consensus("boxes")) == {"x": [("cell", 5.0, None)]}
    assert boxes(union(support=0.6)) == {"x": [("cell", 1.0, 1.0), ("cell", 90.0, 2 / 3)], "y": []}
    assert boxes(union(support=1.0)) == {"x": [("cell", 1.0, 1.0)], "y": []}


def test_one_who_answers_has_at_most_one_region_in_a_group():
    plain = {"angle": None, "score": None, "region_id": None}
    ann, bo = [{**box(0), **plain}, {**box(1), **plain}], [{**box(0.5), **plain}]
    found = union_of([ann, bo], Step(kinds=("human",), min_support=1.0, min_iou=0.3))
    assert [(each["x"], each["score"]) for each in found] == [(0.25, 1.0)]


def test_turned_boxes_are_united_in_centre_sides_and_angle_and_tracks_only_where_they_are_equal():
    plain = {"angle": None, "score": None, "region_id": None, "track_id": None}
    ann, bo = [{**box(0, w=40), **plain, "angle": 20.0}], [{**box(0, w=40), **plain, "angle": 204.0}]
    step = Step(kinds=("human",), min_support=1.0)
    found, = union_of([ann, bo], step)
    assert (found["x"], found["w"], found["angle"]) == (pytest.approx(0), pytest.approx(40), pytest.approx(22))
    tracks = [[{**box(x), **plain, "track_id": "1"}] for x in (0, 1)]
    assert (union_of(tracks, step), len(union_of([tracks[0], tracks[0]], step))) == ([], 1)


def test_regions_that_say_a_merged_label_are_united_with_those_of_the_one_that_stands_for_it(photos):
    add_entities(photos, ["x"])
    said = {"human:ann": [box(0, label="wbc")], "human:bo": [box(1, label="white")]}
    rows = [{"entity_id": entity_id("x"), "regions": regions, "actor": actor} for actor, regions in said.items()]
    record_opinions(photos, rows, source="all", question="animal")
    changes.merge_label(photos, "animal", "white", "wbc")
    row, = rows_of(photos, union(support=1.0))
    assert [(each["label"], each["x"], each["score"]) for each in row["regions"]] == [("wbc", 0.5, 1.0)]


def test_a_policy_is_told_apart_by_its_content_and_not_by_its_name():
    one = policy_from({"name": "a", "steps": [{"kinds": ["human", "pool"], "quorum": 1}]}, where="test")
    assert one.policy_id == majority().policy_id == "a34d8cb7b8e79d95"
    assert one.policy_id != majority(quorum=2).policy_id != soft().policy_id
    assert policy_from(json.loads(CASCADE.to_json()), where="test") == CASCADE


@pytest.mark.parametrize(("record", "message"), [
    ({"steps": []}, "needs a step"), ({"step": []}, "unknown key `step`; did you mean `steps`"),
    ({"steps": [{"kinds": ["humen"]}]}, "did you mean `human`"), ({"steps": [{}]}, "either kinds or actors"),
    ({"steps": [{"actors": ["ada"]}]}, "'ada' is no actor"), ({"steps": [{"kinds": ["human"], "ties": "x"}]}, "ties"),
    ({"steps": [{"kinds": ["human"], "quorum": 0}]}, "quorum must be above 0"),
    ({"steps": [{"kinds": ["human"], "quorom": 2}]}, "unknown key `quorom`"),
    ({"steps": [{"kinds": ["human"], "min_share": 2}]}, "within 0..1"),
    ({"steps": [{"kinds": ["human"], "weights": {"human:a": 0.1234567}}]}, "6 digits behind the point"),
])  # fmt: skip
def test_a_policy_that_cannot_be_is_refused(record, message):
    with pytest.raises(ConfigError, match=message):
        policy_from(record, where="test")


def test_policies_are_registered_once_and_a_name_means_what_it_meant_then(told, tmp_path, clock):
    (tmp_path / "strict.toml").write_text('[[steps]]\nkinds = ["human"]\nquorum = 4\n')
    first = load_policy(tmp_path / "strict.toml")
    register_policy(told, first)
    known = clock.now
    clock.forward(days=1)
    before = versions(told)
    assert register_policy(told, first).counts == {"registered": 0, "same": 1}
    assert versions(told) == before
    (tmp_path / "strict.json").write_text('{"steps": [{"kinds": ["human"], "quorum": 3}]}')
    second = load_policy(tmp_path / "strict.json")
    register_policy(told, second)
    assert believed(told, "strict")["x"] == "cat"
    assert believed(told, "strict", known_at=known)["x"] == "below_quorum"
    assert believed(told, first.policy_id[:8])["x"] == "below_quorum"
    assert [each.policy.name for each in registered(told)] == ["strict", "strict"]
    with pytest.raises(ConfigError, match="meant this before"):
        register_policy(told, first)
    with pytest.raises(ConfigError, match="no policy `stric`; did you mean `strict`"):
        policy_named(told, "stric")


def test_what_was_believed_when_a_model_was_trained_is_one_query(heard):
    # Model 2 spoke first in March: what it was trained on was known by then.
    trained = fetch(heard, "select min(ingest_time) as at from opinions where actor_id = 'model:cnn@2'")[0]["at"]
    assert believed(heard, "majority", known_at=trained) == {"w": "cat", "x": "cat", "y": "tie", "z": "dog"}


def test_a_question_that_was_never_asked_names_the_nearest(heard):
    with pytest.raises(ConfigError, match="no question `animl` was asked; did you mean `animal`"):
        labels(heard, "animl")
