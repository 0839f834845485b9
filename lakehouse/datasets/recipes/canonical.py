"""The canonical form of a recipe: what differs from the defaults, as plain values, and the way back.

What equals its default is left out, so that a new optional key renames no dataset that exists. The form can be read
back: `fields_of(plain_fields(section))` are values that the parser of recipes takes.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from schemas.canonical import canonical_json

CODEC = "canonical"
"""Key of a field's metadata: its `Codec`."""


class Codec(typing.NamedTuple):
    """How the values of one field are written and read back, where JSON alone would lose something."""

    write: Callable[[Any], object]
    read: Callable[[Any], object]


def plain_fields(section: object) -> dict[str, object]:
    """Return the fields of a dataclass that differ from their defaults; sections without any are left out."""
    found: dict[str, object] = {}
    for field in dataclasses.fields(typing.cast("Any", section)):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            inner = plain_fields(value)
            if inner:
                found[field.name] = inner
            continue
        written = _codec(field).write(value)
        if _default(field) is dataclasses.MISSING or not _equal(written, _codec(field).write(_default(field))):
            found[field.name] = written
    return found


def fields_of(cls: type, canonical: Mapping[str, object]) -> dict[str, object]:
    """Return what `plain_fields` was given, as values that the parser of recipes takes.

    Unknown keys stay as they are: the parser names them.
    """
    types = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    found: dict[str, object] = {}
    for name, value in canonical.items():
        kind = types.get(name)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
            found[name] = fields_of(kind, value)
        else:
            found[name] = _codec(fields[name]).read(value) if name in fields else value
    return found


def _codec(field: dataclasses.Field[Any]) -> Codec:
    codec: Codec = field.metadata.get(CODEC, AS_IT_IS)
    return codec


def _default(field: dataclasses.Field[Any]) -> object:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _equal(one: object, other: object) -> bool:
    return canonical_json(one) == canonical_json(other)


def typed_value(value: object) -> object:
    """Return a parameter of SQL so that it comes back as the type it has: JSON knows neither times nor 3.0."""
    if isinstance(value, list | tuple):
        return [typed_value(item) for item in value]
    if isinstance(value, datetime):
        return {"time": value}
    if isinstance(value, float) and value.is_integer():
        return {"double": value}
    return value


def untyped_value(value: object) -> object:
    if isinstance(value, list):
        return [untyped_value(item) for item in value]
    if isinstance(value, Mapping):
        return _time(value["time"]) if "time" in value else float(value["double"])
    return value


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text))


def _each(function: Callable[[object], object]) -> Callable[[Mapping[str, object]], object]:
    return lambda values: {name: function(value) for name, value in values.items()}


AS_IT_IS = Codec(lambda value: value, lambda value: value)

ORDERED = Codec(lambda values: [list(pair) for pair in values.items()], dict)
"""A table whose order is content: a list of pairs."""

PARAMETERS = Codec(_each(typed_value), _each(untyped_value))
"""Parameters of SQL: `{"time": ...}` for a time and `{"double": 3}` for 3.0; else they would be text and 3."""

ONE_OR_MANY = Codec(
    lambda value: value if isinstance(value, str) else value[0] if len(value) == 1 else sorted(value) or "",
    lambda value: value,
)
"""A text, or texts in no order: one alone is that text, none is ""."""

INSTANTS = Codec(list, lambda texts: [_time(text) for text in texts])
"""Times, which JSON has as texts."""

INSTANT = Codec(lambda value: value, lambda text: None if text is None else _time(text))
"""A time, which JSON has as text."""
