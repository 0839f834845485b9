"""Virtual datasets hold the same on both engines, and recipes choose the same of them."""

from __future__ import annotations

import shutil

import pytest

from lakehouse.changes.reading import rows_of
from lakehouse.changes.recording import add_change, revert_change
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.query import fetch
from tests.making import entity_id
from tests.opinions.making import land
from tests.parity.world import opened

DELIVERIES = {"tm1": ["a", "b", "c", "d"], "tm2": ["d", "e"]}
"""Source -> its entities; d is in both."""


def told(lake) -> tuple[object, ...]:
    """What each change said, what stands, and who is in a dataset of it."""
    receipts = [
        add_change(lake, "marks", sources=["tm1"], message="first"),
        add_change(lake, "marks", sources=["tm2"], tags=["late"]),
        add_change(lake, "marks", sql="select entity_id from entities where entity_id in $ids",
                   params={"ids": [entity_id("a"), entity_id("d")]}, drop=True),
        revert_change(lake, "marks", 1),
    ]  # fmt: skip
    made = build(lake, parse_recipe({"name": "late", "changes": {"of": "marks", "tags": ["late"]}}, where="late"))
    rows = fetch(lake, "select entity_id, split from gold.dataset_members order by entity_id")
    return [receipt.counts for receipt in receipts], rows_of(lake, "marks"), made.details, rows


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_changes_come_to_the_same_on_both_engines(tmp_path):
    with opened(tmp_path / "embedded", "embedded") as lake:
        for source, names in DELIVERIES.items():
            land(lake, names, source=source)
    shutil.copytree(tmp_path / "embedded", tmp_path / "spark")
    found = {}
    for engine in ("embedded", "spark"):
        with opened(tmp_path / engine, engine) as lake:
            found[engine] = told(lake)
    assert found["spark"] == found["embedded"]
    counts, changes, _, members = found["embedded"]
    assert [(each["came"], each["went"]) for each in counts] == [(4, 0), (1, 0), (0, 2), (0, 2)]
    assert [change["stands"] for change in changes] == [False, True, True, False]
    assert {row["entity_id"] for row in members} == {entity_id("d"), entity_id("e")}
