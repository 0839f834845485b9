"""How people name a version of a dataset: its id or how that begins, a name for the one built last, or NAME@TAG."""

from __future__ import annotations

import re

from lakehouse.datasets.recipes.recipe import NAME
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch
from lakehouse.steps.receipts import newest_first

VERSION_ID = re.compile(r"[0-9a-f]{32}")
PREFIX = re.compile(r"[0-9a-f]{6,31}")
"""How an id may begin: shorter ones would soon be those of several versions."""

NAMED = re.compile(rf"{NAME.pattern}(@[A-Za-z0-9._-]{{1,64}})?")
"""How a version may be named, whether or not there is one."""

TAGGED = "select tag, dataset_id from gold.dataset_tags where name = $name order by ordinal desc"

TAGS_NOW = """
select t.name, t.tag, t.dataset_id from gold.dataset_tags t
where t.ordinal = (select max(n.ordinal) from gold.dataset_tags n where n.name = t.name and n.tag = t.tag)
order by t.name, t.tag
"""
"""What every tag of every dataset names now."""

BY_PREFIX = """
select dataset_id, name from gold.datasets
where starts_with(dataset_id, $prefix) and ($name is null or name = $name) order by dataset_id limit 5
"""


def version_named(lake: Lake, text: str) -> str:
    """Return the id of the version that a text names; what is no such name, as it is.

    The version of a name that was built last stands in the receipts: the table tells when a version was first built,
    and building an earlier one again adds nothing to it. A name comes before the beginning of an id.

    Args:
        lake: The lake.
        text: An id or its first 6 digits and more, NAME, NAME@TAG or NAME@ID.

    Raises:
        RecipeError: If NAME has no such tag, or several ids begin so.
    """
    if VERSION_ID.fullmatch(text):
        return text
    name, separator, version = text.partition("@")
    if separator:
        return _of_name(lake, name, version)
    built = newest_first(lake.files, step="build")
    found = next((each.details["dataset_id"] for each in built if each.details.get("dataset") == text), None)
    if found is None and PREFIX.fullmatch(text):
        found = _by_prefix(lake, text, None)
    return text if found is None else found


def tags_of(lake: Lake, name: str) -> dict[str, str]:
    """Return tag -> id of the version that it names now, of one dataset."""
    found: dict[str, str] = {}
    for row in fetch(lake, TAGGED, params={"name": name}):
        found.setdefault(row["tag"], row["dataset_id"])
    return found


def _of_name(lake: Lake, name: str, version: str) -> str:
    if VERSION_ID.fullmatch(version) or PREFIX.fullmatch(version):
        found = _by_prefix(lake, version, name)
        if found is None:
            raise RecipeError(f"dataset {name} has no version {version}; `petrel dataset list {name}` shows them")
        return found
    tags = tags_of(lake, name)
    if version not in tags:
        like = nearest(version, tags) if tags else "; it has no tags: `petrel dataset tag` sets one"
        raise RecipeError(f"dataset {name} has no tag `{version}`{like}")
    return tags[version]


def _by_prefix(lake: Lake, prefix: str, name: str | None) -> str | None:
    found = fetch(lake, BY_PREFIX, params={"prefix": prefix, "name": name})
    if len(found) > 1:
        several = ", ".join(f"{row['dataset_id'][:12]} ({row['name']})" for row in found)
        raise RecipeError(f"several versions begin with {prefix}: {several}; give more digits")
    return str(found[0]["dataset_id"]) if found else None
