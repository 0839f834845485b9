"""Label filters, coarser labels and hard cases: who is left out by them, for which reason, and under which id."""

from __future__ import annotations

import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.hearing.coarser import at_level
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import RecipeError
from lakehouse.labels.changes import set_parent
from lakehouse.query import fetch
from tests.making import Clock, add_entities, add_opinions, entity_id, opinion, small_lake

VOTES = {
    "a": ("tiger", 9, "cat", 1), "b": ("tiger", 1, "dog", 1), "c": ("tiger", 2, "dog", 3), "d": ("dog", 4, "cat", 0),
    "e": ("cat", 6, "tiger", 4), "f": ("wolf", 1, "cat", 0),
}  # fmt: skip
MODEL = {"a": ("tiger", 0.99), "c": ("tiger", 0.5), "d": ("dog", 0.59), "e": ("dog", 0.8)}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Votes for two labels each; a tiger is a cat, a wolf a dog, and both are animals; a model says of four."""
    with small_lake(tmp_path_factory.mktemp("hard") / "lake", clock=Clock()) as made:
        add_entities(made, list(VOTES))
        rows = []
        for name, (one, votes, other, fewer) in VOTES.items():
            said = ((one, votes), (other, fewer))
            rows += [opinion(name, "pool:crowd", label, votes=count, slot=label) for label, count in said if count]
        rows += [opinion(name, "model:net@1", label) | {"confidence": sure} for name, (label, sure) in MODEL.items()]
        rows.append(opinion("a", "human:ann", "animal", question="top"))
        add_opinions(made, rows)
        label_set = fetch(made, "select label_set_id from silver.questions where question_id = 'animal'")[0]
        set_parent(made, label_set["label_set_id"], "tiger", "cat")
        set_parent(made, label_set["label_set_id"], "wolf", "dog")
        yield made


def outcome(lake, **said):
    """Name -> label of a member, or the reason why it is none; and the id of the version."""
    record = {"name": "hard", "question": "animal", "split": {"ratios": {"all": 1.0}}} | said
    dataset_id = build(lake, parse_recipe(record, where="h.toml")).details["dataset_id"]
    names = {entity_id(name): name for name in VOTES}
    found = {}
    for table, column in (("gold.dataset_members", "label"), ("gold.dataset_exclusions", "reason")):
        text = f"select entity_id, {column} as said from {table} where dataset_id = $id"
        found |= {names[row["entity_id"]]: row["said"] for row in fetch(lake, text, params={"id": dataset_id})}
    return dict(sorted(found.items())), dataset_id


def test_labels_that_are_not_asked_for_are_left_out_with_a_reason(lake):
    only, _ = outcome(lake, label={"only": ["tiger", "dog"]})
    assert only == {"a": "tiger", "b": "tie", "c": "dog", "d": "dog", "e": "not_in_only", "f": "not_in_only"}
    exclude, _ = outcome(lake, label={"exclude": ["dog"]})
    assert exclude == {"a": "tiger", "b": "tie", "c": "label_excluded", "d": "label_excluded", "e": "cat", "f": "wolf"}


def test_coarser_labels_are_counted_together_by_map_or_by_the_hierarchy(lake):
    expected = {"a": "cat", "b": "tie", "c": "dog", "d": "dog", "e": "cat", "f": "wolf"}
    by_map, _ = outcome(lake, label={"map": {"tiger": "cat"}})
    assert by_map == expected
    by_level, one = outcome(lake, label={"level": 1})
    assert by_level == expected | {"f": "dog"}
    # All ten votes are for a cat now.
    shares = fetch(lake, "select label_share from gold.dataset_members where dataset_id = $id and entity_id = $e",
                   params={"id": one, "e": entity_id("e")})  # fmt: skip
    assert shares == [{"label_share": 1.0}]
    assert at_level({"a": "b", "b": "c", "c": None}, "a", 2) == "b"
    assert at_level({"a": "b", "b": "a"}, "a", 1) == "b"


def test_a_label_that_is_left_out_makes_no_cell_that_could_be_short(lake):
    found, _ = outcome(lake, label={"exclude": ["wolf", "cat"]}, strata={"by": ["label"], "quota": 1})
    assert sorted(found.values()) == ["dog", "label_excluded", "label_excluded", "over_quota", "tie", "tiger"]


@pytest.mark.parametrize(
    ("hard", "members"),
    [
        ({"disagreement": {"min": 0.1}}, "ace"),  # 9 of 10 votes are for a: 0.1 is against it
        ({"disagreement": {"min": 0.4}}, "ce"),
        ({"disagreement": {"min": 0.41}}, ""),
        ({"confidence": {"actor": "model:net@1", "below": 0.59}}, "c"),
        ({"model_against_people": "model:net@1"}, "ce"),
        ({"model_against_people": "model:net@1", "confidence": {"actor": "model:net@1", "below": 0.6}}, "cde"),
    ],
)
def test_hard_cases_are_those_that_any_rule_finds(lake, hard, members):
    if not members:
        with pytest.raises(RecipeError, match="5 not_hard, 1 tie"):
            outcome(lake, select={"hard": hard})
        return
    found, _ = outcome(lake, select={"hard": hard})
    assert [name for name, said in found.items() if said not in ("tie", "not_hard")] == list(members)
    assert sorted(set(found.values()) & {"tie", "not_hard"}) == ["not_hard", "tie"]


def test_what_a_named_model_says_is_content_of_such_a_recipe_alone(lake):
    hard = {"select": {"hard": {"model_against_people": "model:net@1"}}}
    before, plain = outcome(lake, **hard)[1], outcome(lake)[1]
    add_opinions(lake, [opinion("d", "model:net@1", "cat", event_time=lake.clock()) | {"confidence": 0.9}])
    assert outcome(lake)[1] == plain
    found, after = outcome(lake, **hard)
    assert after != before
    assert found["d"] == "dog"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"label": {"only": ["tigre"]}}, "label.only: no label is 'tigre'; did you mean `tiger`?"),
        ({"label": {"exclude": ["wulf"]}}, "label.exclude: no label is 'wulf'; did you mean `wolf`?"),
        ({"label": {"only": ["dog"], "exclude": ["dog"]}}, "label.only and label.exclude both have 'dog'"),
        ({"label": {"map": {"tiger": "cta"}}}, "label.map: no label is 'cta'; did you mean `cat`?"),
        ({"label": {"level": -1}}, "label.level = -1"),
        ({"label": {"exclude": ["dog", "cat", "wolf", "tiger"]}}, "5 label_excluded, 1 tie"),
        ({"question": "", "label": {"only": ["dog"]}}, "label.only is for answers that are one label"),
        ({"select": {"hard": {"disagreement": {"min": 1.5}}}}, "it is a share above 0"),
        ({"select": {"hard": {"confidence": {"below": 0.5}}}}, "select.hard.confidence needs both"),
        ({"select": {"hard": {"model_against_people": "model:nt@1"}}}, "did you mean `model:net@1`?"),
    ],
)
def test_filters_that_cannot_be_are_named(lake, said, message):
    with pytest.raises(RecipeError, match=message):
        outcome(lake, **said)
