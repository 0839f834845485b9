"""Files of annotations that are read whole, up to a size."""

from __future__ import annotations

from pathlib import Path

from lakehouse.errors import RejectedInputError


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
        with file.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise RejectedInputError("unreadable", f"cannot be read: {error.strerror}") from error
    if len(data) > most:
        raise RejectedInputError("too_long", f"has more than {most:,} bytes{advice}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RejectedInputError("not_utf8", f"is not UTF-8 at byte {error.start}") from error
