"""The lake of the tests of opinions, and one in which four things were talked about from January to May."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.lake import Lake
from tests.labels.making import MAY, tell_a_history
from tests.making import Clock, small_lake
from tests.opinions.conftest import SETTINGS, clock, landed, photos

__all__ = ["clock", "landed", "photos"]


@pytest.fixture(scope="session")
def history_lake(landed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the lake of `tell_a_history`, made once."""
    root = tmp_path_factory.mktemp("history") / "lake"
    shutil.copytree(landed, root)
    clock = Clock()
    with small_lake(root, *SETTINGS, clock=clock) as lake:
        tell_a_history(lake, clock)
    return root


@pytest.fixture(scope="session")
def heard(history_lake: Path) -> Iterator[Lake]:
    """That lake, for tests that only read it."""
    clock = Clock()
    clock.now = MAY
    with small_lake(history_lake, *SETTINGS, clock=clock) as lake:
        yield lake


@pytest.fixture
def told(history_lake: Path, tmp_path: Path, clock: Clock) -> Iterator[Lake]:
    """A copy of that lake, for tests that change it; it is May."""
    shutil.copytree(history_lake, tmp_path / "told")
    clock.now = MAY
    with small_lake(tmp_path / "told", *SETTINGS, clock=clock) as lake:
        yield lake
