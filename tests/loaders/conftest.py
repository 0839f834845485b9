"""Published datasets for the tests of the loaders."""

from __future__ import annotations

from pathlib import Path

import pytest

from loaders import write_dataset
from tests.loaders.samples import FIELDS, SMALL, rows_of


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 101 samples in one split, about ten row groups in three files; never written to."""
    folder = tmp_path_factory.mktemp("published") / "v1"
    write_dataset(rows_of(101), FIELDS, folder, seed=3, dataset_id="d1", layout=SMALL)
    return folder


@pytest.fixture(scope="session")
def train(published: Path) -> Path:
    """The split of `published`."""
    return published / "train"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A dataset like `published` that the test may break."""
    folder = tmp_path / "own"
    write_dataset(rows_of(101), FIELDS, folder, seed=3, dataset_id="d1", layout=SMALL)
    return folder
