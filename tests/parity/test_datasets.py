"""What a build makes of odd votes and of columns of its own is the same on both engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.find import find_dataset
from lakehouse.datasets.recipe import parse_recipe
from lakehouse.lake import Lake
from lakehouse.query import fetch
from tests.making import add_entities, add_opinions, opinion
from tests.parity.world import opened

RECIPE = parse_recipe(
    {
        "name": "zoo", "question": "animal", "label": {"policy": "soft"}, "split": {"ratios": {"all": 1.0}},
        "select": {"sql": "select entity_id, size_bytes / 3 as third, [1, 2] as pair, null::double as x from entities"},
    },
    where="zoo.toml",
)
SAID = [("n0", "ann", "a"), ("n0", "bo", "a"), ("n0", "cy", "b"), ("n1", "ann", "b"), ("é", "bo", "c")]


def made(lake: Lake) -> list[object]:
    """Ids, classes, members and the views over votes."""
    details = build(lake, RECIPE).details
    version = find_dataset(lake, details["dataset_id"])
    columns = "select label, label_share, label_votes, fields_json from gold.dataset_members order by row_hash"
    labels = "select subject_id, label, votes, share, rank, tied_with from labels order by subject_id, rank"
    votes = "select subject_id, label, votes from opinion_votes order by subject_id, label"
    rows = [fetch(lake, text) for text in (columns, labels, votes)]
    return [details["dataset_id"], details["members_digest"], version.classes, version.fields, *map(str, rows)]


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.usefixtures("spark")
def test_votes_that_no_bigint_holds_and_own_columns_are_the_same_on_both_engines(tmp_path: Path) -> None:
    found = []
    for engine in ("embedded", "spark"):
        with opened(tmp_path / engine, engine) as lake:
            add_entities(lake, ["n0", "n1", "é"])
            rows = [opinion(name, f"human:{who}", label, votes=2**63 - 1) for name, who, label in SAID]
            add_opinions(lake, rows)
            found.append(made(lake))
    assert found[0] == found[1]
    assert "0.6666666666666666" in str(found[0])
