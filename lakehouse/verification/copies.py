"""The copy of a table in a bucket: its log and its data files, fetched once and compared with what the log says.

Both are immutable: a version that is here is never asked for again. `refresh` brings the entries that are new, and
`complete` the data files of a version, each compared with the SHA-256 of its entry. In a folder there is nothing to do.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lakehouse.files import write_whole
from lakehouse.verification.checkpoints import CHECKPOINT, HINT
from lakehouse.verification.entries import ENTRY_NAME, FileFact, erasing, versions_in
from lakehouse.verification.places import Place

AT_ONCE = 8
"""Small files that are fetched beside one another."""
LARGE_AT_ONCE = 3
CHUNK_BYTES = 16 << 20
"""Of each large file that is fetched, so much is in memory."""


def refresh(place: Place) -> None:
    """Fetch the entries of the log that this machine lacks; asks for one file if there are none.

    Raises:
        StorageError: If the bucket refuses, or does not answer.
    """
    if place.home.is_local:
        return
    held = versions_in(place.log)
    last = f"{place.log_name}/{held[-1] + 1:020}.json" if held else ""
    files = place.home.files
    if held:
        try:
            entry = files.read_whole(last)
        except FileNotFoundError:
            return
        write_whole(place.entry(held[-1] + 1), entry)
        _forget_erased(place, [held[-1] + 1])
    names = [each.name.rpartition("/")[2] for each in files.list(place.log_name, after=last)]
    entries = [name for name in names if ENTRY_NAME.fullmatch(name)]
    # The newest checkpoint saves readers of a long log from all that is before it; the hint says which that is.
    newest = [] if held else _newest_checkpoint(names)
    place.log.mkdir(parents=True, exist_ok=True)
    _fetch(place, [*newest, *entries, *([HINT] if newest else [])])
    _forget_erased(place, [int(name.partition(".")[0]) for name in entries])


def complete(place: Place, facts: Iterable[FileFact]) -> Mapping[str, str]:
    """Fetch data files of which this machine has none; return what is wrong with those that are not kept, by name.

    Args:
        place: Where the table is.
        facts: The files that are needed, as the log describes them.

    Raises:
        StorageError: If the bucket refuses, or does not answer.
    """
    if place.home.is_local:
        return {}
    lacking = [fact for fact in facts if not (place.folder / fact.name).exists()]
    with ThreadPoolExecutor(LARGE_AT_ONCE) as threads:
        found = threads.map(lambda fact: (fact.name, _fetch_large(place, fact)), lacking)
        return {name: difference for name, difference in found if difference}


def publish_log(place: Place) -> None:
    """Put every entry of a table that was just made in the copy into the bucket, where there is none yet."""
    if place.home.is_local:
        return
    for version in versions_in(place.log):
        place.home.files.put_if_absent(f"{place.log_name}/{version:020}.json", place.entry(version).read_bytes())


def publish_checkpoint(place: Place, version: int) -> None:
    """Put a checkpoint that was just written in the copy into the bucket, and then the hint that names it."""
    if place.home.is_local:
        return
    for name in (f"{version:020}.checkpoint.parquet", HINT):
        place.home.files.put(f"{place.log_name}/{name}", place.log / name)


def where(place: Place, path: Path) -> str:
    """Return a file of a table as people find it: in its folder, or in the bucket."""
    return str(path) if place.home.is_local else f"{place.home}/{path.relative_to(place.home.folder)}"


def _forget_erased(place: Place, versions: Iterable[int]) -> None:
    """Remove what `erase` took rows from: a copy must not keep what the lake has forgotten."""
    for version in versions:
        for name in erasing(place, version):
            (place.folder / name).unlink(missing_ok=True)


def _newest_checkpoint(names: Iterable[str]) -> list[str]:
    found = [(match[1], name) for name in names if (match := CHECKPOINT.fullmatch(name))]
    newest = max((version for version, _ in found), default="")
    return [name for version, name in found if version == newest]


def _fetch(place: Place, names: Iterable[str]) -> None:
    def fetch(name: str) -> None:
        try:
            write_whole(place.log / name, place.home.files.read_whole(f"{place.log_name}/{name}"))
        except FileNotFoundError:
            if ENTRY_NAME.fullmatch(name):
                raise  # a checkpoint or hint may give way to a newer one, an entry never

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in threads.map(fetch, names):
            pass


def _fetch_large(place: Place, fact: FileFact) -> str:
    files, name = place.home.files, f"{place.folder_name}/{fact.name}"
    try:
        size = files.size(name)
    except FileNotFoundError:
        return "no file"
    if size != fact.size:
        return f"{size} bytes"
    temporary = place.folder / f"{fact.name}#{uuid.uuid4().int}"
    digest = hashlib.sha256()
    try:
        with temporary.open("wb") as file:
            for start in range(0, size, CHUNK_BYTES):
                part = files.read(name, start, min(CHUNK_BYTES, size - start))
                digest.update(part)
                file.write(part)
        if fact.sha256 is not None and digest.hexdigest() != fact.sha256:
            return f"SHA-256 {digest.hexdigest()}"
        os.replace(temporary, place.folder / fact.name)
        return ""
    finally:
        temporary.unlink(missing_ok=True)
