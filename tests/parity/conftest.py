"""The small world, and the lake that the embedded engine makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from lakehouse.steps.receipts import Receipt
from tests.parity.world import STEPS, World, go, make_world


class Made(NamedTuple):
    """A lake, and what its steps said."""

    root: Path
    receipts: dict[str, Receipt]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Everything that comes in."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def embedded(world: World, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The whole way on the embedded engine."""
    root = tmp_path_factory.mktemp("embedded") / "lake"
    return Made(root, go(root, world, dict.fromkeys(STEPS, "embedded")))
