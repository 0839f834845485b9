"""What this machine has and lacks for Petrel: each check a fact and, where it fails, the command that helps."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lakehouse.engines.pool import usable_cores
from lakehouse.errors import EnvironmentProblemError
from lakehouse.home import Home
from lakehouse.spark.jars import FETCH_COMMAND, missing_jars
from lakehouse.spark.java import find_java
from lakehouse.tables.leases import conditional_problem
from loaders.errors import LoaderError

DISTRIBUTION = "petrel-lakehouse"
LOW_DISK_BYTES = 5 << 30
"""Less free space than this is worth a warning: 5 GiB."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        verdict: ok; warn (something optional is missing); fail (the embedded path does not work).
        found: What was found, and what to do about it.
    """

    name: str
    verdict: str
    found: str


def examine(home: Home) -> list[Check]:
    """Look at everything a lake needs. Changes nothing but one temporary file where the lake is."""
    storage = _storage(home.folder) if home.is_local else _bucket(home)
    return [_python(), *_packages(), _java(), _jars(), *storage, _cores()]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok" if sys.version_info >= (3, 11) else "fail", f"{version} ({sys.executable})")


def _packages() -> Iterator[Check]:
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield Check("petrel", "warn", "runs from source files, not installed; versions not compared; run: make setup")
        return
    for text in requirements:
        requirement, _, marker = text.partition(";")
        name = requirement.split("[")[0]
        for sign in "=<>!~ ":
            name = name.split(sign)[0]
        extra = marker.partition("extra ==")[2].strip(" \"'")
        if extra not in ("", "spark", "train", "s3"):
            continue
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            lacks = f"not installed; pip install '{DISTRIBUTION}{f'[{extra}]' if extra else ''}'"
            yield Check(name, "warn" if extra else "fail", lacks)
            continue
        pinned = requirement.removeprefix(name).strip()
        good = _satisfies(found, pinned)
        yield Check(name, "ok" if good else "warn", found if good else f"{found}, but {pinned} is what was tested")


def _satisfies(found: str, specifier: str) -> bool:
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:
        # packaging comes with the developers' tools only; without it an exact pin is all we can compare.
        return not specifier.startswith("==") or specifier == f"=={found}"
    return SpecifierSet(specifier.replace(" ", "")).contains(found, prereleases=True)


def _java() -> Check:
    try:
        java = find_java()
    except EnvironmentProblemError as problem:
        return Check("java", "warn", f"the spark engine will not start: {problem}")
    return Check("java", "ok", f"{java.version} ({java.executable})")


def _jars() -> Check:
    missing = missing_jars()
    if missing:
        return Check("jars", "warn", f"{', '.join(missing)} not in the cache; run: {FETCH_COMMAND}")
    return Check("jars", "ok", "Delta's archives are in the cache and have the locked hashes")


def _storage(root: Path) -> Iterator[Check]:
    folder = root
    while not folder.exists():
        folder = folder.parent
    where = f"{root}" if folder == root else f"{root} (does not exist yet; looked at {folder})"
    probe = folder / f".petrel-doctor-{uuid.uuid4().hex}"
    try:
        descriptor = os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, b"petrel")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(probe, probe.with_suffix(".renamed"))
        probe.with_suffix(".renamed").unlink()
        yield Check("lake folder", "ok", f"{where}: can be written")
    except OSError as error:
        with contextlib.suppress(OSError):
            probe.unlink()
        yield Check("lake folder", "fail", f"{where}: {error.strerror}; give a folder you may write with --lake")
    free = shutil.disk_usage(folder).free
    verdict = "ok" if free >= LOW_DISK_BYTES else "warn"
    yield Check("free disk", verdict, f"{free / 2**30:.1f} GiB at {folder}")


def _bucket(home: Home) -> Iterator[Check]:
    try:
        problem = conditional_problem(home.files)
    except LoaderError as error:
        yield Check("lake bucket", "fail", str(error))
        return
    if problem and not home.store.single_writer:
        mend = "use a store that does, or set single_writer = true in its [stores] table"
        yield Check("lake bucket", "fail", f"{home}: knows no conditional writes ({problem}); {mend}")
    else:
        found = "nobody else may write to it (single_writer)" if problem else "conditional writes hold"
        yield Check("lake bucket", "ok", f"{home}: can be written; {found}")


def _cores() -> Check:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Check("machine", "ok", f"{usable_cores()} cores, {memory / 2**30:.0f} GiB memory")
