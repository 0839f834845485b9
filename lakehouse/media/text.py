"""One text: its facts, and whether it can be read.

Every problem is a `RejectedInputError` with one of the rules below; nothing else is raised for any bytes.

    empty               no bytes
    too_large           more bytes than the limit
    extension_mismatch  the name claims another kind than the bytes are
    undecodable         neither UTF-8 nor UTF-16 with its mark, or data with NUL among it: no other coding is guessed

What is text: bytes that look like it (`lakehouse.media.sniff`), whatever their name, and what has the name of one.
Documents in HTML, XML and JSON are text with the media types text/html, text/xml and text/json.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lakehouse.errors import RejectedInputError
from lakehouse.media.limits import DEFAULT_TEXT_LIMITS, TextLimits
from lakehouse.media.signature import checked_type
from lakehouse.media.sniff import Data, claimed, sniff
from loaders.decoding.verdict import TEXT_VERDICT_VERSION, DecodeError, decode_text

PROBE_VERSION = TEXT_VERDICT_VERSION
"""Raised when the same file would be judged otherwise: what an older probe rejected is looked at again."""

_TYPES = {
    "text/plain": "text/plain", "text/html": "text/html", "text/xml": "text/xml", "application/json": "text/json",
}  # fmt: skip
"""What is sniffed or claimed -> media type of the entity: all of one beginning, as those of every kind."""


@dataclass(frozen=True, slots=True)
class TextFacts:
    """What every kind tells.

    Attributes:
        media_type: text/plain, text/html, text/xml or text/json.
        captured_at: None: no text says so.
        pixel_type: None: it has no pixels.
    """

    media_type: str
    captured_at: datetime | None = None
    pixel_type: str | None = None


def sniff_text(data: Data) -> str | None:
    """Return the media type of what looks like text; None for all else."""
    return _TYPES.get(sniff(data) or "")


def claims_text(name: str) -> str | None:
    """Return the media type that a name of a text stands for; None for all else."""
    return _TYPES.get(claimed(name) or "")


def probe_text(data: Data, *, name: str, limits: TextLimits = DEFAULT_TEXT_LIMITS) -> TextFacts:
    """Return what a text is that is within the limits and readable by the reader, having read it.

    Args:
        data: The file, as bytes or mapped.
        name: File name; its extension is compared with the content. One without a known extension is fine.
        limits: What counts as hostile.

    Raises:
        RejectedInputError: With one of the rules of this module.
    """
    return read_text(data, name=name, limits=limits)[0]


def read_text(data: Data, *, name: str = "", limits: TextLimits = DEFAULT_TEXT_LIMITS) -> tuple[TextFacts, str]:
    """Return the facts of a text and itself.

    Raises:
        RejectedInputError: With one of the rules of this module.
    """
    found = sniff(data)
    # What has the name of a text and does not look like one: its coding is the reason, not its kind.
    if found is not None or not len(data) or len(data) > limits.max_bytes:
        found = checked_type(data, name=name, max_bytes=limits.max_bytes)
    try:
        text = decode_text(bytes(data))
    except DecodeError as error:
        raise RejectedInputError(error.rule, str(error)) from error
    return TextFacts(_TYPES.get(found or "", "text/plain")), text
