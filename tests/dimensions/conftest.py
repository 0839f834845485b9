"""Packages that are only pretended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint

import pytest

from lakehouse import plugins
from lakehouse.extractors import registry
from lakehouse.views.registry import view_texts


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that pretends a package brings these entry points."""

    def pretend(**points: str) -> None:
        found = [EntryPoint(name, value, registry.ENTRY_POINTS) for name, value in points.items()]
        monkeypatch.setattr(plugins, "entry_points", lambda group: found if group == registry.ENTRY_POINTS else [])
        registry._registered.cache_clear()
        view_texts.cache_clear()

    yield pretend
    monkeypatch.undo()
    registry._registered.cache_clear()
    view_texts.cache_clear()
