"""A tiny world for the commands: six pictures in two folders, a pipeline over them, and the lake it makes."""

from __future__ import annotations

import contextlib
import io
import shutil
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
    return write_world(tmp_path)


@pytest.fixture(scope="session")
def shared_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a lake through which the pipeline ran; for tests that only read it."""
    world = tmp_path_factory.mktemp("world")
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["run", "--lake", str(world / "lake"), "--pipeline", str(write_world(world))]) == 0
    return world / "lake"


@pytest.fixture
def lake_folder(shared_lake: Path, tmp_path: Path) -> Path:
    """Return a copy of that lake, for tests that change it: a lake can be moved."""
    return Path(shutil.copytree(shared_lake, tmp_path / "lake"))


def write_world(folder: Path) -> Path:
    """Write the pictures, the recipe and the pipeline; return the pipeline's path."""
    for label, base in (("circle", 10), ("square", 120)):
        pictures = folder / "shapes" / label
        pictures.mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8 + number, 6), (base + number, base, 50)).save(pictures / f"{label}_{number}.png")
    (folder / "shapes_recipe.toml").write_text(RECIPE)
    path = folder / "pipeline.toml"
    path.write_text(PIPELINE)
    return path
