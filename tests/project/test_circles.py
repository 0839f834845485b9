"""No file of the packages imports itself by way of others: a circular import is a missing file."""

from __future__ import annotations

import grimp

PACKAGES = ("schemas", "loaders", "lakehouse", "jobs", "examples")


def test_no_file_imports_itself_by_way_of_others():
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    below = {name: set(graph.find_modules_directly_imported_by(name)) for name in graph.modules}
    # Take away what imports nothing that is left: what remains then is circles, and what stands on them.
    while ground := {name for name, imports in below.items() if not imports}:
        below = {name: imports - ground for name, imports in below.items() if name not in ground}
    assert below == {}
