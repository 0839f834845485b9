"""A lake in which a few photos have landed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.lake import Lake
from tests.making import Clock, small_lake
from tests.opinions.making import land

SETTINGS = ("opinions.max_rejected_share=1.0",)


@pytest.fixture(scope="session")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the photos 1.jpg to 4.jpg, made once: tests work on copies, a lake can be moved."""
    root = tmp_path_factory.mktemp("landed") / "lake"
    with small_lake(root, *SETTINGS) as lake:
        land(lake, ["cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.jpg"])
    return root


@pytest.fixture
def clock() -> Clock:
    """Time of the lake `photos`: a day after the photos have landed."""
    found = Clock()
    found.forward(days=1)
    return found


@pytest.fixture
def photos(landed: Path, tmp_path: Path, clock: Clock) -> Iterator[Lake]:
    """A lake with the photos cat/1.jpg, cat/2.jpg, dog/3.jpg and dog/4.jpg."""
    shutil.copytree(landed, tmp_path / "lake")
    with small_lake(tmp_path / "lake", *SETTINGS, clock=clock) as lake:
        yield lake
