"""A small lake with a clock that the test moves, and packages that are only pretended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lakehouse.dimensions import registry
from lakehouse.lake import Lake
from lakehouse.sql.views import view_texts
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


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that pretends a package brings these entry points."""

    def pretend(**points: str) -> None:
        found = [EntryPoint(name, value, registry.ENTRY_POINTS) for name, value in points.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: found if group == registry.ENTRY_POINTS else [])
        registry._registered.cache_clear()
        view_texts.cache_clear()

    yield pretend
    monkeypatch.undo()
    registry._registered.cache_clear()
    view_texts.cache_clear()
