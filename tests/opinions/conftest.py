"""A lake in which a few photos have landed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.lake import Lake
from tests.making import Clock, small_lake
from tests.opinions.making import land


@pytest.fixture
def clock() -> Clock:
    """Time of the lake `photos`."""
    return Clock()


@pytest.fixture
def photos(tmp_path: Path, clock: Clock) -> Iterator[Lake]:
    """A lake with the photos 1.jpg to 4.jpg, each in a folder of its own name."""
    with small_lake(tmp_path / "lake", "opinions.max_rejected_share=1.0", clock=clock) as lake:
        land(lake, ["cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.jpg"])
        clock.forward(days=1)
        yield lake
