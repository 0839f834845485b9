"""Where a prepared dataset stands: what was asked for is a file of the lake, so that it outlives every process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lakehouse.errors import ConcurrentWriteError, RecipeError
from lakehouse.lake import Lake
from lakehouse.materialise.published import is_whole
from lakehouse.query import fetch
from lakehouse.tables.locks import lake_lock

READY, RUNNING, FAILED = "READY", "RUNNING", "FAILED"
FOLDER = "_runs/prepared"
STARTING = timedelta(seconds=60)
"""How long a process may take until it holds the lock of its build."""

PUBLISHED = "select folder from gold.materialisations where dataset_id = $id order by published_at desc limit 1"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Where a version that somebody asked for stands.

    Attributes:
        dataset_id: Its id.
        name: Name of its dataset.
        state: READY, RUNNING or FAILED.
        location: Folder or URL with a folder for each split, for `make_reader`; "" unless READY.
        message: Why it failed; "" otherwise.
    """

    dataset_id: str
    name: str
    state: str
    location: str = ""
    message: str = ""


def get(lake: Lake, dataset_id: str) -> Prepared:
    """Return where a version stands that `prepare` named.

    RUNNING means that a process holds its lock, or was started a moment ago. One that died without a word has FAILED,
    and `prepare` tries again.

    Raises:
        RecipeError: If nobody prepared such a version.
        CorruptionError: If it was published, and its files are damaged.
    """
    asked = read_request(lake, dataset_id)
    if asked is None:
        raise RecipeError(f"nobody prepared a version {dataset_id} in {lake.home}; `petrel dataset prepare` does")
    name = str(asked["name"])
    folder = published_folder(lake, dataset_id)
    if folder is not None:
        return Prepared(dataset_id, name, READY, f"{lake.home}/{folder}")
    if asked.get("failed"):
        return Prepared(dataset_id, name, FAILED, message=str(asked["failed"]))
    if is_held(lake, dataset_id) or lake.clock() - datetime.fromisoformat(str(asked["asked_at"])) < STARTING:
        return Prepared(dataset_id, name, RUNNING)
    lost = "the process that built it ended without a word; prepare it again"
    return Prepared(dataset_id, name, FAILED, message=lost)


def published_folder(lake: Lake, dataset_id: str) -> str | None:
    """Return the folder, among the files of the lake, in which a version stands whole; None if it does not."""
    rows = fetch(lake, PUBLISHED, params={"id": dataset_id})
    return str(rows[0]["folder"]) if rows and is_whole(lake.home, str(rows[0]["folder"])) else None


def read_request(lake: Lake, dataset_id: str) -> dict[str, Any] | None:
    """Return what was asked for: name, recipe (canonical), pins, asked_at and, of one that failed, failed; or None."""
    name = _file(dataset_id)
    if not any(each.name == name for each in lake.files.list(FOLDER)):
        return None
    found: dict[str, Any] = json.loads(lake.files.read_whole(name))
    return found


def write_request(lake: Lake, dataset_id: str, asked: Mapping[str, object]) -> None:
    """Write what was asked for; see `read_request`."""
    lake.files.put(_file(dataset_id), (json.dumps(dict(asked)) + "\n").encode())


def lock_of(dataset_id: str) -> str:
    """Return the name of the lock that the one who builds a version holds."""
    return f"prepare-{dataset_id}"


def is_held(lake: Lake, dataset_id: str) -> bool:
    """Tell whether somebody builds a version at this moment."""
    try:
        with lake_lock(lake, lock_of(dataset_id), timeout_s=0):
            return False
    except ConcurrentWriteError:
        return True


def _file(dataset_id: str) -> str:
    return f"{FOLDER}/{dataset_id}.json"
