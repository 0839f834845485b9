"""Text from outside into values: strict, because what is misread once is believed for ever."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, tzinfo

from lakehouse.errors import RejectedInputError

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
MAX_LABEL_CHARACTERS = 1_000
_EPOCH_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000}
_EARLIEST, _LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


def check_text(text: str, what: str) -> str:
    """Return `text` if every table and engine can hold it.

    Raises:
        RejectedInputError: If it has a NUL or half of a surrogate pair.
    """
    if "\x00" in text:
        raise RejectedInputError("nul_character", f"{what} has a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RejectedInputError("lone_surrogate", f"{what} has half of a surrogate pair: {text!a:.80}") from error
    return text


def label_id(text: str, what: str = "label") -> str:
    """Return a label as its id: in NFC, otherwise untouched ("NA", "007" and "None" are labels).

    Raises:
        RejectedInputError: If it is empty, longer than 1,000 characters, or no clean text.
    """
    if not text:
        raise RejectedInputError("empty_label", f"{what} is empty; to decline, say so: --option abstain=TEXT")
    if len(text) > MAX_LABEL_CHARACTERS:
        raise RejectedInputError("label_too_long", f"{what} has {len(text):,} characters, at most 1,000 are kept")
    return unicodedata.normalize("NFC", check_text(text, what))


def number(text: str, what: str, *, decimal: str = ".") -> float:
    """Read a finite decimal number.

    Raises:
        RejectedInputError: If it is none, or not finite.
    """
    plain = text.strip() if decimal == "." else text.strip().replace(decimal, ".")
    if not _NUMBER.fullmatch(plain):
        raise RejectedInputError("not_a_number", f"{what} must be a number, found {text!a:.80}")
    return finite(float(plain), what)


def finite(value: float, what: str) -> float:
    """Return `value` if it is finite.

    Raises:
        RejectedInputError: If it is NaN or infinite.
    """
    if not math.isfinite(value):
        raise RejectedInputError("not_finite", f"{what} must be finite, found {value}")
    return value


def integer(text: str, what: str) -> int:
    """Read a whole number of at most 18 digits.

    Raises:
        RejectedInputError: If it is none.
    """
    if not _INTEGER.fullmatch(text.strip()):
        raise RejectedInputError("not_an_integer", f"{what} must be a whole number, found {text!a:.80}")
    return int(text)


def boolean(text: str, what: str) -> bool:
    """Read true/false, yes/no or 1/0 in any case.

    Raises:
        RejectedInputError: If it is none of them.
    """
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    found = known.get(text.strip().lower())
    if found is None:
        raise RejectedInputError("not_a_boolean", f"{what} must be true or false, found {text!a:.80}")
    return found


def instant(text: str, what: str, *, zone: tzinfo = UTC, unit: str = "iso") -> datetime:
    """Read a time, UTC.

    Args:
        text: ISO 8601, or a number of `unit` since 1970.
        what: Name of the field, for messages.
        zone: Zone of a text that names none.
        unit: iso, s, ms or us.

    Raises:
        RejectedInputError: If it is no time, or outside the years 1 to 9999.
    """
    try:
        if unit != "iso":
            found = datetime.fromtimestamp(number(text, what) / _EPOCH_UNITS[unit], UTC)
        else:
            found = datetime.fromisoformat(text.strip())
            found = found.replace(tzinfo=zone) if found.tzinfo is None else found
        found = found.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        if isinstance(error, RejectedInputError):
            raise
        raise RejectedInputError("not_a_time", f"{what} must be a time ({unit}), found {text!a:.80}") from error
    if not _EARLIEST <= found <= _LATEST:
        raise RejectedInputError("not_a_time", f"{what} lies outside the years 1 to 9999: {text!a:.80}")
    return found
