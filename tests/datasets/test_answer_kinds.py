"""A package adds a kind of answer by one file and one line: it is built, materialised, read and scored."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from PIL import Image

import lakehouse as lh
from lakehouse import plugins
from lakehouse.datasets import policies
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import ConfigError, RecipeError
from lakehouse.evaluation.gates import Gate, check_computed, check_gates
from loaders import make_reader
from tests.datasets.cells import names_of

RECIPE = {
    "name": "rated", "question": "rating", "label": {"policy": "mean", "task": "rating"},
    "split": {"ratios": {"train": 1.0}},
}  # fmt: skip


@pytest.fixture
def rated(lake, tmp_path):
    """A lake in which two people rated three pictures, and one picture is not rated."""
    (tmp_path / "pictures").mkdir()
    for place, name in enumerate("abcd"):
        Image.new("RGB", (4, 4), (place, 0, 0)).save(tmp_path / "pictures" / f"{name}.png")
    lh.land(lake, lh.Source(name="pictures", folder=str(tmp_path / "pictures")))
    lh.entities(lake)
    entities = {name: entity for entity, name in names_of(lake).items()}
    for who, said in (("ann", {"a": 1, "b": 2, "c": -3}), ("bo", {"a": 4})):
        rows = [{"entity_id": entities[name], "number": number} for name, number in said.items()]
        lh.record_opinions(lake, rows, source=who, question="rating", actor=f"human:{who}")
    return lake


@pytest.fixture
def numbers(monkeypatch):
    """Pretend that a package with the toy kind is installed."""
    point = EntryPoint("rating", "tests.datasets.toy_numbers:RATING", policies.ENTRY_POINTS)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == policies.ENTRY_POINTS else [])
    policies.answer_kinds.cache_clear()
    yield
    policies.answer_kinds.cache_clear()


def test_without_the_package_such_a_recipe_is_refused_by_name(rated):
    with pytest.raises(RecipeError, match="label.task = 'rating'; did you mean `ranking`"):
        lh.build(rated, parse_recipe(RECIPE, where="rated.toml"))


def test_a_task_takes_the_answers_that_it_is_for(rated):
    with pytest.raises(RecipeError, match="'boxes' takes answers of regions, and question .* number; .*: number"):
        lh.build(rated, parse_recipe(RECIPE | {"label": {"policy": "single", "task": "boxes"}}, where="rated.toml"))


@pytest.mark.usefixtures("numbers")
def test_with_it_numbers_are_built_read_and_scored(rated):
    built = lh.build(rated, parse_recipe(RECIPE, where="rated.toml"))
    left_out = lh.fetch(rated, "select reason from gold.dataset_exclusions order by reason")
    assert [row["reason"] for row in left_out] == ["below_zero", "no_answer"]
    folder = rated.root / lh.materialise(rated, "rated").details["folder"]
    names = names_of(rated)
    with make_reader(folder / "train", batch_size=2) as reader:
        (batch,) = list(reader)
        found = {names[str(entity)]: float(rating) for entity, rating in zip(batch["entity_id"], batch["rating"],
                                                                             strict=True)}  # fmt: skip
    assert found == {"a": 2.5, "b": 2.0}
    guesses = [{"entity_id": entity, "number": 2.0} for entity, name in names.items() if name in "ab"]
    lh.record_opinions(rated, guesses, source="run", question="rating", actor="model:m@1")
    receipt = lh.evaluate(rated, dataset_id=built.details["dataset_id"], actor="model:m@1", question="rating",
                          split="train", gates=[Gate("mean_error", "<=", 1.5, min_support=2)])  # fmt: skip
    assert receipt.details["verdict"] == "pass"
    assert receipt.details["mean_error"] == "0.2500"


@pytest.mark.usefixtures("numbers")
def test_a_gate_knows_what_its_measure_is_and_which_answers_have_it():
    check_gates([Gate("mean_error", "<=", 1.5)], ())
    with pytest.raises(ConfigError, match="nothing is sliced by `origin`"):
        check_gates([Gate("mean_error", "<=", 1.5, slice="origin=real")], ())
    with pytest.raises(ConfigError, match="gate on accuracy: these answers have no such number; .*mean_error"):
        check_computed([Gate("accuracy", ">=", 0.5)], ["coverage", "mean_error"], policies.answer_kinds()["rating"])


def test_without_the_package_there_is_no_such_metric():
    with pytest.raises(ConfigError, match="gate on mean_error: no such metric"):
        check_gates([Gate("mean_error", "<=", 1.5)], ())
