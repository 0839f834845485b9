"""Options of a format as a command line gives them: texts, made into the values that their types want."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.errors import ConfigError
from lakehouse.names import nearest


def option_values(texts: Sequence[str], hints: Mapping[str, Any], *, flag: str) -> dict[str, object]:
    """Read options given as texts `KEY=VALUE` on a command line, by the types that they must have.

    A list given once is divided at its commas, and is empty after `KEY=`; given several times, each text is one
    value as it stands.

    Args:
        texts: What was given.
        hints: Option -> type.
        flag: What the command calls it, for messages.

    Raises:
        ConfigError: If a text has another form, an option is unknown or no such value, or is given twice.
    """
    given: dict[str, list[str]] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not (separator and name):
            raise ConfigError(f"{flag} {text}: expected KEY=VALUE")
        if name not in hints:
            raise ConfigError(f"{flag} {text}: unknown option `{name}`{nearest(name, hints)}")
        given.setdefault(name, []).append(value)
    return {name: _from_texts(values, hints[name], f"{flag} {name}") for name, values in given.items()}


def _from_texts(values: list[str], hint: Any, where: str) -> object:
    if isinstance(hint, types.UnionType):
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    origin = typing.get_origin(hint) or hint
    if origin is tuple:
        return values if len(values) > 1 else [each for each in values[0].split(",") if each]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        pairs = [value.partition("=") for value in values]
        if not all(key and equals for key, equals, _ in pairs):
            raise ConfigError(f"{where}: expected {where.split()[-1]}=KEY=VALUE")
        return {key: value for key, _, value in pairs}
    if len(values) > 1:
        raise ConfigError(f"{where}: given {len(values)} times, takes one value")
    text = values[0]
    if origin is bool:
        if text not in ("true", "false"):
            raise ConfigError(f"{where}: must be true or false, found {text!r}")
        return text == "true"
    if origin in (int, float):
        try:
            return origin(text)
        except ValueError as error:
            raise ConfigError(f"{where}: must be a number, found {text!r}") from error
    return text
