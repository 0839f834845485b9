"""Strata over numbers: edges that are stated, or quantiles of what is selected; equal values in one bin."""

from __future__ import annotations

import pytest

import lakehouse as lh
from lakehouse.datasets.recipes.recipe import parse_recipe, recipe_of
from lakehouse.errors import RecipeError
from tests.making import add_dimension, add_entities
from tests.parity.world import opened

VALUES = {"a": 0.1, "b": 0.2, "c": 0.2, "d": 0.3, "e": 0.5, "f": 0.9, "g": 0.9, "h": 0.9}


def recipe(bins, **strata):
    record = {"by": ["brightness"], "bins": {"brightness": bins}, **strata}
    return parse_recipe({"name": "binned", "strata": record, "split": {"ratios": {"all": 1.0}}}, where="r.toml")


def fill(lake):
    add_entities(lake, [*VALUES, "nothing measured"])
    add_dimension(lake, "brightness", VALUES)


def cells(lake, made):
    lh.build(lake, made)
    text = "select m.stratum, w.brightness from gold.dataset_members m join entities_wide w using (entity_id)"
    rows = lh.fetch(lake, text)
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["stratum"], []).append(row["brightness"])
    return {name: sorted(found[name]) for name in sorted(found)}


def test_edges_belong_to_the_upper_bin_and_what_is_not_measured_is_left_out(lake):
    fill(lake)
    found = cells(lake, recipe([0.2, 0.5]))
    assert found == {"0.2..0.5": [0.2, 0.2, 0.3], "<0.2": [0.1], ">=0.5": [0.5, 0.9, 0.9, 0.9]}
    assert lh.fetch(lake, "select reason from gold.dataset_exclusions") == [{"reason": "missing_stratum"}]


def test_quantiles_are_values_and_equal_ones_stay_together(lake):
    fill(lake)
    # Of eight values the 2nd, 4th and 6th are the edges: 0.2, 0.3, 0.9.
    assert cells(lake, recipe(4)) == {"q1": [0.1, 0.2, 0.2], "q2": [0.3], "q3": [0.5, 0.9, 0.9, 0.9]}


def test_a_quota_holds_in_every_bin(lake):
    fill(lake)
    found = cells(lake, recipe([0.2, 0.5], max=2, cells={">=0.5": 1}))
    assert {name: len(values) for name, values in found.items()} == {"0.2..0.5": 2, "<0.2": 1, ">=0.5": 1}


def test_a_recipe_with_bins_comes_back_as_it_was(lake):
    made = recipe([1.0, 2.5])
    assert recipe_of(made.canonical(), where="lake") == made


@pytest.mark.parametrize(
    ("strata", "message"),
    [
        ({"by": ["brightness"]}, "`brightness` is of kind number; .*, or give it bins, as strata.bins.brightness = 4"),
        ({"by": ["origin"], "bins": {"brightness": 4}}, "strata.by does not have `brightness`"),
        ({"by": ["brigtness"], "bins": {"brigtness": 4}}, "no column `brigtness`; did you mean `brightness`?"),
        ({"by": ["origin"], "bins": {"origin": 4}}, "`origin` is of kind text; bins are for columns of numbers"),
        ({"by": ["brightness"], "bins": {"brightness": 1}}, "1 quantiles; give 2 to 100"),
        ({"by": ["brightness"], "bins": {"brightness": []}}, "expected edges"),
        ({"by": ["brightness"], "bins": {"brightness": [0.5, 0.2]}}, "edges must rise"),
        ({"by": ["brightness"], "bins": {"brightness": ["x"]}}, "expected edges"),
        ({"by": ["brightness"], "bins": {"brightness": True}}, "expected edges"),
    ],
)
def test_bins_that_cannot_be_are_named(lake, strata, message):
    fill(lake)
    made = parse_recipe({"name": "binned", "strata": strata}, where="r.toml")
    with pytest.raises(RecipeError, match=message):
        lh.build(lake, made)


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("bins", [[0.2, 0.5], 3])
def test_both_engines_cut_alike(tmp_path, bins):
    found = []
    for engine in ("embedded", "spark"):
        with opened(tmp_path / engine, engine) as lake:
            fill(lake)
            found.append((cells(lake, recipe(bins)), lh.build(lake, recipe(bins)).details))
    assert found[0] == found[1]
