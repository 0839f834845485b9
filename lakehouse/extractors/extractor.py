"""What a dimension and an extractor are: what is measured, and what measures it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from schemas.silver import ENTITIES

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
