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
        ConfigError: If there is none, or it is something else, or has the name of another one.
    """
    known: dict[str, Embedder] = {}
    for each in (DESCRIPTOR, *installed(ENTRY_POINTS, Embedder)):
        if known.setdefault(each.name, each) is not each:
            raise ConfigError(f"two embedders are called `{each.name}`; rename one, or uninstall its package")
    if ":" in name:
        found = object_at(name, Embedder)
        # Vectors are kept under the name: those of two models must not be mixed.
        if known.get(found.name, found) is not found:
            raise ConfigError(f"{name}: another embedder is called `{found.name}`; give yours a name of its own")
        return found
    if name not in known:
        raise ConfigError(f"no embedder `{name}`{nearest(name, known)}; or name one by its place: package.module:NAME")
    return known[name]
