"""prepare: names a version at once, and has a process of its own build and publish it."""

from __future__ import annotations

import json
import subprocess
import sys

from lakehouse.datasets.following import check_selection, pinned, version_id
from lakehouse.datasets.plan import check_strata_columns
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.selecting.named_commits import by_ids
from lakehouse.lake import Lake
from lakehouse.preparing.states import READY, RUNNING, Prepared, get, read_request, write_request
from schemas.canonical import canonical_json

WORKER = "lakehouse.preparing.worker"


def prepare(lake: Lake, recipe: Recipe) -> Prepared:
    """Name the version that a recipe gives now, and have it built and published unless it is, or is under way.

    However many ask, one process builds; one that failed is tried again. What is built reads the tables as they are
    now, whatever comes meanwhile, and `maintain` removes none of it for as long as the build runs.

    Returns:
        The version with its state: READY, or RUNNING; `get` tells later.

    Raises:
        RecipeError: If the recipe cannot be followed, as far as that shows before anything is selected.
    """
    check_selection(recipe)
    check_strata_columns(recipe)
    recipe = by_ids(lake.home, recipe)
    batches, pins = pinned(lake, recipe)
    dataset_id = version_id(lake, recipe, pins)
    known = None if read_request(lake, dataset_id) is None else get(lake, dataset_id)
    if known is not None and known.state in (READY, RUNNING):
        return known
    asked = {
        "name": recipe.name, "recipe": json.loads(canonical_json(recipe.canonical())), "pins": {**pins, **batches},
        "asked_at": lake.clock().isoformat(),
    }  # fmt: skip
    write_request(lake, dataset_id, asked)
    _start(lake, dataset_id)
    return get(lake, dataset_id)


def _start(lake: Lake, dataset_id: str) -> None:
    """Start the process that builds: it outlives this one, and those who wait for the same lock find it done."""
    config = json.loads(lake.config.to_json())
    said = json.dumps({"config": config, "engine": lake.engine_name, "dataset_id": dataset_id})
    process = subprocess.Popen(
        [sys.executable, "-m", WORKER],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    with process.stdin:
        process.stdin.write(said)
    _STARTED[:] = [each for each in (*_STARTED, process) if each.poll() is None]


_STARTED: list[subprocess.Popen[str]] = []
"""Processes of ours that may run still: Python warns of one that is forgotten, and one not polled stays a zombie."""
