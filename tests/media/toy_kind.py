"""A toy kind of media: a text with `TOY1` in front. One file, and one line that names it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from lakehouse.config import Config
from lakehouse.errors import RejectedInputError
from lakehouse.extractors.extractor import Dimension, Extractor
from lakehouse.media.kinds.kind import MediaKind
from lakehouse.media.sniff import Data
from lakehouse.media.view import EntityView
from loaders.format.fields import Field


@dataclass(frozen=True, slots=True)
class ToyFacts:
    """What every kind tells."""

    media_type: str = "toy/one"
    captured_at: datetime | None = None
    pixel_type: str | None = None


@dataclass(frozen=True, slots=True)
class ToyLimits:
    """Nothing can be configured."""

    max_bytes: int = 1000


def sniff(data: Data) -> str | None:
    """Whether it is one."""
    return "toy/one" if data[:4] == b"TOY1" else None


def claims(name: str) -> str | None:
    """Whether it says so."""
    return "toy/one" if name.endswith(".toy") else None


def probe(data: Data, *, name: str, limits: ToyLimits) -> ToyFacts:
    """Take what ends with a full stop."""
    if not bytes(data).endswith(b"."):
        raise RejectedInputError("truncated", "no full stop")
    return ToyFacts()


def limits(config: Config) -> ToyLimits:
    """The only limits."""
    return ToyLimits()


def view(data: bytes, media_type: str, limits: ToyLimits) -> EntityView:
    """Its bytes."""
    return EntityView(data, media_type=media_type)


def length(view: EntityView) -> dict[str, int]:
    """Letters of the text."""
    return {"letters": len(view.data) - 4}


TOY = MediaKind("toy", "toy/", sniff, claims, 1, probe, limits, view, Field("toy", pa.binary(), doc="The text."))
LETTERS = Extractor("letters", 1, (Dimension("letters", "integer", "Letters.", "1"),), ("toy/",), length)
