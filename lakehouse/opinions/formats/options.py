"""Options that a source gives to its format: checked once, with the nearest known name in the error."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from lakehouse.config import nearest
from lakehouse.errors import ConfigError

T = TypeVar("T")


def read_options(kind: type[T], options: Mapping[str, object], *, where: str) -> T:
    """Return a dataclass filled from a mapping (a TOML table).

    Lists become tuples. Values are checked by the annotations str, int, float, bool, tuple[str, ...] and
    Mapping[str, str], each also `| None`.

    Raises:
        ConfigError: If a key is unknown, missing or of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    for key in options:
        if key not in hints:
            raise ConfigError(f"{where}: unknown option `{key}`{nearest(key, hints)}")
    missing = [
        f.name
        for f in fields
        if f.name not in options and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where}: option `{missing[0]}` is missing")
    return kind(**{key: _checked(value, hints[key], f"{where}: {key}") for key, value in options.items()})


def _checked(value: object, hint: Any, where: str) -> object:
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    origin = typing.get_origin(hint) or hint
    if origin is tuple:
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigError(f"{where}: must be a list of texts, found {value!r}")
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values()):
            return dict(value)
        raise ConfigError(f"{where}: must be a table of texts, found {value!r}")
    if origin is float and type(value) is int:
        return float(value)
    if type(value) is not origin:
        raise ConfigError(f"{where}: expected {origin.__name__}, found {type(value).__name__} {value!r}")
    return value
