"""A small lake with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.lake import Lake
from tests.making import Clock, small_lake


@pytest.fixture
def clock() -> Clock:
    """The clock of `lake`."""
    return Clock()


@pytest.fixture
def lake(tmp_path: Path, clock: Clock) -> Iterator[Lake]:
    """An empty lake."""
    with small_lake(tmp_path / "lake", clock=clock) as opened:
        yield opened
