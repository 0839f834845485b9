"""Files of annotations that are read whole, up to a size."""

from __future__ import annotations

import os
from pathlib import Path

from lakehouse.errors import RejectedInputError


def whole_bytes(file: Path, *, most: int) -> bytes:
    """Return the bytes of a file, of one with more than `most` one byte more than that.

    Raises:
        OSError: If it cannot be read.
    """
    with file.open("rb") as stream:
        # What is asked for is allocated at once: a file of a kilobyte would take as much as the largest may.
        return stream.read(min(os.fstat(stream.fileno()).st_size, most) + 1)


def whole_text(file: Path, *, most: int, advice: str = "") -> str:
    """Return the text of a UTF-8 file, without its byte order mark.

    Args:
        file: The file.
        most: Bytes that it may have.
        advice: What to do about one with more, for the message.

    Raises:
        RejectedInputError: With rule unreadable, too_long or not_utf8.
    """
    try:
        data = whole_bytes(file, most=most)
    except OSError as error:
        raise RejectedInputError("unreadable", f"cannot be read: {error.strerror}") from error
    if len(data) > most:
        raise RejectedInputError("too_long", f"has more than {most:,} bytes{advice}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RejectedInputError("not_utf8", f"is not UTF-8 at byte {error.start}") from error
