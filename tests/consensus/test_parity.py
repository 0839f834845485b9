"""Both engines make the same consensus, row for row, in arrays and in SQL."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import lakehouse as lh
from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.tables.read import digest_at, head
from schemas.tables import ACTORS, BATCHES, OPINIONS
from tests.lanes import examples
from tests.making import Clock, add_entities, add_opinions, opinion, small_lake

ROUNDS = examples(2, long=3)
"""The second reads what the first found."""


@pytest.mark.spark
def test_both_engines_make_equal_opinions(spark: object, tmp_path: Path) -> None:
    found = {}
    with small_lake(tmp_path / "told") as lake:
        add_entities(lake, ["a", "b", "c"])
        said = [("a", "ann", "cat"), ("a", "bob", "cat"), ("a", "cyd", "dog"), ("b", "ann", "dog"),
                ("b", "bob", "cat"), ("c", "ann", "dog")]  # fmt: skip
        add_opinions(lake, [opinion(name, f"human:{who}", label) for name, who, label in said])
    for engine in ("embedded", "spark"):
        shutil.copytree(tmp_path / "told", tmp_path / engine)
        settings = [f'lake.root="{tmp_path / engine}"', "engine.workers=1", "engine.driver_mb=0"]
        config = load_config(overrides=settings, environ={})
        with open_lake(config, engine=engine, clock=Clock()) as lake:
            for options in ({"method": "majority"}, {"method": "dawid-skene", "form": "sql", "rounds": ROUNDS}):
                lh.consensus(lake, question="animal", **options)
            facts = lh.agreement(lake, question="animal").record()
            digests = [str(digest_at(lake, table, head(lake.root, table))) for table in (ACTORS, OPINIONS)]
            found[engine] = facts, digests
            assert head(lake.root, BATCHES) > 1
    assert found["spark"] == found["embedded"]
