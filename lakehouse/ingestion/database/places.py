"""Where a table was read up to: values of its cursor columns, as JSON that reads back as what they were."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import Callable, Mapping

from lakehouse.errors import IngestError

_SAID: Mapping[str, tuple[type, Callable[[str], object]]] = {
    "timestamp": (datetime.datetime, datetime.datetime.fromisoformat),
    "date": (datetime.date, datetime.date.fromisoformat),
    "decimal": (decimal.Decimal, decimal.Decimal),
    "uuid": (uuid.UUID, uuid.UUID),
}


def place_of(name: str, value: object) -> object:
    """Return a value of a cursor column as JSON.

    Raises:
        IngestError: If it is of a type that no cursor can have, or a number that nothing comes behind.
    """
    if isinstance(value, float | decimal.Decimal) and not math.isfinite(value):
        raise IngestError(f"cursor {name}: {value}, and nothing comes behind that; give the row a number")
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        return value
    for name, (kind, _) in _SAID.items():
        if type(value) is kind:
            return {name: value.isoformat() if isinstance(value, datetime.date) else str(value)}
    raise IngestError(f"cursor {name}: type {type(value).__name__}: expected numbers, texts, times, dates or UUIDs")


def value_of(place: object) -> object:
    """Return the value that `place_of` told."""
    if isinstance(place, dict):
        ((name, text),) = place.items()
        return _SAID[name][1](text)
    return place


def before(value: object, overlap: float) -> object:
    """Return the value so far before another: seconds of times, days of dates, units of numbers.

    Raises:
        IngestError: If nothing can be before it, as of a text.
    """
    if isinstance(value, datetime.datetime):
        return value - datetime.timedelta(seconds=overlap)
    if isinstance(value, datetime.date):
        return value - datetime.timedelta(days=overlap)
    if isinstance(value, decimal.Decimal):
        return value - decimal.Decimal(overlap)
    if isinstance(value, int):
        return value - int(overlap)
    if isinstance(value, float):
        return value - overlap
    raise IngestError(f"overlap = {overlap}: a cursor of type {type(value).__name__} has nothing before it: leave "
                      "it out")
