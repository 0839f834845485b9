"""Fields of JSON objects from outside, each of the type that it must have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.reading.strict_json import clean_texts, strict_loads
from lakehouse.opinions.reading.values import finite
from lakehouse.opinions.reading.whole import whole_text

MAX_BYTES = 1 << 30

Object = Mapping[str, object]


def read_json(file: Path) -> object:
    """Return the document of a UTF-8 file, with or without byte order mark; every text in it can be stored.

    Raises:
        RejectedInputError: With rule unreadable, too_long (above 1 GiB), not_utf8 or one of `strict_loads`.
    """
    found = strict_loads(whole_text(file, most=MAX_BYTES, advice=", which is all that is read"))
    clean_texts(found)
    return found


def as_object(value: object, what: str) -> dict[str, object]:
    """Return `value` if it is an object.

    Raises:
        RejectedInputError: wrong_type, if it is none.
    """
    if not isinstance(value, dict):
        raise _wrong(what, "an object", value)
    return value


def as_list(value: object, what: str) -> list[object]:
    """Return `value` if it is a list.

    Raises:
        RejectedInputError: wrong_type, if it is none.
    """
    if not isinstance(value, list):
        raise _wrong(what, "a list", value)
    return value


def as_text(value: object, what: str) -> str:
    """Return `value` if it is a text.

    Raises:
        RejectedInputError: wrong_type, if it is none.
    """
    if not isinstance(value, str):
        raise _wrong(what, "a text", value)
    return value


def as_number(value: object, what: str) -> float:
    """Return `value` as a float if it is a finite number; true and false are none.

    Raises:
        RejectedInputError: wrong_type or not_finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(what, "a number", value)
    return finite(float(value), what)


def as_whole(value: object, what: str) -> int:
    """Return `value` if it is a whole number; 3.0 is one.

    Raises:
        RejectedInputError: wrong_type, if it is none.
    """
    number = as_number(value, what)
    if number != int(number):
        raise _wrong(what, "a whole number", value)
    return int(number)


def list_in(record: Object, key: str) -> list[object]:
    """Return the list under a key; nothing there or null is an empty one.

    Raises:
        RejectedInputError: wrong_type, if it is something else.
    """
    found = record.get(key)
    return [] if found is None else as_list(found, key)


def objects_in(record: Object, key: str) -> list[dict[str, object]]:
    """Return the list of objects under a key; nothing there or null is an empty one.

    Raises:
        RejectedInputError: wrong_type, if it is something else.
    """
    return [as_object(each, key) for each in list_in(record, key)]


def number_in(record: Object, key: str) -> float:
    """Return the number under a key.

    Raises:
        RejectedInputError: wrong_type, if there is none.
    """
    return as_number(record.get(key), key)


def text_in(record: Object, key: str) -> str | None:
    """Return the text under a key; None if there is nothing, null or an empty one.

    Raises:
        RejectedInputError: wrong_type, if it is something else.
    """
    found = record.get(key)
    return None if found is None else as_text(found, key) or None


def size_in(record: Object, key: str) -> int | None:
    """Return the px under a key; None if nothing, null or 0 stands there, as tools write that do not know it.

    Raises:
        RejectedInputError: wrong_type or bad_size.
    """
    found = record.get(key)
    if found is None:
        return None
    side = as_whole(found, key)
    if not 0 <= side < 2**31:
        raise RejectedInputError("bad_size", f"{key} must be a whole number of pixels, found {side}")
    return side or None


def _wrong(what: str, wanted: str, found: object) -> RejectedInputError:
    shown = "nothing" if found is None else type(found).__name__
    return RejectedInputError("wrong_type", f"{what} must be {wanted}, found {shown}")
