"""Transforms: functions from one value to none, one or several, with a name and a version; and chains of them.

    @transform(version=2)
    def flip(pixels, *, axis: str = "horizontal"):
        return Made(pixels[:, ::-1], affine=(-1, 0, pixels.shape[1] - 1, 0, 1, 0))

Parameters are keyword arguments with an annotation (int, float, str, bool) and a default. What was given and what was
left at its default are one: both are part of the identity of what is made.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_type_hints, overload

from lakehouse.deriving.values import (
    SAME,
    TAKES,
    Affine,
    Frames,
    Made,
    Reference,
    Sound,
    Takes,
    composed,
    is_picture,
)
from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.plugins import identity_of
from schemas.canonical import canonical_json, content_id

Parameter = int | float | str | bool

ORIGINS = ("augmented", "synthetic", "real")

MOST_MADE = 10_000
"""Things that one value may give: more are a mistake of the transform, or an attack by its input."""

_WHOLE = (bytes, str, Sound, Reference, Mapping)
"""What is one thing, though some of them can be iterated over."""

_NAME = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*\.)*[a-z][a-z0-9_]{0,62}")
_TYPES = (int, float, str, bool)


@dataclass(frozen=True, slots=True)
class Transform:
    """One transform.

    Attributes:
        name: Stable, snake_case; or with dots in front, see `identity`.
        version: Counted from 1. Raise it when the same input would give something else: all is made anew, beside the
            old.
        media_types: Media types it is for, or beginnings of them, where it is the first of a chain.
        takes: What it gets. `pixels`: uint8 (height, width, 3), upright. `sound`: a `Sound`. `text`: str. `bytes`.
            `video`: `Frames`, no pixel; it returns `Reference`s, which are stored nowhere.
        function: Gets the value and its parameters by name; returns a value, a `Made`, None for nothing, or an iterable
            of these. Module-level, so that workers can import it. It must not hang on anything but its arguments.
        origin: Of what it makes: augmented, synthetic or real (a part, or another form, of what was recorded).
        parameters: Name -> type and default.
    """

    name: str
    version: int
    media_types: tuple[str, ...]
    takes: Takes
    function: Callable[..., Any]
    origin: str
    parameters: Mapping[str, tuple[type, Parameter]]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"transform {self.name!r}: a name is a-z, 0-9 and _, from a letter on, at most 63 long, "
                              "perhaps behind that of a module and a dot")  # fmt: skip
        if self.version < 1:
            raise ConfigError(f"transform {self.name}: versions count from 1, found {self.version}")
        if self.takes not in TAKES:
            raise ConfigError(f"transform {self.name}: takes `{self.takes}`{nearest(self.takes, TAKES)}")
        if self.origin not in ORIGINS:
            raise ConfigError(f"transform {self.name}: origin `{self.origin}`{nearest(self.origin, ORIGINS)}")

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Go to a worker by the place where it stands: its function's name is its own there, once it is decorated."""
        module, name = self.function.__module__, self.function.__qualname__
        if module != "__main__" and _within(sys.modules.get(module), name) is self:
            return _at, (module, name)
        return Transform, tuple(getattr(self, each.name) for each in fields(self))

    def __call__(self, value: Any, **parameters: Parameter) -> Any:
        """Call the function as it is."""
        return self.function(value, **parameters)

    @property
    def identity(self) -> str:
        """What is made is kept under this: the name, of yours behind its module, `my_package.cutting.tiles`.

        Two teams may call theirs alike, and of one lake neither knows the other. A name that has a dot is taken as it
        is: a function that moves to another module keeps what it made.
        """
        return identity_of(self.name, self.function)

    @property
    def key(self) -> str:
        """Identity and version in one word, for example `flip@2`."""
        return f"{self.identity}@{self.version}"

    def filled(self, given: Mapping[str, object]) -> dict[str, Parameter]:
        """Return all parameters with their values, by name.

        Raises:
            ConfigError: If one is unknown or of another type.
        """
        for name in given:
            if name not in self.parameters:
                raise ConfigError(f"transform {self.name}: no parameter `{name}`{nearest(name, self.parameters)}")
        found: dict[str, Parameter] = {}
        for name, (kind, default) in sorted(self.parameters.items()):
            value = given.get(name, default)
            if kind is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
                raise ConfigError(f"transform {self.name}: {name}: expected {kind.__name__}, found {value!r}")
            found[name] = value  # type: ignore[assignment]
        return found


def _at(module: str, name: str) -> Any:
    return _within(importlib.import_module(module), name)


def _within(module: Any, name: str) -> Any:
    for each in name.split("."):
        module = getattr(module, each, None)
    return module


@overload
def transform(function: Callable[..., Any], /) -> Transform: ...


@overload
def transform(
    *,
    name: str = "",
    version: int = 1,
    media_types: Sequence[str] = ("image/",),
    takes: Takes = "pixels",
    origin: str = "augmented",
) -> Callable[[Callable[..., Any]], Transform]: ...


def transform(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str = "",
    version: int = 1,
    media_types: Sequence[str] = ("image/",),
    takes: Takes = "pixels",
    origin: str = "augmented",
) -> Transform | Callable[[Callable[..., Any]], Transform]:
    """Make a transform of a function; see `Transform`.

    Raises:
        ConfigError: If a name, a parameter or its default cannot be one.
    """

    def made(function: Callable[..., Any]) -> Transform:
        return Transform(
            name or function.__name__, version, tuple(media_types), takes, function, origin, _parameters(function)
        )

    return made if function is None else made(function)


