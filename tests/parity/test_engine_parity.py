"""Both engines do every step alike, in any order and mixed on one lake."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lakehouse.engines import spark as spark_engine
from lakehouse.tables.read import head, table_path
from schemas.tables import TABLES
from tests.lanes import examples
from tests.parity.conftest import Made
from tests.parity.world import MAJORITY, PLAIN, STEPS, World, counts, digests, go, rehashed

ENGINES = ("embedded", "spark")
SWAPPED = {"embedded": "spark", "spark": "embedded"}


def alternating(first: str) -> dict[str, str]:
    """Bronze by one engine, entities by the other, and so on."""
    return {name: first if place % 2 == 0 else SWAPPED[first] for place, name in enumerate(STEPS)}


ALONE = {"spark alone": dict.fromkeys(STEPS, "spark"), "driver alone": dict.fromkeys(STEPS, "driver")}
PLANS = examples(ALONE, long=ALONE | {"embedded first": alternating("embedded"), "spark first": alternating("spark")})
"""Plan -> engine of each step; every day the engines take turns on one lake in tests/opinions/test_parity.py."""


def test_the_way_reaches_every_table_that_it_should(embedded: Made) -> None:
    empty = {name for name, digest in digests(embedded.root).items() if digest.startswith("0-")}
    gold = ("changesets", "changeset_entities", "dataset_tags", "evaluations", "quality_results", "marts",
            "mart_rows", "saved_views")
    # These have parity tests of their own.
    apart = {"bronze.containers", "bronze.keep_decisions", "silver.derivations", "silver.embeddings",
             "silver.object_members"}
    assert empty == {f"gold.{name}" for name in gold} | apart
    assert {MAJORITY.name, PLAIN.name} == {
        embedded.receipts[step].details["dataset"] for step in ("majority", "plain")
    }
    assert embedded.receipts["entities"].counts == {"seen": 27, "stored": 24, "duplicate": 1, "rejected": 2}


def test_commits_carry_the_digest_of_the_rows(embedded: Made) -> None:
    assert digests(embedded.root) == rehashed(embedded.root)


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("plan", PLANS)
def test_engines_make_the_same_rows(
    plan: str, world: World, embedded: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if plan == "spark alone":  # here even few rows go through delta-spark
        monkeypatch.setattr(spark_engine, "SMALL_BYTES", -1)
    root = tmp_path / "a lake é 'q'"
    receipts = go(root, world, PLANS[plan])

    assert counts(receipts) == counts(embedded.receipts)
    assert digests(root) == digests(embedded.root)
    assert rehashed(root) == digests(root)
    assert [receipts[step].details for step in STEPS] == [embedded.receipts[step].details for step in STEPS]
    assert _writers(root) == ({"spark"} if plan == "spark alone" else {"arrow"})


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.usefixtures("spark")
def test_a_second_run_by_the_other_engine_adds_nothing(world: World, embedded: Made, tmp_path: Path) -> None:
    root = Path(shutil.copytree(embedded.root, tmp_path / "lake"))
    before = {table.name: head(root, table) for table in TABLES}
    receipts = go(root, world, dict.fromkeys(STEPS, "spark"), notes=False)
    assert {name: receipt.rows_new for name, receipt in receipts.items()} == dict.fromkeys(STEPS, 0)
    assert {table.name: head(root, table) for table in TABLES} == before


def _writers(root: Path) -> set[str]:
    """Who wrote the data files; the log has one committer."""
    files = (file for table in TABLES for file in table_path(root, table).glob("*.parquet"))
    return {"spark" if "parquet-mr" in pq.read_metadata(file).created_by else "arrow" for file in files}
