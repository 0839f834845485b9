"""The pipelines and recipes in conf/ can be followed, and the demo's copy says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.demo.prepare import CONF, prepare_digits
from jobs.pipeline import load_pipeline
from lakehouse.datasets.recipes.recipe import load_recipe

PIPELINES = sorted((CONF / "pipelines").glob("*.toml"))


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_pipelines_name_sources_opinions_and_recipes_of_their_name(path: Path) -> None:
    pipeline = load_pipeline(path)
    assert pipeline.sources
    assert pipeline.opinions
    names = [recipe.name for recipe in pipeline.recipes]
    assert names[0] == path.stem
    assert all(name.startswith(path.stem) for name in names)


def test_the_demo_runs_the_pipeline_of_conf_on_its_own_files(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    plan = prepare_digits(tmp_path / "home", limit=3)
    ours = load_pipeline(plan.pipeline)
    assert ours.recipes == (load_recipe(CONF / "datasets" / "digits.toml"),)
    named = [Path(source.folder) for source in ours.sources] + [Path(opinions.path) for opinions in ours.opinions]
    assert all(path.resolve().is_relative_to(tmp_path.resolve()) and path.exists() for path in named)
