"""Recipe files: one may extend another, and every key remembers the file and line it was written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakehouse.errors import RecipeError
from lakehouse.toml_places import Place, places_of
from lakehouse.typed import parse_toml, toml_text

EXTENDS = "extends"
UNSET = "unset"
FILE_KEYS = {
    EXTENDS: "Another recipe file, by its path from this one: this file overrides its keys, table by table. "
    "A list or a value replaces the one there as a whole.",
    UNSET: 'Keys of the recipe that this one extends which are to be as if nobody had stated them: ["strata.max"].',
}
"""Keys that are of the file, not of the recipe: they are gone once it is read."""
WHOLE = ("split.ratios", "strata.bins", "select.params")
"""Tables that are one value: half of the ratios of one file and half of another's would be nobody's."""

KeyPath = tuple[str, ...]


@dataclass(slots=True)
class RecipeText:
    """What the files of a recipe state.

    Attributes:
        path: The file that was asked for.
        record: Its keys and those of the files it extends, merged.
        places: Key, as its parts -> file and place of the value that counts.
    """

    path: Path
    record: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, tuple[Path, Place]] = field(default_factory=dict)

    def where(self, key: KeyPath) -> str:
        """Return `file:line:column` of a key, or of the nearest table around it, else the file."""
        found = self._place(key)
        return str(self.path) if found is None else f"{found[0]}:{found[1].line}:{found[1].column}"

    def order(self, key: KeyPath) -> tuple[bool, str, Place]:
        """Return what sorts keys as people read them: this file from above, then those it extends."""
        file, place = self._place(key) or (self.path, Place(0, 0))
        return (file != self.path, str(file), place)

    def _place(self, key: KeyPath) -> tuple[Path, Place] | None:
        return next((self.places[key[:end]] for end in range(len(key), 0, -1) if key[:end] in self.places), None)


def read_recipe_text(path: str | Path) -> RecipeText:
    """Read a recipe file and those it extends.

    Raises:
        ConfigError: If a file is missing or not TOML.
        RecipeError: If files extend one another in a circle, or `unset` names what is not there.
    """
    return _read(Path(path), ())


def _read(path: Path, above: Sequence[Path]) -> RecipeText:
    if any(_same(path, other) for other in above):
        chain = " extends ".join(map(str, (*above, path)))
        raise RecipeError(f"{path}: {chain}: a recipe cannot extend itself; remove one `extends`")
    if above and path.exists() and not path.is_file():
        # Who writes a recipe does not choose what this process waits for.
        raise RecipeError(f"{above[-1]}: {EXTENDS}: {path} is not a file")
    text = toml_text(path)
    own = parse_toml(text, path)
    places = {key: (path, place) for key, place in places_of(text).items()}
    extends, unset = own.pop(EXTENDS, None), own.pop(UNSET, None)
    if extends is None:
        if unset is not None:
            raise RecipeError(f"{path}: {UNSET} belongs to {EXTENDS}; add it")
        return RecipeText(path, own, places)
    if not isinstance(extends, str) or not extends:
        raise RecipeError(f"{path}: {EXTENDS}: expected the path of a recipe file, found {extends!r}")
    found = _read(path.parent / extends, (*above, path))
    for key in _keys(unset, path):
        _remove(found, key, path)
    _merge(found, own, places, ())
    found.path = path
    return found


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _keys(unset: object, path: Path) -> list[KeyPath]:
    if unset is None:
        return []
    if not isinstance(unset, list) or not all(isinstance(key, str) for key in unset):
        raise RecipeError(f'{path}: {UNSET}: expected a list of keys, like ["strata.max"], found {unset!r}')
    return [tuple(key.split(".")) for key in unset]


def _remove(text: RecipeText, key: KeyPath, path: Path) -> None:
    table: Any = text.record
    for part in key[:-1]:
        table = table.get(part) if isinstance(table, Mapping) else None
    if not isinstance(table, dict) or key[-1] not in table:
        raise RecipeError(f"{path}: {UNSET}: {'.'.join(key)} is not stated in what this recipe extends; remove it")
    del table[key[-1]]
    _forget(text, key)


def _forget(text: RecipeText, key: KeyPath) -> None:
    text.places = {other: place for other, place in text.places.items() if other[: len(key)] != key}


def _merge(
    text: RecipeText, own: Mapping[str, Any], places: Mapping[KeyPath, tuple[Path, Place]], table: KeyPath
) -> None:
    target: Any = text.record
    for part in table:
        target = target[part]
    for name, value in own.items():
        key = (*table, name)
        if isinstance(value, dict) and isinstance(target.get(name), dict) and ".".join(key) not in WHOLE:
            _merge(text, value, places, key)
            continue
        target[name] = value
        _forget(text, key)
        text.places |= {other: place for other, place in places.items() if other[: len(key)] == key}
