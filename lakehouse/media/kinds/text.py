"""Texts: see `lakehouse.media.text` for the rules by which they are judged."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.config import Config
from lakehouse.media.kinds.kind import MediaKind
from lakehouse.media.limits import TextLimits
from lakehouse.media.plain_views import TextView
from lakehouse.media.previews import preview_text
from lakehouse.media.text import PROBE_VERSION, claims_text, probe_text, sniff_text
from lakehouse.media.view import EntityView
from loaders.format.fields import Field


def _limits(config: Config) -> TextLimits:
    return TextLimits(max_bytes=config.text.max_bytes)


def _view(data: bytes, media_type: str, limits: TextLimits) -> EntityView:
    return TextView(data, media_type=media_type, limits=limits)


TEXT = MediaKind(
    name="text",
    prefix="text/",
    sniff=sniff_text,
    claims=claims_text,
    version=PROBE_VERSION,
    probe=probe_text,
    limits=_limits,
    view=_view,
    sample=Field(
        "text", pa.binary(), codec="text", doc="The file as it was landed; read as str, without a byte order mark. "
        "`Utf8Bytes` gives bytes."
    ),
    preview=preview_text,
)
