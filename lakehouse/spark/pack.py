"""Petrel's own code as one zip file, for `--py-files`: what executors on other machines import."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from lakehouse.cache import cache_root, mark_used, remove_unused

PACKAGES = ("schemas", "lakehouse", "loaders", "jobs")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest time a zip file knows: equal code gives an equal file."""


def pack_code() -> Path:
    """Return the zip file of the code that is running, making it if the cache does not hold it.

    Its name carries the hash of the content: a running job keeps its file while the code is edited.
    """
    files = [(name, path.read_bytes()) for name, path in _files()]
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(f"{name}\n{len(content)}\n".encode())
        digest.update(content)
    folder = cache_root() / "code"
    target = folder / f"petrel-{digest.hexdigest()[:16]}.zip"
    if target.is_file():
        mark_used(target)
        return target
    folder.mkdir(parents=True, exist_ok=True)
    remove_unused(folder, "petrel-*.zip")
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".pack-")
    with os.fdopen(descriptor, "wb") as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
    Path(temporary).chmod(0o644)
    Path(temporary).rename(target)
    return target


def _files() -> Iterator[tuple[str, Path]]:
    """Yield name in the zip and path of every file of ours, in a fixed order."""
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(f"{package}: a package of Petrel is missing", name=package)
        root = Path(next(iter(spec.submodule_search_locations)))
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{package}/{path.relative_to(root).as_posix()}", path
