"""Which transforms there are: built-in ones, those of installed packages, and one that is named by its place.

A package adds one with an entry point of group `petrel.transforms` that names a `Transform`:

    [project.entry-points."petrel.transforms"]
    denoise = "my_package.cleaning:denoise"
"""

from __future__ import annotations

from lakehouse.deriving.builtin import BUILT_IN
from lakehouse.deriving.transform import Transform
from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.plugins import installed, object_at

ENTRY_POINTS = "petrel.transforms"


def transforms() -> dict[str, Transform]:
    """Return the transforms that are there, by name.

    Raises:
        ConfigError: If an entry point cannot be loaded, or two have one name.
    """
    found: dict[str, Transform] = {}
    for each in (*BUILT_IN, *installed(ENTRY_POINTS, Transform)):
        if each.name in found:
            raise ConfigError(f"two transforms are called `{each.name}`; rename one, or uninstall its package")
        found[each.name] = each
    return found


def transform_named(name: str) -> Transform:
    """Return a transform by its name, or by `package.module:NAME`, which is imported.

    Raises:
        ConfigError: If there is none, or it is something else, or two that are installed have one name.
    """
    if ":" in name:
        return object_at(name, Transform)
    known = transforms()
    if name not in known:
        raise ConfigError(f"no transform `{name}`{nearest(name, known)}; or name one by its place: package.module:NAME")
    return known[name]
