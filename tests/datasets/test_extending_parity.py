"""A version that is built on a published one is the same on both engines, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lakehouse.materialise.step import materialise
from tests.datasets.test_extending import ALL, SMALL, add, built, parts_of
from tests.making import entity_id
from tests.parity.world import opened

NAMES = [f"n{number:03d}" for number in range(24)]


def published(root: Path) -> tuple[str, str]:
    """Publish two versions, and build a third of two more members; returns the ids of the second and of the third."""
    others = {"sql": f"select entity_id from entities where entity_id <> '{entity_id('n005')}'"}
    with opened(root, "embedded") as lake:
        add(lake, NAMES)
        materialise(lake, built(lake, select=others))
        second = materialise(lake, built(lake, select=ALL)).details["dataset_id"]
        add(lake, ["n050", "n051"])
        return str(second), built(lake)


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_both_engines_extend_the_same_version_and_write_the_same_files(tmp_path, monkeypatch):
    monkeypatch.setattr("lakehouse.materialise.step.LAYOUT", SMALL)
    second, third = published(tmp_path / "lake")
    found = {}
    for engine in ("embedded", "spark"):
        root = shutil.copytree(tmp_path / "lake", tmp_path / engine)
        with opened(root, engine) as lake:
            receipt = materialise(lake, third)
        found[engine] = receipt.counts, receipt.details, parts_of(root / receipt.details["folder"])
    assert found["spark"] == found["embedded"]
    counts, details, _ = found["embedded"]
    assert details["extends"] == second
    assert counts["rows_kept"] == len(NAMES)
