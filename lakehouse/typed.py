"""From plain values, as TOML has them, to frozen dataclasses: one reader for settings, sources, options and recipes.

A value is checked by the annotation of its field: str, int, float (a whole number will do), bool, datetime, a tuple of
any of these, a mapping of texts to any of these, a dataclass (a table), `object` (what SQL takes as a literal), and
each of them `| None`. Nothing is converted silently but 3 to 3.0 and a time to UTC.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from lakehouse.errors import ConfigError, PetrelError
from lakehouse.names import nearest

T = TypeVar("T")


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read one TOML file.

    Raises:
        ConfigError: If it does not exist or is not TOML; the message names file and place.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; give the path of a TOML file that exists") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give the path of a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error


def fill(
    kind: type[T],
    record: Mapping[str, object],
    *,
    where: str,
    word: str = "key",
    error: type[PetrelError] = ConfigError,
) -> T:
    """Return a dataclass filled from a table.

    Args:
        kind: The dataclass; fields without a default must be stated.
        record: The table.
        where: File and place, for messages.
        word: What messages call a field: key, option ...
        error: What is raised.

    Raises:
        PetrelError: `error`, if a key is unknown, missing or of the wrong type; the message names the nearest key.
    """
    hints = typing.get_type_hints(kind)
    for key in record:
        if key not in hints:
            raise error(f"{where}: unknown {word} `{key}`{nearest(key, hints)}")
    for each in dataclasses.fields(typing.cast("Any", kind)):
        required = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        if required and each.name not in record:
            raise error(f"{where}: {word} `{each.name}` is missing")
    values = {key: typed(value, hints[key], where=f"{where}: {key}", error=error) for key, value in record.items()}
    return kind(**values)


def typed(value: object, hint: Any, *, where: str, error: type[PetrelError] = ConfigError) -> object:
    """Return a value as its annotation wants it.

    Args:
        value: As TOML or JSON has it.
        hint: The annotation; see the head of this module.
        where: File, place and key, for messages.
        error: What is raised.

    Raises:
        PetrelError: `error`, if the value has another type.
    """
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(each for each in typing.get_args(hint) if each is not type(None))
    origin = typing.get_origin(hint) or hint
    if hint is object:
        return _literal(value, where, error)
    if dataclasses.is_dataclass(origin) or origin is Mapping:
        if not isinstance(value, Mapping):
            raise error(f"{where}: expected a table, found {value!r}")
        if origin is not Mapping:
            return fill(typing.cast("type[object]", origin), value, where=where, error=error)
        inner = typing.get_args(hint)[1]
        return {key: typed(item, inner, where=f"{where}.{key}", error=error) for key, item in value.items()}
    if origin is tuple:
        inner = next(iter(typing.get_args(hint)), str)
        what = "a list of texts" if inner is str else "a list"
        if not isinstance(value, list | tuple) or (inner is str and not all(isinstance(item, str) for item in value)):
            raise error(f"{where}: expected {what}, found {value!r}")
        return tuple(typed(item, inner, where=where, error=error) for item in value)
    if origin is datetime:
        if not isinstance(value, datetime):
            raise error(f"{where}: expected a time like 2024-01-31T12:00:00Z (without quotes), found {value!r}")
        return _utc(value)
    if origin is float and type(value) is int:
        return float(value)
    if type(value) is not origin:
        raise error(f"{where}: expected {origin.__name__}, found {type(value).__name__} {value!r}")
    return value


def _literal(value: object, where: str, error: type[PetrelError]) -> object:
    """Return a value that SQL can take as a literal: text, number, boolean, time, or a list of these."""
    if isinstance(value, list | tuple):
        if any(isinstance(item, list | tuple) for item in value):
            raise error(f"{where}: a list of lists is no value of a parameter: {value!r}")
        return [_literal(item, where, error) for item in value]
    if isinstance(value, datetime):
        return _utc(value)
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise error(f"{where}: expected text, number, boolean, date and time, or a list of them, found {value}")
    return value


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
