"""Which embedders there are: the built-in descriptor, those of installed packages, and one that is named by its place.

A package adds one with an entry point of group `petrel.embedders` that names an `Embedder`:

    [project.entry-points."petrel.embedders"]
    clip = "my_package.clip:EMBEDDER"
"""

from __future__ import annotations

from lakehouse.embedding.descriptor import DESCRIPTOR
from lakehouse.embedding.embedder import Embedder
from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.plugins import installed, object_at

ENTRY_POINTS = "petrel.embedders"


def embedder_named(name: str) -> Embedder:
    """Return an embedder by its name, or by `package.module:NAME`, which is imported.

    Raises:
        ConfigError: If there is none, or it is something else, or two that are installed have one name.
    """
    if ":" in name:
        return object_at(name, Embedder)
    known: dict[str, Embedder] = {}
    for each in (DESCRIPTOR, *installed(ENTRY_POINTS, Embedder)):
        if known.setdefault(each.name, each) is not each:
            raise ConfigError(f"two embedders are called `{each.name}`; rename one, or uninstall its package")
    if name not in known:
        raise ConfigError(f"no embedder `{name}`{nearest(name, known)}; or name one by its place: package.module:NAME")
    return known[name]
