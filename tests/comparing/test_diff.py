"""diff: which members differ and why, against sets and dictionaries of plain Python."""

from __future__ import annotations

import math
import random
import statistics
from datetime import timedelta

import pytest

from lakehouse.comparing.causes import differences
from lakehouse.comparing.diff import diff_datasets
from lakehouse.comparing.shift import numbers_moved
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import RecipeError
from lakehouse.evaluation.evaluate import evaluate
from lakehouse.query import fetch
from tests.making import START, Clock, add_dimension, add_entities, add_opinions, entity_id, opinion, small_lake

RATIOS = {"train": 0.7, "test": 0.3}
NAMES = [f"n{number:02}" for number in range(40)]
MODEL = "model:cnn@1"


def made(lake, **more) -> str:
    record = {"name": "zoo", "seed": 1, "question": "animal", "split": {"ratios": RATIOS}} | more
    return build(lake, parse_recipe(record, where="zoo.toml")).details["dataset_id"]


def members(lake, dataset_id) -> dict[str, tuple[str, str]]:
    text = "select entity_id, split, label from gold.dataset_members where dataset_id = $id"
    return {row["entity_id"]: (row["split"], row["label"]) for row in fetch(lake, text, params={"id": dataset_id})}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Two versions: ten animals came, five are said to be others now, two were taken back, brightness rose."""
    clock = Clock()
    with small_lake(tmp_path_factory.mktemp("zoo") / "lake", clock=clock) as lake:
        add_entities(lake, NAMES[:30])
        first = [opinion(name, "human:ada", "cat" if place % 2 else "dog") for place, name in enumerate(NAMES[:30])]
        add_opinions(lake, first)
        add_opinions(lake, [opinion(name, MODEL, "cat") for name in NAMES])
        add_dimension(lake, "brightness", {name: place for place, name in enumerate(NAMES[:30])})
        old = made(lake)
        evaluate(lake, dataset_id=old, actor=MODEL, question="animal")
        clock.forward(days=1)
        add_entities(lake, NAMES[30:])
        add_opinions(lake, [opinion(name, "human:bo", "emu") for name in NAMES[30:]])
        # Said by somebody with two votes, so that they outvote the first.
        add_opinions(lake, [opinion(name, "human:cy", "emu", votes=2) for name in NAMES[:5]])
        taken_back = [str(first[place]["opinion_id"]) for place in (10, 11)]
        add_opinions(lake, [
            opinion(NAMES[place], "human:ada", None, op="retract", target=target)
            for place, target in zip((10, 11), taken_back, strict=True)
        ])  # fmt: skip
        add_dimension(lake, "brightness", {name: 100 + place for place, name in enumerate(NAMES[30:])})
        new = made(lake)
        evaluate(lake, dataset_id=new, actor=MODEL, question="animal")
        yield lake, old, new


def test_members_that_differ_are_those_of_two_dictionaries(zoo):
    lake, old, new = zoo
    found = diff_datasets(lake, old, new)
    before, now = members(lake, old), members(lake, new)
    assert found.counts == {
        "came_in": len(now.keys() - before.keys()),
        "went_out": len(before.keys() - now.keys()),
        "moved": 0,
        "answered_otherwise": sum(before[each][1] != now[each][1] for each in before.keys() & now.keys()),
        "weighed_otherwise": 0,
    }
    assert (found.counts["came_in"], found.counts["went_out"], found.counts["answered_otherwise"]) == (10, 2, 5)
    rows = {row["entity_id"]: row for row in found.members.to_pylist()}
    assert len(rows) == found.members.num_rows == 17
    out = {each for each, row in rows.items() if row["change"] == "out"}
    assert out == {entity_id(NAMES[10]), entity_id(NAMES[11])}
    for each, row in rows.items():
        assert (row["old_split"], row["old_label"]) == before.get(each, (None, None))
        assert (row["new_split"], row["new_label"]) == now.get(each, (None, None))
    assert found.reasons == [
        {"change": "in", "reason": "not_selected", "members": 10},
        {"change": "out", "reason": "no_label", "members": 2},
    ]


def test_labels_that_changed_are_told_with_those_who_said_so(zoo):
    lake, old, new = zoo
    found = diff_datasets(lake, old, new)
    assert found.answers == [
        {"old_label": "dog", "new_label": "emu", "members": 3}, {"old_label": "cat", "new_label": "emu", "members": 2},
    ]  # fmt: skip
    assert found.opinions == [{"actor_id": "human:cy", "op": "assert", "opinions": 5, "members": 5}]
    assert {row["input"] for row in found.inputs} >= {"heard.opinions", "heard.actors"}
    assert found.recipe == found.contracts == []


def test_classes_and_dimensions_move_as_far_as_plain_figures_say(zoo):
    lake, old, new = zoo
    found = diff_datasets(lake, old, new)
    before, now = members(lake, old), members(lake, new)
    for row in found.classes:
        counts = [sum(label == row["label"] for _, label in each.values()) for each in (before, now)]
        assert [row["old_members"], row["new_members"]] == counts
        assert row["share_change"] == pytest.approx(counts[1] / len(now) - counts[0] / len(before))
    values = {entity_id(name): float(place if place < 30 else 70 + place) for place, name in enumerate(NAMES)}
    sides = [[values[each] for each in version] for version in (before, now)]
    spread = math.sqrt(sum(statistics.variance(side) for side in sides) / 2)
    (row,) = [row for row in found.dimensions if row["dimension"] == "brightness"]
    assert row["shift"] == pytest.approx((statistics.mean(sides[1]) - statistics.mean(sides[0])) / spread)
    assert (row["old_members"], row["new_members"]) == (30, 38)


def test_evaluations_that_moved_stand_beside_each_other(zoo):
    lake, old, new = zoo
    (row,) = [row for row in diff_datasets(lake, old, new).evaluations
              if (row["metric"], row["slice"]) == ("accuracy", "all")]  # fmt: skip
    text = "select value from gold.evaluations where dataset_id = $id and metric = 'accuracy' and slice = 'all'"
    values = [fetch(lake, text, params={"id": each})[0]["value"] for each in (old, new)]
    assert [row["old_value"], row["new_value"]] == values
    assert values[0] != values[1]


def test_a_version_is_itself_and_the_other_way_round_is_the_opposite(zoo):
    lake, old, new = zoo
    same = diff_datasets(lake, old, old)
    assert same.is_same
    assert same.members.num_rows == 0
    assert all(not rows for name, rows in same.parts() if name not in ("classes", "dimensions"))
    back = diff_datasets(lake, new, old)
    there = diff_datasets(lake, old, "zoo")
    assert (back.counts["came_in"], back.counts["went_out"]) == (there.counts["went_out"], there.counts["came_in"])
    assert not back.is_same


def test_another_seed_moves_members_and_the_recipe_says_so(zoo):
    lake, old, _ = zoo
    text = "select entity_id from entities where entity_id <> $out"
    other = made(lake, seed=2, as_of={"known_at": START + timedelta(hours=12)},
                 select={"sql": text, "params": {"out": entity_id(NAMES[0])}})  # fmt: skip
    found = diff_datasets(lake, old, other)
    before, now = members(lake, old), members(lake, other)
    moved = {each for each in before.keys() & now.keys() if before[each][0] != now[each][0]}
    assert found.counts["moved"] == len(moved) > 0
    assert sum(row["members"] for row in found.moves) == len(moved)
    assert {row["entity_id"] for row in found.members.to_pylist() if row["is_moved"]} == moved
    keys = {row["key"]: (row["old"], row["new"]) for row in found.recipe}
    assert keys["seed"] == (1, 2)
    assert keys.keys() >= {"seed", "as_of", "select"}


def test_quotas_are_told_as_reasons(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        add_entities(lake, NAMES)
        add_opinions(lake, [opinion(name, "human:ada", random.Random(name).choice("ab")) for name in NAMES])
        old, new = made(lake, strata={"by": ["label"], "max": 9}), made(lake, strata={"by": ["label"], "max": 6})
        found = diff_datasets(lake, old, new)
        assert found.reasons == [{"change": "out", "reason": "over_quota", "members": 6}]
        assert diff_datasets(lake, new, old).reasons == [{"change": "in", "reason": "over_quota", "members": 6}]
        assert [row["key"] for row in found.recipe] == ["strata.max"]


def test_a_name_that_no_dataset_has_is_an_error(zoo):
    lake, old, _ = zoo
    with pytest.raises(RecipeError, match="no dataset `zooo`.*did you mean `zoo`"):
        diff_datasets(lake, old, "zooo")


def test_settings_are_compared_key_by_key():
    old = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "e": None}
    new = {"a": 1, "b": {"c": [1, 3]}, "f": {"g": 2}}
    assert list(differences(old, new)) == [
        {"key": "b.c", "old": [1, 2], "new": [1, 3]}, {"key": "b.d", "old": "x", "new": None},
        {"key": "f", "old": None, "new": {"g": 2}},
    ]  # fmt: skip


def test_the_order_in_which_numbers_are_summed_does_not_show_in_a_shift() -> None:
    def shift(off: float) -> list[dict[str, object]]:
        sides = (False, 0.8666666666666666, 0.6912147117775906), (True, 1.2, 0.7673909622147559)
        return list(numbers_moved(
            {"dimension": "light", "is_new": is_new, "members": 5, "mean": mean + off, "deviation": deviation + off}
            for is_new, mean, deviation in sides
        ))  # fmt: skip

    assert shift(0.0) == shift(2.3e-16) == shift(-2.3e-16)
    assert shift(0.0) != shift(1e-6)
