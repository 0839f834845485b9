"""docs/samples.md says what is so: its recipe is built, its block is run, its reasons are those there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import lakehouse as lh
from lakehouse.datasets.recipes.recipe import parse_recipe
from tests.datasets.cells import CELLS, bring_cells, write_cells

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "samples.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_recipe_of_the_page_is_built_and_its_block_reads_it(lake, tmp_path):
    names = {"red": "RBC", "white": "WBC"}
    cells = {name: tuple((names[box[0]], *box[1:]) for box in boxes) for name, boxes in CELLS.items()}
    write_cells(tmp_path / "drop", cells | {"d": (("Platelets", 1, 1, 12, 12),)}, unanswered=())
    bring_cells(lake, tmp_path / "drop")
    lh.dimensions(lake)
    (recipe, *_) = blocks("toml")
    built = lh.build(lake, parse_recipe(tomllib.loads(recipe), where="cells.toml"))
    assert (built.counts["members"], built.counts["train"]) == (3, 3)
    found = {"folder": lake.root / lh.materialise(lake, "cells").details["folder"]}
    (block, _) = blocks("python")
    exec(block, found)
    batch = found["batch"]
    assert sorted(batch["label"][:3]) == ["Platelets", "RBC", "RBC"]
    assert batch["region"].shape == (8, 4)
    assert batch["crop"].dtype == "int64"


def test_every_reason_of_the_page_is_in_the_code_and_the_other_way_round():
    told = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \| an? ", PAGE, re.MULTILINE))))
    code = "".join((ROOT / "lakehouse" / "datasets" / name).read_text() for name in (
        "sampling/crops.py", "sampling/regions.py", "sampling/series.py", "sampling/clips.py", "policies/newest.py",
    ))  # fmt: skip
    given = re.findall(r'(?:Refused\(|"problem": |reason=|_left\(\w+(?:\[\w+\])?, )"(\w+)"', code)
    assert told == {*given, "no_answer", "no_label"}


def test_the_variants_and_windows_of_the_page_are_recipes():
    (_, variants, windows, clips) = blocks("toml")
    drawn = parse_recipe({"name": "cells"} | tomllib.loads(variants), where="cells.toml").variants
    assert (drawn.copies, drawn.splits, drawn.turns) == (2, ("train",), (90, 180, 270))
    samples = parse_recipe(tomllib.loads(windows), where="talk.toml").samples
    assert (samples.of, samples.length, samples.stride) == ("windows", 8, 4)
    samples = parse_recipe(tomllib.loads(clips), where="gait.toml").samples
    assert (samples.of, samples.length, samples.step, samples.size) == ("clips", 16, 2, (112, 112))
