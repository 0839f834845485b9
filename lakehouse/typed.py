"""From plain values, as TOML has them, to frozen dataclasses: one reader for settings, sources, options and recipes.

A value is checked by the annotation of its field: str, int, float (a whole number will do), bool, datetime, a tuple of
any of these, a mapping of texts to any of these, a dataclass (a table), `object` (what SQL takes as a literal), and
each of them `| None`. A value or a table (`int | Mapping[str, int]`), and a text or a list of them (`str | tuple[str,
...]`), are checked as what they are. Nothing is converted silently but 3 to 3.0 and a time to UTC.
"""

from __future__ import annotations

import dataclasses
import math
import re
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

MOST_BYTES = 4 << 20
"""Of a TOML file; a recipe that names 50,000 ids fits."""

MOST_NESTED = 64
"""Tables and lists in one another."""

MANY_PARTS = re.compile(rf"""(?<![\w"'-])(?:["']?[\w-]+["']?[ \t]*\.[ \t]*){{{MOST_NESTED}}}""")
"""A dotted key of more parts than that: reading one takes time by the square of their number."""


def toml_text(path: str | Path) -> str:
    """Return the text of a TOML file.

    Raises:
        ConfigError: If it does not exist, cannot be read, is no UTF-8 or too long; the message names it.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode().replace("\r\n", "\n")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; give the path of a TOML file that exists") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give the path of a TOML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error
    except ValueError as error:
        # A NUL character in the path.
        raise ConfigError(f"{str(path)!r}: {error}; give the path of a TOML file") from error
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{path}: longer than {MOST_BYTES:,} bytes; give the path of a TOML file")
    return text


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read one TOML file.

    Raises:
        ConfigError: If it does not exist, is not TOML or nested too deep; the message names file and place.
    """
    return parse_toml(toml_text(path), path)


def parse_toml(text: str, path: str | Path) -> dict[str, Any]:
    """Return what the text of a TOML file says; see `read_toml`."""
    deep = ConfigError(f"{path}: tables and lists stand more than {MOST_NESTED} deep in one another")
    if MANY_PARTS.search(text) is not None:
        raise deep
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise deep from None
    except ValueError as error:
        # Also whole numbers of thousands of digits.
        raise ConfigError(f"{path}: not a TOML file: {error}") from error
    _check_size(found, str(path), MOST_NESTED, deep)
    return found


def _check_size(value: object, where: str, most: int, deep: ConfigError) -> None:
    if most < 0:
        raise deep
    if isinstance(value, dict):
        for key, each in value.items():
            _check_size(each, f"{where}: {key}", most - 1, deep)
    elif isinstance(value, list):
        for each in value:
            _check_size(each, where, most - 1, deep)
    elif isinstance(value, int) and value.bit_length() > 64:
        raise ConfigError(f"{where}: a whole number of {value.bit_length():,} bits; 64 are the most")


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
        hint = _meant(value, [each for each in typing.get_args(hint) if each is not type(None)])
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
        return _utc(value, where, error)
    if origin is float and type(value) is int:
        return float(value)
    if type(value) is not origin:
        raise error(f"{where}: expected {origin.__name__}, found {type(value).__name__} {value!r}")
    return value


def _meant(value: object, hints: list[Any]) -> Any:
    """Return which of several annotations a value is to be checked by: of a table or a list theirs, else the first."""
    tables = [each for each in hints if typing.get_origin(each) is Mapping or dataclasses.is_dataclass(each)]
    lists = [each for each in hints if typing.get_origin(each) is tuple]
    others = [each for each in hints if each not in tables and each not in lists]
    if isinstance(value, Mapping):
        return (tables or others or lists)[0]
    return (lists or others or tables)[0] if isinstance(value, list | tuple) else (others or lists or tables)[0]


def _literal(value: object, where: str, error: type[PetrelError]) -> object:
    """Return a value that SQL can take as a literal: text, number, boolean, time, or a list of these."""
    if isinstance(value, list | tuple):
        if any(isinstance(item, list | tuple) for item in value):
            raise error(f"{where}: a list of lists is no value of a parameter: {value!r}")
        return [_literal(item, where, error) for item in value]
    if isinstance(value, datetime):
        return _utc(value, where, error)
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise error(f"{where}: expected text, number, boolean, date and time, or a list of them, found {value}")
    return value


def _utc(value: datetime, where: str, error: type[PetrelError]) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as found:
        raise error(f"{where}: {value.isoformat()} is in UTC outside of the years 1 to 9999") from found