def _parameters(function: Callable[..., Any]) -> dict[str, tuple[type, Parameter]]:
    hints = get_type_hints(function)
    found: dict[str, tuple[type, Parameter]] = {}
    for each in list(inspect.signature(function).parameters.values())[1:]:
        kind = hints.get(each.name)
        if each.kind is not inspect.Parameter.KEYWORD_ONLY or kind not in _TYPES or type(each.default) is not kind:
            raise ConfigError(
                f"transform {function.__name__}: parameter `{each.name}`: expected a keyword argument with one of the "
                'annotations int, float, str, bool and a default of that type: `*, axis: str = "horizontal"`'
            )
        found[each.name] = kind, each.default
    return found


@dataclass(frozen=True, slots=True)
class Chain:
    """Transforms one after the other, each with its parameters; what lies between is stored nowhere."""

    steps: tuple[tuple[Transform, Mapping[str, Parameter]], ...]

    @property
    def operation(self) -> str:
        """The transforms as identity@version, joined by |."""
        return "|".join(each.key for each, _ in self.steps)

    @property
    def parameters_json(self) -> str:
        """Canonical JSON list of the parameters of each."""
        return canonical_json([dict(given) for _, given in self.steps])

    @property
    def first(self) -> Transform:
        """The transform that gets what is stored."""
        return self.steps[0][0]

    @property
    def origin(self) -> str:
        """Origin of what is made: that of the first which is not real."""
        return next((each.origin for each, _ in self.steps if each.origin != "real"), "real")

    def derivation_id(self, parent_id: str) -> str:
        """Return the id of what it makes of an entity."""
        return content_id([parent_id, self.operation, self.parameters_json])

    def made(self, value: Any) -> list[Made]:
        """Return what it makes of a value, in order.

        Raises:
            TypeError: If a transform gives what the next one does not take.
            ValueError: If it makes more than 10,000 things.
        """
        found = [Made(value, SAME if is_picture(value) else None)]
        for each, given in self.steps:
            made = (Made(other.value, composed(before.affine, other.affine)) for before in found
                    for other in _each(each.function(_checked(before.value, each), **given)))  # fmt: skip
            found = list(itertools.islice(made, MOST_MADE + 1))
            if len(found) > MOST_MADE:
                raise ValueError(f"{each.name} makes more than {MOST_MADE:,} things of one")
        return found


def chain_of(texts: Iterable[str], known: Mapping[str, Transform] | Callable[[str], Transform]) -> Chain:
    """Return the chain that texts say, each `NAME` or `NAME:PARAMETER=VALUE,PARAMETER=VALUE`.

    Raises:
        ConfigError: If a transform or parameter is unknown, or a value of the wrong type.
    """
    steps: list[tuple[Transform, Mapping[str, Parameter]]] = []
    for text in texts:
        name, _, rest = text.rpartition(":") if "=" in text.rpartition(":")[2] else (text, "", "")
        found = known(name) if callable(known) else known[name]
        if any(each.name == found.name and each is not found for each, _ in steps):
            raise ConfigError(f"transform {text}: another one of the chain is called `{found.name}`; rename one")
        given: dict[str, str] = {}
        for key, value in _assignments(text, rest):
            if key in given:
                raise ConfigError(f"transform {text}: `{key}` is stated twice")
            given[key] = value
        steps.append((found, found.filled({key: _value(found, key, value) for key, value in given.items()})))
    if not steps:
        raise ConfigError("name at least one transform")
    if len(steps) > 1 and any(each.takes == "video" for each, _ in steps):
        raise ConfigError(
            "a transform that takes a video makes references, which stand alone: derive these first, then the rest of "
            "the chain of what they made, with --where \"operation = 'frame'\""
        )
    return Chain(tuple(steps))


def _assignments(text: str, rest: str) -> Iterator[tuple[str, str]]:
    for each in rest.split(",") if rest else ():
        name, equals, value = each.partition("=")
        if not equals:
            raise ConfigError(f"transform {text}: expected NAME:PARAMETER=VALUE,PARAMETER=VALUE")
        yield name.strip(), value.strip()


def _value(found: Transform, name: str, text: str) -> object:
    kind = found.parameters[name][0] if name in found.parameters else str
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError) as error:
        raise ConfigError(f"transform {found.name}: {name}: expected {kind.__name__}, found {text!r}") from error


def _checked(value: Any, taker: Transform) -> Any:
    fits = {"pixels": is_picture(value), "sound": isinstance(value, Sound), "text": isinstance(value, str),
            "bytes": isinstance(value, bytes), "video": isinstance(value, Frames)}  # fmt: skip
    if not fits[taker.takes]:
        raise TypeError(f"{taker.name} takes {taker.takes}, found {type(value).__name__}")
    return value


def _each(found: Any) -> Iterator[Made]:
    """Yield what a function returned one by one: it may be a generator that never ends."""
    if isinstance(found, Made):
        yield found
    elif isinstance(found, _WHOLE) or hasattr(found, "dtype") or not isinstance(found, Iterable):
        if found is not None:
            yield Made(found)
    else:
        for each in found:
            yield from _each(each)


__all__ = ["Affine", "Chain", "Frames", "Made", "Reference", "Sound", "Transform", "chain_of", "transform"]
