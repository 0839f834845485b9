"""Pipeline and configuration files: what is committed loads, what is wrong is told with its place."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from jobs.pipeline import load_pipeline
from lakehouse.config import Config, load_config
from lakehouse.errors import ConfigError, RecipeError

CONF = Path(__file__).parents[2] / "conf"


def test_base_toml_is_the_defaults_written_out():
    assert tomllib.loads((CONF / "base.toml").read_text()) == dataclasses.asdict(Config())


@pytest.mark.parametrize("name", ["local.example.toml", "cluster.toml"])
def test_the_example_configurations_load(name):
    assert load_config(CONF / name, environ={}) != Config()


@pytest.mark.parametrize("path", sorted([*CONF.glob("pipelines/*.toml"), *CONF.glob("sources/*.toml")]), ids=str)
def test_the_committed_pipelines_load(path):
    assert load_pipeline(path).sources


def test_relative_paths_count_from_the_file(pipeline):
    loaded = load_pipeline(pipeline)
    assert loaded.sources[0].folder == str(pipeline.parent / "shapes")
    assert str(loaded.opinions[0].path) == str(pipeline.parent / "shapes")
    assert [recipe.name for recipe in loaded.recipes] == ["shapes"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[[source]]\nname = 'x'", ConfigError, "did you mean `sources`?"),
        ("[sources]\nname = 'x'", ConfigError, r"write \[\[sources\]\], once for every entry"),
        ("[[sources]]\nname = 'x'", ConfigError, r"\[\[sources\]\] 1: key `folder` is missing"),
        ("[[sources]]\nname = 'x'\nfolder = 'f'\nmodus = 'copy'", ConfigError, "did you mean `mode`?"),
        ("[[datasets]]\nfile = 'x'", ConfigError, "unknown key `file`"),
        ("[[datasets]]\nrecipe = 'absent.toml'", ConfigError, "absent.toml: no such file"),
        ("[[opinions]]\nformat = 'cvs'\npath = 'x'", ConfigError, "did you mean `csv`?"),
        ("not toml at all [", ConfigError, "not a TOML file"),
    ],
)
def test_a_wrong_pipeline_names_file_place_and_remedy(tmp_path, text, error, message):
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(error, match=message):
        load_pipeline(path)


def test_a_wrong_recipe_is_told_with_its_own_file(tmp_path):
    (tmp_path / "r.toml").write_text("name = 'x'\nsede = 3\n")
    (tmp_path / "p.toml").write_text("[[datasets]]\nrecipe = 'r.toml'\n")
    with pytest.raises(RecipeError, match=r"r\.toml: unknown key `sede`; did you mean `seed`\?"):
        load_pipeline(tmp_path / "p.toml")
