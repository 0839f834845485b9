"""A tiny world for the commands: six pictures in two folders, a pipeline over them, and the lake it makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from jobs.cli import main

PIPELINE = """
[[sources]]
name = "shapes"
folder = "shapes"

[[opinions]]
format = "imagefolder"
path = "shapes"
source = "shapes"
question = "shape"
actor = "import:folders@1"

[[datasets]]
recipe = "shapes_recipe.toml"
"""

RECIPE = """
name = "shapes"
seed = 7
question = "shape"

[split.ratios]
train = 0.5
test = 0.5
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """Return the pipeline file of six pictures, labelled by their folders."""
    for label, base in (("circle", 10), ("square", 120)):
        folder = tmp_path / "shapes" / label
        folder.mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8 + number, 6), (base + number, base, 50)).save(folder / f"{label}_{number}.png")
    (tmp_path / "shapes_recipe.toml").write_text(RECIPE)
    path = tmp_path / "pipeline.toml"
    path.write_text(PIPELINE)
    return path


@pytest.fixture
def lake_folder(tmp_path: Path, pipeline: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return the folder of a lake through which the pipeline ran."""
    folder = tmp_path / "lake"
    assert main(["run", "--lake", str(folder), "--pipeline", str(pipeline)]) == 0
    capsys.readouterr()
    return folder
