"""How the tests are run: the three lanes, which the variable `PETREL_TESTS` chooses, and what shares a process.

fast    `make test-fast`: no Spark, nothing marked `slow`; of the files below their first test alone
(unset) `make test`: every test, random ones with few examples
long    `make check-long`: every test with all examples
"""

from __future__ import annotations

import os
from typing import TypeVar

Some = TypeVar("Some")
LANES = ("fast", "", "long")
LANE = os.environ.get("PETREL_TESTS", "")

COSTLY: dict[str, str] = {
    "buckets": "canaries faults spark",
    "cards": "cards",
    "care": "copying erase fsck usage",
    "carrying": "carrying",
    "commits": "branches branches_in_buckets commands histories merging two_people",
    "consensus": "consensus documentation kinds",
    "datasets": (
        "balance build classes extending filters golden_ids killed_builds materialise moves narrowing "
        "near_duplicates official own_fields picture_forms picture_size pictures placed regions remarks samples_page "
        "strata strata_real tasks variants windows"
    ),
    "deriving": "deriving",
    "dimensions": "step",
    "evaluation": "evaluate real_boxes",
    "examples": "cells demo real_data",
    "exporting": "documentation export forms places real_oracles target",
    "ingestion": "archives database documentation entities healing prefix remarks sources_in_buckets",
    "jobs": "ending export run show",
    "labels": "believing ontology why",
    "loaders": "bombs ddp extending leftovers memory resume shuffle_quality training_resume workers",
    "marts": "marts",
    "notebooks": "notebooks",
    "opinions": (
        "coco concurrent export_opinions export_tables import labels_as_written labelstudio_both_ways names_of_tools "
        "notes one_state order_of_imports parked predictions real_data retract subjects views voc_traps yolo"
    ),
    "parity": "engine_parity readers_agree without_java",
    "recovery": "killed_merges killed_runs killed_watches",
    "reifying": "reifying",
    "serving": "capture",
    "sql": "contained",
    "streaming": "query_datasets stream",
    "tables": "insert",
    "tracing": "tracing",
    "verification": "counts damage verify",
    "viewing": "browser pages",
}
"""Folder of tests -> files whose tests took more than half a CPU second each on average, without `test_` and `.py`."""

SESSION: dict[str, str] = {
    "changes": "changes_parity",
    "commits": "commits_parity",
    "consensus": "parity",
    "datasets": (
        "bins extending_parity near_duplicates official picture_forms_parity placed samples_parity strata_parity"
    ),
    "deriving": "deriving_parity",
    "engines": "engines",
    "exporting": "engines",
    "ingestion": "healing sources_parity watch_parity",
    "labels": "labels_parity",
    "marts": "marts_parity",
    "opinions": "parity",
    "parity": "datasets engine_parity readers_agree",
    "petastorm": "indexing published scripts spark_converter spark_materialize spark_tools",
    "project": "sparkconf",
    "quality": "quality_parity",
    "sql": "dialect",
    "streaming": "streaming_parity",
    "tables": "insert readers",
    "tensors": "answers paper",
    "tracing": "tracing_parity",
}
"""Folder of tests -> files in which tests take the fixture `spark`: all of them run in one process, for one session."""

BUSY_S = 4.0
"""What a machine with more processes than cores may add to a time that a test asserts; what is not to be waited for
lasts longer."""

if LANE not in LANES:
    raise ValueError(f"PETREL_TESTS={LANE}: use fast or long, or leave it unset")


def examples(everyday: Some, *, long: Some) -> Some:
    """Return how many random examples a test takes, or which cells of a grid: the kinds are the same everywhere."""
    return long if LANE == "long" else everyday


FEW_ROWS: dict[str, str] = examples(
    {
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.ui.explainMode": "simple",
        "spark.sql.lightweightPlanChangeValidation": "false",
    },
    long={},
)
"""Settings of Spark for queries of a few rows, which cost what planning, compiling and describing them costs."""


def is_among(file: str, named: dict[str, str]) -> bool:
    """Tell whether a file, as `tests/jobs/test_run.py`, is one of `COSTLY` or `SESSION`."""
    _, *folders, name = file.split("/")
    return name.removeprefix("test_").removesuffix(".py") in named.get("/".join(folders), "").split()
