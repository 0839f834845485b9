"""What every kind of media asks before it looks into a file: whether there is one, and whether bytes and name agree."""

from __future__ import annotations

from collections.abc import Collection

from lakehouse.errors import RejectedInputError
from lakehouse.media.sniff import Data, claimed, is_start_of, sniff

KIN = (
    frozenset(("text/plain", "text/html", "text/xml", "application/json")),
    frozenset(("video/mp4", "video/quicktime")),
    frozenset(("video/x-matroska", "video/webm")),
)
"""Media types of which one may bear the name of another: programs write either under both endings."""


def checked_type(data: Data, *, name: str, max_bytes: int) -> str:
    """Return the media type that the first bytes show.

    Raises:
        RejectedInputError: empty, too_large, truncated, unknown_type or extension_mismatch.
    """
    if len(data) == 0:
        raise RejectedInputError("empty", "0 bytes")
    if len(data) > max_bytes:
        raise RejectedInputError("too_large", f"{len(data):,} bytes, limit {max_bytes:,}")
    found, expected = sniff(data), claimed(name)
    if expected is not None and is_start_of(data, expected):
        raise RejectedInputError("truncated", f"ends after {len(data):,} bytes, inside the signature of {expected}")
    if found is None:
        raise RejectedInputError("unknown_type", "the first bytes are of no media type we know")
    if expected is not None and expected != found and not any({expected, found} <= kin for kin in KIN):
        raise RejectedInputError("extension_mismatch", f"the extension claims {expected}, the bytes are {found}")
    return found


def type_among(data: Data, *, name: str, max_bytes: int, types: Collection[str], what: str) -> str:
    """Return the media type that the first bytes show, which is one of `types`.

    Raises:
        RejectedInputError: As `checked_type`, or undecodable: it is no `what`.
    """
    found = checked_type(data, name=name, max_bytes=max_bytes)
    if found not in types:
        raise RejectedInputError("undecodable", f"{found} is no {what}")
    return found
