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
from lakehouse.verification.entries import ENTRY_NAME, FileFact, erasing, is_entry, versions_in
from lakehouse.verification.places import Place

AT_ONCE = 8
"""Small files that are fetched beside one another."""
LARGE_AT_ONCE = 3
TRIES = 3
"""How often what does not fit is fetched: what was damaged on the way is whole the next time."""
CHUNK_BYTES = 16 << 20
"""Of each large file that is fetched, so much is in memory."""


def refresh(place: Place) -> None:
    """Fetch the entries of the log that this machine lacks; one request if there are none.

    Raises:
        StorageError: If the bucket refuses, or does not answer.
    """
    if place.home.is_local:
        return
    held = versions_in(place.log)
    if held:
        _follow(place, held[-1])
        return
    names = [each.name.rpartition("/")[2] for each in place.home.files.list(place.log_name)]
    entries = [name for name in names if ENTRY_NAME.fullmatch(name)]
    # The newest checkpoint saves readers of a long log from all that is before it; the hint says which that is.
    newest = _newest_checkpoint(names)
    place.log.mkdir(parents=True, exist_ok=True)
    _fetch(place, [*newest, *entries, *([HINT] if newest else [])])
    if entries:
        _follow(place, int(entries[-1].partition(".")[0]))  # a listing may be older than what is there


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
        found = threads.map(lambda fact: (fact.name, _fetched(place, fact)), lacking)
        return {name: difference for name, difference in found if difference}


def look_at(place: Place, facts: Iterable[FileFact]) -> Mapping[str, str]:
    """Return what is wrong with data files that stay in the bucket, by name: they are listed, and not read."""
    wanted = [fact for fact in facts if not (place.folder / fact.name).exists()]
    if not wanted:
        return {}
    sizes = {each.name: each.size for each in place.home.files.list(place.folder_name)}
    found = {fact.name: sizes.get(f"{place.folder_name}/{fact.name}") for fact in wanted}
    return {
        fact.name: "no file" if (size := found[fact.name]) is None else f"{size} bytes"
        for fact in wanted if found[fact.name] != fact.size
    }  # fmt: skip


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


def _forget_erased(place: Place, version: int) -> None:
    """Remove what `erase` took rows from: a copy must not keep what the lake has forgotten."""
    for name in erasing(place, version):
        (place.folder / name).unlink(missing_ok=True)


def _newest_checkpoint(names: Iterable[str]) -> list[str]:
    found = [(match[1], name) for name in names if (match := CHECKPOINT.fullmatch(name))]
    newest = max((version for version, _ in found), default="")
    return [name for version, name in found if version == newest]


def _follow(place: Place, version: int) -> None:
    """Fetch the entries after a version: ask for one, then for twice as many, until one is not there."""
    many = 1
    while True:
        asked = [f"{number:020}.json" for number in range(version + 1, version + 1 + many)]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for name, entry in zip(asked, threads.map(lambda each: _there(place, each), asked), strict=True):
                if entry is None:
                    return
                _keep(place, name, entry)
                version += 1
        many = min(2 * many, AT_ONCE)


def _fetch(place: Place, names: Iterable[str]) -> None:
    # Written in their order, however they come: a process that was killed, or another one that reads this copy, must
    # never take the last of them for the newest where one before it is missing.
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for name, content in threads.map(lambda each: (each, _there(place, each)), names):
            if content is not None:
                _keep(place, name, content)
            elif ENTRY_NAME.fullmatch(name):
                raise FileNotFoundError(f"{place.home}/{place.log_name}/{name}: it was there a moment ago")
            # a checkpoint or hint may give way to a newer one, an entry never


def _keep(place: Place, name: str, content: bytes) -> None:
    write_whole(place.log / name, content)
    if (found := ENTRY_NAME.fullmatch(name)) and is_entry(content):
        _forget_erased(place, int(found[1]))


def _there(place: Place, name: str) -> bytes | None:
    """Return a file of the log, None if there is none. What is no entry is asked for again: a proxy may have answered
    in the place of the bucket; if it is so there, those who read it tell.
    """
    content = b""
    for _ in range(TRIES):
        try:
            content = place.home.files.read_whole(f"{place.log_name}/{name}")
        except FileNotFoundError:
            return None
        if not ENTRY_NAME.fullmatch(name) or is_entry(content):
            break
    return content


def _fetched(place: Place, fact: FileFact) -> str:
    difference = ""
    for _ in range(TRIES):
        if not (difference := _fetch_large(place, fact)):
            break
    return difference


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
