"""A pipeline file: which sources to land, which opinions to import, which datasets to build.

[[sources]]
name = "photos"
folder = "drops/photos"           # relative paths count from this file

[[opinions]]
format = "csv"
path = "drops/labels.csv"
source = "photos"
question = "species"
actor = "human:ada"

[[datasets]]
recipe = "../datasets/species.toml"

[[quality]]
suites = "../quality"             # a file or folder: what is checked after each step
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lakehouse.datasets.recipes.recipe import Recipe, load_recipe
from lakehouse.errors import ConfigError
from lakehouse.ingestion.sources.source import Source, source_from
from lakehouse.names import nearest
from lakehouse.opinions.step import OpinionSource, opinion_source_from
from lakehouse.quality.suite import Suite, load_suites
from lakehouse.typed import fill, read_toml

SECTIONS = ("sources", "opinions", "datasets", "quality")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What a pipeline file says, in the order of the file."""

    sources: tuple[Source, ...]
    opinions: tuple[OpinionSource, ...]
    recipes: tuple[Recipe, ...]
    suites: tuple[Suite, ...] = ()


@dataclass(frozen=True, slots=True)
class _Dataset:
    """An entry of [[datasets]]: the path of a recipe file."""

    recipe: str


@dataclass(frozen=True, slots=True)
class _Quality:
    """An entry of [[quality]]: the path of a suite, or of a folder of suites."""

    suites: str


def load_pipeline(path: str | Path) -> Pipeline:
    """Read a pipeline file.

    Raises:
        ConfigError: If the file, a section or a key is unknown or of the wrong type.
        RecipeError: If a recipe it names cannot be followed.
    """
    path = Path(path)
    content = _content(path)
    return Pipeline(
        tuple(source_from(entry, where=where) for where, entry in _entries(path, content, "sources", "folder")),
        tuple(opinion_source_from(entry, where=where) for where, entry in _entries(path, content, "opinions", "path")),
        tuple(map(load_recipe, _recipes(path, content))),
        _suites(path, content),
    )


def recipe_paths(path: str | Path) -> tuple[str, ...]:
    """Return the paths of the recipes that a pipeline file names.

    Raises:
        ConfigError: If the file or a section is unknown or of the wrong type.
    """
    return _recipes(Path(path), _content(Path(path)))


Named = TypeVar("Named", Source, OpinionSource)


def chosen(path: str, entries: Sequence[Named], name: str | None, *, kind: str) -> list[Named]:
    """Return the entries of a pipeline file that are called `name`, or all if that is None.

    Raises:
        ConfigError: If there is none.
    """
    found = [each for each in entries if name in (None, each.name)]
    if not found:
        raise ConfigError(f"{path}: no {kind} `{name}`; it has {[each.name for each in entries]}")
    return found


def _content(path: Path) -> dict[str, Any]:
    content = read_toml(path)
    for section, entries in content.items():
        if section not in SECTIONS:
            raise ConfigError(f"{path}: unknown section [[{section}]]{nearest(section, SECTIONS)}")
        if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
            raise ConfigError(f"{path}: write [[{section}]], once for every entry")
    return content


def _recipes(path: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    found = _entries(path, content, "datasets", "recipe")
    return tuple(fill(_Dataset, entry, where=where).recipe for where, entry in found)


def _suites(path: Path, content: Mapping[str, Any]) -> tuple[Suite, ...]:
    found = _entries(path, content, "quality", "suites")
    return tuple(suite for where, entry in found for suite in load_suites(fill(_Quality, entry, where=where).suites))


def _entries(
    path: Path, content: Mapping[str, Any], section: str, location: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, entry in enumerate(content.get(section, []), start=1):
        resolved = dict(entry)
        if isinstance(entry.get(location), str) and "://" not in entry[location]:
            resolved[location] = str(path.parent / entry[location])
        if isinstance(entry.get("links_roots"), list):
            resolved["links_roots"] = [str(path.parent / str(root)) for root in entry["links_roots"]]
        yield f"{path}: [[{section}]] {number}", resolved
