"""Which properties exist and what measures them: the built-in extractors and those that installed packages bring.

A package adds one with an entry point of group `petrel.extractors` that names an `Extractor`:

    [project.entry-points."petrel.extractors"]
    blur = "my_package.blur:EXTRACTOR"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeAlias, get_args

from lakehouse.config import nearest
from lakehouse.errors import ConfigError
from schemas.silver import ENTITIES

ENTRY_POINTS = "petrel.extractors"

Kind: TypeAlias = Literal["integer", "number", "text", "boolean", "timestamp"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Value: TypeAlias = int | float | str | bool | datetime | None
"""A measured value; None says that the entity has no value of this dimension."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Dimension:
    """One property that is measured.

    Attributes:
        name: snake_case; becomes a column of `entities_wide`.
        kind: Type of the value.
        doc: What the value means: range, formula, when there is none.
        unit: Unit of the value: px, bytes, bits ...; None for a value without one.
    """

    name: str
    kind: Kind
    doc: str
    unit: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"dimension {self.name!r}: a name is a-z, 0-9 and _, from a letter on, at most 63 long")
        if self.name in ENTITIES.column_names:
            raise ConfigError(f"dimension {self.name}: `entities_wide` has such a column already; choose another name")
        if self.kind not in KINDS:
            raise ConfigError(f"dimension {self.name}: unknown kind `{self.kind}`{nearest(self.kind, KINDS)}")


@dataclass(frozen=True, slots=True)
class Extractor:
    """What measures: a function from a view of one entity to the values of its dimensions.

    Attributes:
        name: Stable, snake_case; part of the key of every measurement.
        version: Counted from 1. Raise it when the same bytes would give another value: everything is then measured
            anew, beside the old values.
        dimensions: What it measures.
        media_types: Media types it is for, or beginnings of them: `image/` is every image.
        function: Gets an `ImageView` for images that we decode and an `EntityView` (the bytes alone) for all else,
            returns values by dimension name; a name left out has no value. Module-level, so that workers can
            import it. What it raises rejects this (entity, extractor) pair and nothing more.
    """

    name: str
    version: int
    dimensions: tuple[Dimension, ...]
    media_types: tuple[str, ...]
    function: Callable[[Any], Mapping[str, Value]]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"extractor {self.name!r}: a name is a-z, 0-9 and _, from a letter on, at most 63 long")
        if self.version < 1:
            raise ConfigError(f"extractor {self.name}: versions count from 1, found {self.version}")
        if not self.dimensions or not self.media_types:
            raise ConfigError(f"extractor {self.name}: needs at least one dimension and one media type")

    @property
    def key(self) -> str:
        """Name and version in one word, for example `image_header@1`."""
        return f"{self.name}@{self.version}"

    def measures(self, media_type: str) -> bool:
        """Whether it is for entities of this media type."""
        return media_type.startswith(self.media_types)


def extractors(names: Iterable[str] | None = None) -> tuple[Extractor, ...]:
    """Return the extractors, built-in ones first, then those of installed packages by name.

    Args:
        names: Only these, in this order; None means all.

    Raises:
        ConfigError: If a name is not known, an entry point cannot be loaded, or two extractors clash.
    """
    known = {each.name: each for each in _registered()}
    if names is None:
        return tuple(known.values())
    chosen = []
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown extractor `{name}`{nearest(name, known)}")
        chosen.append(known[name])
    return tuple(chosen)


def all_dimensions() -> tuple[Dimension, ...]:
    """Return every dimension of every extractor; names are distinct."""
    return tuple(dimension for extractor in extractors() for dimension in extractor.dimensions)


def check_distinct(chosen: Iterable[Extractor]) -> tuple[Extractor, ...]:
    """Return the extractors if no two share a name or a dimension.

    Raises:
        ConfigError: Naming both sides of a clash.
    """
    names: set[str] = set()
    owners: dict[str, str] = {}
    result = tuple(chosen)
    for extractor in result:
        if extractor.name in names:
            raise ConfigError(f"two extractors are called `{extractor.name}`; rename one, or uninstall its package")
        names.add(extractor.name)
        for dimension in extractor.dimensions:
            owner = owners.setdefault(dimension.name, extractor.name)
            if owner != extractor.name:
                raise ConfigError(
                    f"extractors `{owner}` and `{extractor.name}` both measure `{dimension.name}`; rename one of them"
                )
        if len({dimension.name for dimension in extractor.dimensions}) < len(extractor.dimensions):
            raise ConfigError(f"extractor `{extractor.name}` names a dimension twice")
    return result


@lru_cache(maxsize=1)
def _registered() -> tuple[Extractor, ...]:
    from lakehouse.dimensions.image_header import IMAGE_HEADER
    from lakehouse.dimensions.image_pixels import IMAGE_PIXELS

    return check_distinct((IMAGE_HEADER, IMAGE_PIXELS, *_installed()))


def _installed() -> Iterator[Extractor]:
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda each: each.name):
        where = f"entry point {point.name} = {point.value} of {_package(point)}"
        try:
            found = point.load()
        except Exception as error:  # A package of the user's: its import may raise anything.
            raise ConfigError(
                f"{where} cannot be loaded: {type(error).__name__}: {error}; repair or uninstall the package"
            ) from error
        if not isinstance(found, Extractor):
            raise ConfigError(f"{where}: expected an Extractor of lakehouse.dimensions, found {type(found).__name__}")
        yield found


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown package"
