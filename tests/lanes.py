"""How the tests are run: the three lanes, which the variable `PETREL_TESTS` chooses, and what shares a process.

    fast    `make test-fast`: no Spark, nothing marked `slow`; of the files below their first test alone
    (unset) `make test`: every test, random ones with few examples
    long    `make check-long`: every test with all examples
"""

from __future__ import annotations

import os

LANES = ("fast", "", "long")
LANE = os.environ.get("PETREL_TESTS", "")

COSTLY: dict[str, str] = {
    "care": "copying fsck usage",
    "consensus": "consensus documentation kinds",
    "datasets": "build classes golden_ids materialise moves official own_fields picture_size pictures remarks tasks",
    "dimensions": "step",
    "evaluation": "evaluate real_boxes",
    "examples": "cells demo real_data",
    "exporting": "documentation export places target",
    "ingestion": "entities healing prefix remarks",
    "jobs": "ending export run show",
    "labels": "believing ontology why",
    "loaders": "bombs ddp leftovers memory resume shuffle_quality training_resume workers",
    "notebooks": "notebooks",
    "opinions": (
        "coco concurrent export_opinions export_tables import labels_as_written labelstudio_both_ways names_of_tools "
        "notes one_state order_of_imports parked predictions real_data retract subjects views voc_traps yolo"
    ),
    "parity": "engine_parity readers_agree without_java",
    "recovery": "killed_runs",
    "sql": "contained",
    "tables": "insert",
    "verification": "counts damage verify",
}
"""Folder of tests -> files whose tests took more than half a CPU second each on average, without `test_` and `.py`."""

SESSION: dict[str, str] = {
    "consensus": "parity",
    "datasets": "bins official",
    "engines": "engines",
    "exporting": "engines",
    "ingestion": "healing",
    "labels": "labels_parity",
    "opinions": "parity",
    "parity": "datasets engine_parity readers_agree",
    "petastorm": "indexing published scripts spark_converter spark_materialize spark_tools",
    "project": "sparkconf",
    "sql": "dialect",
    "tables": "insert readers",
}
"""Folder of tests -> files in which tests take the fixture `spark`: all of them run in one process, for one session."""

if LANE not in LANES:
    raise ValueError(f"PETREL_TESTS={LANE}: use fast or long, or leave it unset")


def examples(everyday: int, *, long: int) -> int:
    """Return how many random examples a test takes; the kinds of what it tries are the same everywhere."""
    return long if LANE == "long" else everyday


def is_among(file: str, named: dict[str, str]) -> bool:
    """Tell whether a file, as `tests/jobs/test_run.py`, is one of `COSTLY` or `SESSION`."""
    _, *folders, name = file.split("/")
    return name.removeprefix("test_").removesuffix(".py") in named.get("/".join(folders), "").split()
