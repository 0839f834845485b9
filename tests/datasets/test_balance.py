"""Weights: members stay the same, and draws by weight give each class, or cell, as often as was asked."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.datasets.build import build
from lakehouse.datasets.choosing.weighing import weights_of
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.recipes.sections.balance import Balance
from lakehouse.errors import RecipeError
from lakehouse.materialise.step import materialise
from lakehouse.query import fetch
from loaders import make_reader
from loaders.errors import FormatError
from loaders.ordering.draws import weighted_draws
from tests.datasets.test_extending import add, built
from tests.lanes import examples
from tests.making import Clock, add_entities, add_opinions, opinion, small_lake

LABELS = {f"n{number:03}": "cat" if number < 90 else "dog" if number < 109 else "emu" for number in range(110)}
DRAWS = 10_000


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """90 cats, 19 dogs, one emu."""
    with small_lake(tmp_path_factory.mktemp("zoo") / "lake", clock=Clock()) as lake:
        add_entities(lake, list(LABELS))
        add_opinions(lake, [opinion(name, "human:ada", label) for name, label in LABELS.items()])
        yield lake


def members(lake, balance, **more):
    record = {"name": "zoo", "question": "animal", "balance": balance, "split": {"ratios": {"all": 1.0}}} | more
    receipt = build(lake, parse_recipe(record, where="zoo.toml"))
    text = "select entity_id, split, label, weight from gold.dataset_members where dataset_id = $id order by entity_id"
    return fetch(lake, text, params={"id": receipt.details["dataset_id"]})


@pytest.mark.parametrize(
    ("balance", "shares"),
    [
        ({"by": "label"}, {"cat": 1 / 3, "dog": 1 / 3, "emu": 1 / 3}),
        ({"by": "label", "weights": {"emu": 2.0}}, {"cat": 0.25, "dog": 0.25, "emu": 0.5}),
        ({"by": "label", "alpha": 0.5}, {name: math.sqrt(count) / (math.sqrt(90) + math.sqrt(19) + 1)
                                        for name, count in (("cat", 90), ("dog", 19), ("emu", 1))}),
        # 110 / 3 / 1 is 36.7, capped to 5: of 110 - 36.7 + 5 draws it has 5.
        ({"by": "label", "max_weight": 5.0}, {"cat": 110 / 3, "dog": 110 / 3, "emu": 5.0}),
    ],
)  # fmt: skip
def test_ten_thousand_draws_are_as_many_of_each_class_as_asked(zoo, balance, shares):
    rows = members(zoo, balance)
    assert len(rows) == len(LABELS)
    drawn = weighted_draws([row["weight"] for row in rows], DRAWS, seed=3)
    labels = np.array([row["label"] for row in rows])[drawn]
    whole = sum(shares.values())
    for label, share in shares.items():
        expected = share / whole
        # Five standard deviations of a binomial: one run in two million is beyond.
        assert abs(np.mean(labels == label) - expected) < 5 * math.sqrt(expected * (1 - expected) / DRAWS)


def test_weights_are_by_split_and_add_up_to_its_members(zoo):
    rows = members(zoo, {"by": "cells"}, strata={"by": ["label"]}, split={"ratios": {"train": 0.5, "test": 0.5}})
    for split in ("train", "test"):
        weights = [row["weight"] for row in rows if row["split"] == split]
        assert math.isclose(sum(weights), len(weights), rel_tol=1e-9)
        totals = {row["label"]: 0.0 for row in rows if row["split"] == split}
        for row in rows:
            if row["split"] == split:
                totals[row["label"]] += row["weight"]
        assert max(totals.values()) - min(totals.values()) < 1e-6 * len(weights)
    assert {row["weight"] for row in members(zoo, {})} == {1.0}


COUNTS = st.dictionaries(st.tuples(st.sampled_from(["train", "test"]), st.sampled_from("abcd")), st.integers(1, 10**7),
                         min_size=1)  # fmt: skip


@settings(max_examples=examples(40, long=1000))
@given(counts=COUNTS, alpha=st.sampled_from([1.0, 0.5, 0.01]), cap=st.sampled_from([None, 0.5, 3.0]))
def test_weights_are_positive_and_free_of_the_order_of_cells(counts, alpha, cap):
    found = weights_of(Balance(by="label", alpha=alpha, max_weight=cap), counts)
    assert found == weights_of(Balance(by="label", alpha=alpha, max_weight=cap), dict(reversed(counts.items())))
    assert all(0 < weight <= (cap or math.inf) for weight in found.values())
    if cap is None:
        for split in {split for split, _ in counts}:
            mine = [place for place in counts if place[0] == split]
            assert math.isclose(sum(found[each] * counts[each] for each in mine), sum(counts[each] for each in mine))


@pytest.mark.parametrize(
    ("balance", "more", "message"),
    [
        ({"by": "label", "weights": {"cat": 0.0}}, {}, "balance.weights.cat = 0.0; a weight is a number above 0"),
        ({"by": "label", "weights": {"cat": float("nan")}}, {}, "balance.weights.cat = nan"),
        ({"by": "label", "max_weight": 0.0}, {}, "balance.max_weight = 0.0"),
        ({"by": "label", "max_weight": float("inf")}, {}, "balance.max_weight = inf"),
        ({"by": "label", "alpha": float("nan")}, {}, "balance.alpha = nan"),
        ({"by": "label", "alpha": 2.0}, {}, "balance.alpha = 2.0"),
        ({"by": "label", "weights": {"cta": 2.0}}, {}, "balance.weights: no member is 'cta'; did you mean `cat`?"),
        ({"by": "lable"}, {}, "did you mean `label`?"),
        ({"by": "cells"}, {}, "there are none: strata.by says by what"),
        ({"weights": {"cat": 2.0}}, {}, "balance.by is missing"),
        ({"by": "label"}, {"question": ""}, "the recipe asks no question"),
        ({"by": "label", "mode": "repeat"}, {}, "balance.splits: no member is in split 'train'"),
        ({"by": "label", "splits": ["al"]}, {}, "no member is in split 'al'; did you mean `all`?"),
        ({"by": "label", "mode": "repeats"}, {}, "did you mean `repeat`?"),
        ({"mode": "repeat"}, {}, "balance.by is missing"),
        ({"by": "label", "mode": "repeat", "max_weight": 0.5}, {}, "every sample is there once at least"),
    ],
)
def test_weights_that_cannot_be_are_named(zoo, balance, more, message):
    with pytest.raises(RecipeError, match=message):
        members(zoo, balance, **more)


@pytest.mark.parametrize(
    ("balance", "times"),
    [
        ({}, {"cat": 1, "dog": 5, "emu": 90}),
        # 90 / 19 is 4.7: half to even would not show.
        ({"max_weight": 7.9}, {"cat": 1, "dog": 5, "emu": 7}),
        ({"alpha": 0.5}, {"cat": 1, "dog": 2, "emu": 9}),
        ({"weights": {"cat": 36.0}}, {"cat": 8, "dog": 1, "emu": 19}),
    ],
)
def test_rare_classes_are_repeated_a_whole_number_of_times(zoo, balance, times):
    rows = members(zoo, {"by": "label", "mode": "repeat", "splits": ["all"], **balance})
    assert {row["label"]: row["weight"] for row in rows} == times


def test_only_the_splits_that_are_named_are_balanced():
    counts = {("train", "cat"): 4, ("train", "dog"): 2, ("test", "cat"): 4, ("test", "dog"): 2}
    named = Balance(by="label", splits=("train",))
    assert weights_of(named, counts) == {
        ("train", "cat"): 0.75, ("train", "dog"): 1.5, ("test", "cat"): 1.0, ("test", "dog"): 1.0,
    }  # fmt: skip
    assert weights_of(Balance(by="label", mode="repeat"), counts) == {
        ("train", "cat"): 1.0, ("train", "dog"): 2.0, ("test", "cat"): 1.0, ("test", "dog"): 1.0,
    }  # fmt: skip


def test_repeated_rows_are_in_what_is_materialised_and_kept_by_the_next_version(tmp_path):
    record = {"select": {"sql": "select entity_id from entities"}, "balance": {"by": "label", "mode": "repeat"}}
    with small_lake(tmp_path / "lake", clock=Clock()) as lake:
        add(lake, [*(f"n{number:03}" for number in range(40)), *(f"n1{number:02}" for number in range(6))])
        receipt = materialise(lake, built(lake, **record))
        folder = lake.root / receipt.details["folder"]
        counts = {split: Counter() for split in ("train", "test")}
        for split, count in counts.items():
            with make_reader(
                folder / split, batch_size=1, columns=["entity_id", "label", "weight", "repeat"]
            ) as reader:
                for batch in reader:
                    count[batch["label"][0], batch["entity_id"][0]] += 1
                    assert batch["weight"][0] == 1.0
        assert set(counts["test"].values()) == {1}
        times = {label: {count for (each, _), count in counts["train"].items() if each == label}
                 for label in ("cat", "dog")}  # fmt: skip
        cats, dogs = (sum(each == label for each, _ in counts["train"]) for label in ("cat", "dog"))
        assert times == {"cat": {1}, "dog": {round(cats / dogs)}}
        assert round(cats / dogs) > 1
        assert receipt.counts["rows"] == cats + dogs * round(cats / dogs) + counts["test"].total()
        # Numbered, so that each row has a name of its own; written again it is the same.
        assert materialise(lake, built(lake, **record)).counts == receipt.counts


@pytest.mark.parametrize("weights", [[1.0, 0.0], [float("nan")], [-1.0], [float("inf")], [], [[1.0]]])
def test_draws_by_what_is_no_weight_are_refused(weights):
    with pytest.raises(FormatError, match="weight"):
        weighted_draws(weights, 3, seed=1)


def test_draws_are_a_function_of_seed_and_epoch():
    drawn = weighted_draws([1.0, 2.0, 3.0], 50, seed=1).tolist()
    assert drawn == weighted_draws(np.array([1.0, 2.0, 3.0]), 50, seed=1).tolist()
    assert drawn != weighted_draws([1.0, 2.0, 3.0], 50, seed=1, epoch=1).tolist()
    assert weighted_draws([5.0], 3, seed=1).tolist() == [0, 0, 0]
    assert weighted_draws([5.0], 0, seed=1).tolist() == []
