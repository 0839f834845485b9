"""What a kind of media is: everything the lake asks about files of it, in one value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from lakehouse.config import Config
from lakehouse.errors import ConfigError
from lakehouse.media.sniff import Data
from lakehouse.media.view import EntityView
from loaders.format.fields import Field

UNKNOWN = "application/octet-stream"
"""Media type of an entity of no kind."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Facts(Protocol):
    """What a probe found: what every kind tells of an entity."""

    @property
    def media_type(self) -> str:
        """For example image/png."""

    @property
    def captured_at(self) -> datetime | None:
        """Time of capture by the file itself, UTC; None: not stated."""

    @property
    def pixel_type(self) -> str | None:
        """Type of the values of a picture; None for all else."""


class Limits(Protocol):
    """What a file may be before it counts as hostile: a frozen dataclass of numbers."""

    @property
    def max_bytes(self) -> int:
        """Encoded bytes that are read into memory."""


class Probe(Protocol):
    """Judges one file; called with all of its bytes."""

    def __call__(self, data: Data, *, name: str, limits: Any) -> Facts:
        """Return what a file is that is whole, within the limits and decodable by the reader.

        Raises:
            RejectedInputError: With a rule and a reason; nothing else is raised for any bytes.
        """


@dataclass(frozen=True, slots=True, eq=False)
class MediaKind:
    """One kind of media. Its functions are module-level, so that workers can import them.

    Attributes:
        name: snake_case, for example audio.
        prefix: Beginning of its media types and of no other kind's, for example `audio/`, or one media type alone.
        sniff: From the first 4,096 bytes, or all of a shorter file, to a media type that begins with `prefix`; None
            for bytes of another kind.
        claims: From a file name to the media type of this kind that its extension stands for, or None. A file that is
            claimed and is something else is rejected by the probe, not taken as bytes of no kind.
        version: Counted from 1. Raise it when `probe` judges the same file otherwise: what an older one rejected is
            looked at again.
        probe: See `Probe`.
        limits: From the configuration to what `probe` and `view` get as limits.
        view: From (bytes, media type, limits) to what extractors of its media types get.
        sample: Field of a materialised dataset with the encoded bytes: name, and the codec by which the reader decodes.
        stored_sample: The same where a recipe wants values as they are stored (`pixels = "native"`); None: `sample`.
        limited: Rule -> the name of the limit that it rests on: such rejections are looked at again when it changes.
        circumstances: Rules that are no fault of the bytes, such as a library that is not installed: looked at again
            by every run.
        judge: Name of its probe in `judged_by`; "" stands for `<name> probe`.
        preview: From (bytes, media type, limits) to a small PNG or text for people. None: it has none yet.
    """

    name: str
    prefix: str
    sniff: Callable[[Data], str | None]
    claims: Callable[[str], str | None]
    version: int
    probe: Probe
    limits: Callable[[Config], Limits]
    view: Callable[[bytes, str, Any], EntityView]
    sample: Field
    stored_sample: Field | None = None
    limited: Mapping[str, str] = field(default_factory=lambda: {"too_large": "max_bytes"})
    circumstances: tuple[str, ...] = ()
    judge: str = ""
    preview: Callable[[bytes, str, Any], bytes] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"media kind {self.name!r}: a name is a-z, 0-9 and _, from a letter on, at most 63 long")
        if "/" not in self.prefix or UNKNOWN.startswith(self.prefix):
            raise ConfigError(f"media kind {self.name}: prefix {self.prefix!r}: give one such as `audio/`")
        if self.version < 1:
            raise ConfigError(f"media kind {self.name}: versions count from 1, found {self.version}")

    @property
    def judged_by(self) -> str:
        """Name and version of its probe, as rejections state it."""
        return f"{self.judge or f'{self.name} probe'} {self.version}"
