"""Rows that are gone without a trace in any log: receipts and counts know of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.datasets.build import build
from lakehouse.errors import TableError
from lakehouse.evaluation.evaluate import evaluate
from lakehouse.lake import Lake
from lakehouse.materialise.step import materialise
from lakehouse.steps.receipts import Receipt
from lakehouse.verification.places import place_of
from lakehouse.verification.tables import newest
from schemas.model import Table
from schemas.tables import DATASET_MEMBERS, OPINIONS
from tests.making import small_lake
from tests.verification.conftest import RECIPE


def lose_newest(root: Path, table: Table) -> None:
    """Take the newest commit away, and all that could remember it."""
    place = place_of(root, table)
    place.entry(newest(place)).unlink()
    shutil.rmtree(root / "_heads")


def test_an_import_whose_opinions_are_gone_makes_no_dataset(filled: Path, copy_of: Callable[[Path], Path]) -> None:
    root = copy_of(filled)
    lose_newest(root, OPINIONS)
    with small_lake(root) as lake, pytest.raises(
        TableError, match=r"silver\.opinions: import test of source s brought 24 rows, .* found 12: commits are lost"
    ):
        build(lake, RECIPE)


def scored(lake: Lake, dataset_id: str) -> Receipt:
    return evaluate(lake, dataset_id=dataset_id, actor="human:bob", question="animal")


@pytest.mark.parametrize("reader", [materialise, scored], ids=["materialise", "evaluate"])
def test_a_dataset_that_lost_members_is_not_read(
    built: tuple[Path, Receipt], copy_of: Callable[[Path], Path], reader: Callable[[Lake, str], Receipt]
) -> None:
    root = copy_of(built[0])
    lose_newest(root, DATASET_MEMBERS)
    with small_lake(root) as lake, pytest.raises(
        TableError, match=r"gold\.dataset_members: dataset zoo .* was built with 7 members .*, found 0 of .*: commits"
    ):
        reader(lake, built[1].details["dataset_id"])


def test_building_again_mends_a_dataset_that_lost_members_and_says_so(
    built: tuple[Path, Receipt], copy_of: Callable[[Path], Path]
) -> None:
    root = copy_of(built[0])
    lose_newest(root, DATASET_MEMBERS)
    shutil.rmtree(root / "_runs" / "fresh")
    with small_lake(root) as lake:
        mended = build(lake, RECIPE)
        assert (mended.details, mended.counts) == (built[1].details, built[1].counts)
        assert [note.rule for note in mended.notes] == ["class_without_members", "lost_members_mended"]
    with small_lake(root) as lake:
        assert build(lake, RECIPE).notes == ()
