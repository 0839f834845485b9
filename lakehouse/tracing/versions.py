"""A dataset version as it was read: its pins, and whose answers its recipe heard there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lakehouse.datasets.hearing.answers import heard_opinions, kind_asked
from lakehouse.datasets.versions.find import DatasetVersion, find_dataset
from lakehouse.engines import Relation
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.query import fetch
from schemas.tables import BY_NAME

PINNED = "select pins_json, built_at, built_by from gold.datasets where dataset_id = $id"

BUILT = "select dataset_id from gold.datasets order by name, first_version, dataset_id"


@dataclass(frozen=True, slots=True)
class PinnedVersion:
    """A dataset version and where its inputs stand.

    Attributes:
        version: The version.
        pins: Table -> Delta version.
        built_at: When it was first built, UTC.
        built_by: Who did; None: nobody was stated.
    """

    version: DatasetVersion
    pins: Mapping[str, int]
    built_at: datetime
    built_by: str | None

    @property
    def dataset_id(self) -> str:
        """Its id."""
        return self.version.dataset_id


def pinned_version(lake: Lake, dataset: str) -> PinnedVersion:
    """Return a version with its pins; `dataset` as `find_dataset`.

    Raises:
        RecipeError: If there is none.
        TableError: If it was restored from a file where the tables are not those that it was built from.
    """
    version = find_dataset(lake, dataset)
    (row,) = fetch(lake, PINNED, params={"id": version.dataset_id})
    pins = {name: int(number) for name, number in json.loads(row["pins_json"]).items() if name in BY_NAME}
    if not pins:
        raise TableError(
            f"dataset {version.name} ({version.dataset_id}) was restored from a file, and the tables of {lake.home} "
            "are not those that it was built from: what it read can be told only where it was built; members, labels "
            "and reasons are in gold.dataset_members and gold.dataset_exclusions"
        )
    return PinnedVersion(version, pins, row["built_at"], row["built_by"])


def all_versions(lake: Lake) -> list[str]:
    """Return the ids of all versions: by name, in the order in which they were first built."""
    return [row["dataset_id"] for row in fetch(lake, BUILT)]


def heard_at(lake: Lake, found: PinnedVersion) -> tuple[Relation, Relation] | None:
    """Return the actors and the opinions that the recipe heard at its pins; None if it asks no question.

    Raises:
        RecipeError: If the recipe was written by a newer Petrel, or names a policy that is gone.
        TableError: If what it read cannot be read any more.
    """
    recipe = found.version.followed
    kind = kind_asked(lake, recipe, found.pins)
    return None if kind is None else heard_opinions(lake, recipe, kind, found.pins)
