"""Functions of the user's in SQL: registered, typed, the same as called in Python, and nothing else passes the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lakehouse as lh
from lakehouse.datasets.recipes.recipe import Recipe, Select
from lakehouse.datasets.versions.version import contracts
from lakehouse.errors import ConfigError, QueryRefusedError, RecipeError, TensorError
from lakehouse.sql import user_query
from lakehouse.tensors import registered
from tests.making import add_entities, small_lake


@lh.sql_function(gives="number", version=3, values=("power",))
def box_error(predicted: Any, truth: Any, power: int = 1) -> Any:
    """How far two boxes are apart."""
    if power < 0:
        raise KeyError("power")
    return (np.abs(predicted - truth) ** power).sum(axis=1)


@lh.sql_function(gives="number", version=1, deterministic=False)
def noisy(x: Any) -> Any:
    return x.sum(axis=1) + np.random.default_rng().random(len(x))


def recipe(sql: str) -> Recipe:
    return Recipe(name="boxes", select=Select(sql=sql))


def test_a_function_is_itself_in_python_and_in_both_ways_of_asking(tmp_path: Path) -> None:
    assert box_error(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]])) == 3.0

    @lh.sql_function(gives="array", version=1)
    def of_a_notebook(x: Any) -> Any:
        return [each[: int(each[0])] for each in x]

    text = (
        "select box_error([1, 2, 3], [1, 1, 1], 2) as e, nd_list(of_a_notebook([2, 5, 6])) as l, "
        "box_error([1], NULL) as n"
    )
    with small_lake(tmp_path / "lake") as lake:
        add_entities(lake, ["one"])
        assert lh.fetch(lake, text) == [{"e": 5.0, "l": [2.0, 5.0], "n": None}]
    assert user_query(tmp_path / "lake", text).to_pylist() == [{"e": 5.0, "l": [2.0, 5.0], "n": None}]
    with pytest.raises(TensorError, match="box_error: row 0 of a batch of 1: KeyError: 'power'"):
        user_query(tmp_path / "lake", "select box_error([1], [1], -1)")
    with pytest.raises(TensorError, match=r"box_error: takes box_error\(predicted, truth, \[power\]\), found 1"):
        user_query(tmp_path / "lake", "select box_error([1])")
    with pytest.raises(QueryRefusedError, match="function box_errors is not allowed"):
        user_query(tmp_path / "lake", "select box_errors([1], [1])")


def test_a_function_that_is_written_anew_is_the_one_that_is_called(tmp_path: Path) -> None:
    def write(factor: int) -> None:
        @lh.sql_function(gives="number", version=factor)
        def anew(x: Any) -> Any:
            return x[:, 0] * factor

    with small_lake(tmp_path / "lake") as lake:
        for factor in (1, 2):
            write(factor)
            assert lh.fetch(lake, "select anew([1]) as x") == [{"x": float(factor)}]


def test_a_result_of_another_kind_is_an_error(tmp_path: Path) -> None:
    @lh.sql_function(gives="integer", version=1)
    def halves(x: Any) -> Any:
        return x[:, 0] / 2

    with small_lake(tmp_path / "lake") as lake, pytest.raises(TensorError, match="halves: row 0 .* Cannot cast"):
        lh.fetch(lake, "select halves([5]) as x")


def test_a_function_may_import_what_queries_do_without(tmp_path: Path) -> None:
    @lh.sql_function(gives="number", version=1)
    def by_pandas(x: Any) -> Any:
        import pandas as pd

        return pd.DataFrame(x).sum(axis=1).to_numpy()

    with small_lake(tmp_path / "lake") as lake:
        add_entities(lake, ["one"])
    assert user_query(tmp_path / "lake", "select by_pandas([1, 2]) as x").to_pylist() == [{"x": 3.0}]


def test_the_version_of_a_function_is_part_of_what_a_recipe_rests_on() -> None:
    found = contracts(recipe("select entity_id, x[0, :] from entities where Box_Error(x, y) > nd_mean(z)"))
    assert {key: version for key, version in found.items() if key.startswith("function:")} == {
        "function:box_error": 3, "function:nd_mean": 1, "function:nd_slice": 1,
    }  # fmt: skip
    assert not [key for key in contracts(recipe("select entity_id, 'box_error' from entities")) if "function" in key]
    with pytest.raises(RecipeError, match="noisy, which is not deterministic"):
        contracts(recipe("select entity_id from entities where noisy([1]) > 0"))


def test_a_query_may_ask_for_a_version_of_a_function_and_gets_no_other(tmp_path: Path) -> None:
    with small_lake(tmp_path / "lake") as lake:
        add_entities(lake, ["one"])
        asked = "select Box_Error@3([1, 2], [0, 0]) as e, nd_sum@1([1]) as s, '@3(' as t"
        for found in (lh.fetch(lake, asked), user_query(lake.home, asked).to_pylist()):
            assert found == [{"e": 3.0, "s": 1.0, "t": "@3("}]
        held = contracts(recipe("select entity_id from entities where box_error@3([1], [0]) > 0"))
        assert held["function:box_error"] == 3
        with pytest.raises(QueryRefusedError, match="box_error@2 is asked for, and version 3 is here"):
            user_query(lake.home, "select box_error@2([1], [0]) as e")
        with pytest.raises(QueryRefusedError, match="nothing@1: no function of arrays is called so"):
            lh.fetch(lake, "select nothing@1([1]) as e")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "nd_mine"}, "not beginning with nd_"),
        ({"name": "Mine; drop"}, "expected small letters"),
        ({"gives": "float"}, "gives 'float'; known: number"),
        ({"version": 0}, "expected 1 and more"),
        ({"values": ("y",)}, "are to be its last parameters"),
    ],
)
def test_a_function_that_sql_cannot_have_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lh.sql_function(**({"name": "mine", "gives": "number", "version": 1} | given))(lambda x: x)


def test_two_functions_of_one_name_and_one_of_duckdbs_are_refused(tmp_path: Path) -> None:
    def box_error(x: Any) -> Any:
        return x

    with pytest.raises(ConfigError, match="two SQL functions are called `box_error`"):
        lh.sql_function(gives="number", version=1)(box_error)
    with small_lake(tmp_path / "lake") as lake:
        try:
            lh.sql_function(gives="number", version=1, name="md5")(box_error)
            with pytest.raises(ConfigError, match="DuckDB has a function of that name"):
                lh.fetch(lake, "select md5('a') as home")
        finally:
            registered._known.pop("md5")


@pytest.mark.torch
def test_a_function_of_torch_gets_tensors(tmp_path: Path) -> None:
    pytest.importorskip("torch")

    @lh.sql_function(gives="array", version=1, device="cpu")
    def soft(x: Any) -> Any:
        return x.double().softmax(1)

    with small_lake(tmp_path / "lake") as lake:
        assert lh.fetch(lake, "select nd_list(soft([1, 1])) as x") == [{"x": [0.5, 0.5]}]
