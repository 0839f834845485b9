"""Which kinds of media there are, and which of them a file is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from lakehouse.config import Config
from lakehouse.errors import ConfigError
from lakehouse.media.kinds.array import ARRAY
from lakehouse.media.kinds.audio import AUDIO
from lakehouse.media.kinds.dicom import DICOM
from lakehouse.media.kinds.image import IMAGE
from lakehouse.media.kinds.kind import Limits, MediaKind
from lakehouse.media.kinds.points import POINTS
from lakehouse.media.kinds.text import TEXT
from lakehouse.media.kinds.video import VIDEO
from lakehouse.media.limits import ImageLimits
from lakehouse.media.sniff import HEAD_BYTES, Data
from lakehouse.media.view import EntityView
from lakehouse.plugins import installed

ENTRY_POINTS = "petrel.media_kinds"

BUILT_IN = (
    IMAGE,
    AUDIO,
    VIDEO,
    ARRAY,
    POINTS,
    DICOM,
)
"""In the order in which they are asked, before those of packages."""

LAST = (TEXT,)
"""Asked after those of packages: much that has a kind of its own looks like text."""


@lru_cache(maxsize=1)
def media_kinds() -> tuple[MediaKind, ...]:
    """Return the kinds of media: built-in ones, those of installed packages by name, and text.

    Raises:
        ConfigError: If an entry point cannot be loaded, or two kinds clash.
    """
    return check_distinct((*BUILT_IN, *installed(ENTRY_POINTS, MediaKind), *LAST))


def check_distinct(kinds: Iterable[MediaKind]) -> tuple[MediaKind, ...]:
    """Return the kinds if no two share a name, a prefix or the name of their field.

    Raises:
        ConfigError: Naming both sides of a clash.
    """
    result = tuple(kinds)
    owners: dict[tuple[str, str], str] = {}
    for kind in result:
        for what, value in (("name", kind.name), ("prefix", kind.prefix), ("field", kind.sample.name)):
            if (what, value) in owners:
                raise ConfigError(
                    f"media kinds `{owners[what, value]}` and `{kind.name}` have one {what}, `{value}`; rename one, or "
                    "uninstall its package"
                )
            owners[what, value] = kind.name
    return result


def kind_of_type(kinds: Iterable[MediaKind], media_type: str) -> MediaKind | None:
    """Return the first of the kinds that an entity of this media type is of; None: of none."""
    return next((kind for kind in kinds if media_type.startswith(kind.prefix)), None)


@dataclass(frozen=True)
class Judges:
    """The kinds of media with the limits of one lake: what workers get.

    Attributes:
        kinds: In the order in which they are asked.
        limits: By name of the kind.
    """

    kinds: tuple[MediaKind, ...]
    limits: Mapping[str, Limits]

    @property
    def max_pixels(self) -> int:
        """Of a picture, at most."""
        return cast("ImageLimits", self.limits[IMAGE.name]).max_pixels

    @property
    def facts(self) -> dict[str, list[object]]:
        """What judgements rest on: probe and limits of each kind."""
        return {
            kind.name: [kind.judged_by, repr(self.limits[kind.name])] for kind in self.kinds
        }

    def kind_of(self, data: Data, name: str) -> MediaKind | None:
        """Return the kind that a file is of by its first bytes, or claims to be of by its name; None: of none.

        A file of no bytes is of the first kind, whose probe says that it is empty.
        """
        head = bytes(data[:HEAD_BYTES])
        for kind in self.kinds:
            if not head or kind.sniff(head) is not None or kind.claims(name) is not None:
                return kind
        return None

    def of_type(self, media_type: str) -> MediaKind | None:
        """Return the kind of an entity by its media type; None: of none."""
        return kind_of_type(self.kinds, media_type)

    def view(self, data: bytes, media_type: str) -> EntityView:
        """Return what extractors get of an entity."""
        kind = self.of_type(media_type)
        if kind is None:
            return EntityView(data, media_type=media_type)
        return kind.view(data, media_type, self.limits[kind.name])

    def judged_by(self, kind: MediaKind, rule: str) -> str | None:
        """Return what a rejection of this kind rests on; None: on circumstances."""
        if rule in kind.circumstances:
            return None
        limit = kind.limited.get(rule)
        if limit is None:
            return kind.judged_by
        return f"{kind.judged_by}, {limit} {getattr(self.limits[kind.name], limit)}"

    def all_judges(self) -> list[str]:
        """Return everything that a rejection which still counts may rest on, besides `land`."""
        return sorted({
            judge
            for kind in self.kinds
            for rule in ("", *kind.limited)
            if (judge := self.judged_by(kind, rule)) is not None
        })


def judges_of(config: Config) -> Judges:
    """Return the kinds of media with the limits of a configuration.

    Raises:
        ConfigError: As for `media_kinds`.
    """
    kinds = media_kinds()
    return Judges(kinds, {kind.name: kind.limits(config) for kind in kinds})
