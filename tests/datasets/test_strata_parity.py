"""What is chosen is the same on Spark, for any number of partitions, and for any order of the rows."""

from __future__ import annotations

import pytest

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from tests.lanes import examples
from tests.making import START, add_dimension, add_entities, add_opinions, opinion
from tests.parity.world import opened

NAMES = [f"n{number:02}" for number in range(60)]
LABELS = {name: ("cat", "dog", "emu")[place % 7 % 3] for place, name in enumerate(NAMES)}

RECIPE = parse_recipe(
    {
        "name": "parity", "question": "animal", "seed": 5,
        "select": {
            "where": {"brightness": {"min": 0.05, "null": True}, "origin": ["real"], "media_type": {"not": "a/b"}},
            "newest": 0.9, "time": {"by": "ingest", "until": START.replace(year=2099)},
            "hard": {"disagreement": {"min": 0.1}, "confidence": {"actor": "model:m", "below": 0.6},
                     "model_against_people": "model:m"},
        },
        "label": {"exclude": ["emu"], "ties": "lowest"},
        "strata": {"by": ["label", "brightness"], "bins": {"brightness": [0.3, 0.6]}, "quota": 6, "on_short": "borrow"},
        "balance": {"by": "label", "alpha": 0.5, "max_weight": 1.4},
        "split": {"ratios": {"train": 0.7, "test": 0.3}},
    },
    where="parity.toml",
)  # fmt: skip

PARTITIONS = examples((7,), long=(1, 7, 50))
"""Of a shuffle; the rows come in another order for each."""


def built(lake, names):
    add_entities(lake, names)
    add_dimension(lake, "brightness", {name: int(name[1:]) / 60 for name in names if name != "n59"})
    rows = [opinion(name, "pool:p", LABELS[name], votes=5) for name in names]
    rows += [opinion(name, "human:a", "cat", votes=2) for name in names if int(name[1:]) % 2]
    rows += [opinion(name, "model:m", "dog") | {"confidence": int(name[1:]) / 60} for name in names]
    add_opinions(lake, rows)
    receipt = build(lake, RECIPE)
    return receipt.details | {"counts": dict(receipt.counts)}


@pytest.mark.spark
def test_members_are_the_same_on_both_engines_for_any_partitions_and_order(tmp_path, spark):
    found = []
    with opened(tmp_path / "embedded", "embedded") as lake:
        found.append(built(lake, NAMES))
    before = spark.conf.get("spark.sql.shuffle.partitions")
    try:
        for partitions in PARTITIONS:
            spark.conf.set("spark.sql.shuffle.partitions", partitions)
            names = NAMES[partitions:] + NAMES[:partitions]
            with opened(tmp_path / str(partitions), "spark") as lake:
                found.append(built(lake, names))
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before)
    assert found[0]["counts"]["members"] > 20
    assert "borrowed from" in found[0]["short_cells"]
    assert all(each == found[0] for each in found)
