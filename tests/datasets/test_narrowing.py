"""What of a selection is considered: conditions on columns, a time range, the newest share."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe, recipe_of
from lakehouse.errors import RecipeError
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from schemas.tables import ENTITIES
from tests.making import START, Clock, add_dimension, add_entities, entity_id, small_lake

NAMES = [f"n{number}" for number in range(10)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """n0 to n9: `n` is what brightness (tenths) and width (tens) say; n9 is not measured, n8 synthetic.

    Recorded on day n, n9 at no known time, n3 and n4 at the same; n0 to n4 came a day before the others."""
    clock = Clock()
    with small_lake(tmp_path_factory.mktemp("narrow") / "lake", clock=clock) as made:
        for names in (NAMES[:5], NAMES[5:]):
            rows = [
                {"entity_id": entity_id(name), "media_type": "text/plain", "size_bytes": 2, "storage": "copy",
                 "object_uri": name, "group_keys": {}, "origin": "synthetic" if name == "n8" else "real",
                 "captured_at": {"n9": None, "n4": START + timedelta(days=3)}.get(
                     name, START + timedelta(days=int(name[1:])))}
                for name in names
            ]  # fmt: skip
            insert_rows(made, ENTITIES, rows, step="test")
            clock.forward(days=1)
        add_dimension(made, "brightness", {name: int(name[1:]) / 10 for name in NAMES[:9]})
        add_dimension(
            made, "width", {name: int(name[1:]) * 10 for name in NAMES[:9]}, kind="integer", extractor="image_header"
        )
        yield made


def recipe(**select):
    return parse_recipe({"name": "narrow", "select": select, "split": {"ratios": {"all": 1.0}}}, where="n.toml")


def members(lake, **select):
    receipt = build(lake, recipe(**select))
    names = {entity_id(name): name for name in NAMES}
    text = "select entity_id from gold.dataset_members where dataset_id = $id"
    found = fetch(lake, text, params={"id": receipt.details["dataset_id"]})
    return sorted(names[row["entity_id"]] for row in found)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"width": 30}, "3"),
        ({"width": [30, 50]}, "35"),
        ({"width": {"min": 60, "below": 80}}, "67"),
        ({"width": {"above": 60, "max": 80}}, "78"),
        ({"width": {"not": [0, 10, 20]}}, "345678"),
        ({"width": {"null": True}}, "9"),
        ({"width": {"null": False}}, "012345678"),
        ({"width": {"min": 80, "null": True}}, "89"),
        ({"brightness": {"max": 0.1}}, "01"),
        ({"brightness": 0.3}, "3"),
        ({"brightness": {"min": 0.3, "max": 0.6}, "width": {"not": 40}}, "356"),
        ({"origin": "synthetic"}, "8"),
        ({"origin": {"not": ["synthetic"]}, "width": {"min": 60}}, "67"),
        ({"media_type": {"starts_with": "text/"}, "width": 0}, "0"),
        ({"captured_at": {"min": START + timedelta(days=7)}}, "78"),
    ],
)
def test_a_condition_lets_pass_what_has_such_a_value(lake, where, expected):
    assert members(lake, where=where) == [f"n{digit}" for digit in expected]


def test_conditions_and_sql_hold_together_and_what_is_left_is_told(lake):
    text = "select entity_id, width as wide from entities_wide where width >= 30"
    assert members(lake, sql=text, where={"width": {"max": 40}}) == ["n3", "n4"]
    details = build(lake, recipe(sql=text, where={"width": {"max": 40}})).details
    assert details["selected"] == "6 after select.sql, 2 after select.where"


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ({"time": {"since": START + timedelta(days=3), "until": START + timedelta(days=6)}}, "345"),
        ({"time": {"until": START + timedelta(days=2)}}, "01"),
        ({"time": {"by": "ingest", "since": START + timedelta(days=1)}}, "56789"),
        # Of nine with a time: 0.9 of one, rounded up.
        ({"newest": 0.1}, "8"),
        ({"newest": 1 / 3}, "678"),
        ({"newest": 0.5, "time": {"by": "ingest"}}, "56789"),
        ({"newest": 0.25, "time": {"until": START + timedelta(days=4)}}, "34"),
        # n3 and n4 are of one instant: the greater id is the newer.
        ({"newest": 0.2, "time": {"until": START + timedelta(days=4)}}, max("34", key=lambda n: entity_id(f"n{n}"))),
    ],
)
def test_a_time_range_is_half_open_and_the_newest_share_is_exact(lake, select, expected):
    assert members(lake, **select) == [f"n{digit}" for digit in expected]


def test_a_recipe_by_the_clock_of_the_lake_is_named_by_it(tmp_path):
    ids = []
    for day in (0, 1):
        clock = Clock()
        clock.forward(days=day)
        with small_lake(tmp_path / str(day), clock=clock) as made:
            add_entities(made, NAMES)
            by_clock = {"time": {"by": "ingest", "until": START + timedelta(days=9)}}
            ids.append([build(made, recipe(**select)).details["dataset_id"] for select in ({}, by_clock)])
    assert ids[0][0] == ids[1][0]
    assert ids[0][1] != ids[1][1]


def test_the_same_conditions_written_otherwise_are_the_same_recipe():
    one = recipe(where={"width": 30, "origin": ["real", "synthetic"], "captured_at": {"min": START}})
    other = recipe(where={"origin": {"in": ["synthetic", "real", "real"]}, "captured_at": {"min": START},
                          "width": {"in": [30]}})  # fmt: skip
    assert one.canonical() == other.canonical()
    back = recipe_of(one.canonical(), where="lake")
    assert back.canonical() == one.canonical()
    assert back.select.where["captured_at"] == {"min": START}


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ({"where": {"widht": 3}}, "no column `widht`; did you mean `width`?"),
        ({"where": {"width": {"mim": 3}}}, "select.where.width: unknown condition `mim`; did you mean `min`?"),
        ({"where": {"width": []}}, "`in` has no value"),
        ({"where": {"width": {}}}, "no condition is stated"),
        ({"where": {"width": "wide"}}, "of kind integer: expected a whole number, found 'wide'"),
        ({"where": {"width": 3.5}}, "expected a whole number, found 3.5"),
        ({"where": {"width": True}}, "expected a whole number, found True"),
        ({"where": {"width": [3, "x"]}}, "values of one type"),
        ({"where": {"width": {"min": 9, "max": 3}}}, "nothing is from 9 to 3"),
        ({"where": {"width": {"min": 9, "max": START}}}, "take values of one type"),
        ({"where": {"width": {"null": 1}}}, "`null` takes true or false"),
        ({"where": {"width": {"starts_with": "3"}}}, "`starts_with` is for texts"),
        ({"where": {"origin": {"min": 3}}}, "`min` is for numbers and times"),
        ({"where": {"brightness": float("nan")}}, "found nan"),
        ({"where": {"group_keys": "x"}}, "`group_keys` is of kind map"),
        ({"where": {"created_at": {"min": START}}}, "is a clock of the lake"),
        ({"where": {"origin": "x' or 'a' = 'a"}}, "select.where selects no entity: none of the 10 entities"),
        ({"time": {"by": "evnt"}}, "did you mean `event`?"),
        ({"time": {"since": START, "until": START}}, "nothing is from"),
        ({"time": {"since": "yesterday"}}, "expected a time like"),
        ({"time": {"since": START + timedelta(days=99)}}, "select.time selects no entity"),
        ({"newest": 0}, "select.newest = 0.0; it is a share above 0"),
        ({"newest": 1.5}, "at most 1"),
        ({"newest": float("nan")}, "select.newest = nan"),
    ],
)
def test_a_selection_that_cannot_be_is_named(lake, select, message):
    with pytest.raises(RecipeError, match=message):
        build(lake, recipe(**select))
