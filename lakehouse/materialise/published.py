"""Whether a published folder is still what was published: files that were touched since are read again, no others."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from lakehouse.files import write_whole
from lakehouse.home import Home, storage_at
from lakehouse.verification.places import notes_folder
from loaders.errors import CorruptionError
from loaders.format.manifest import DATASET
from loaders.publishing.damage import damages
from loaders.publishing.drafts import Stamp, stamp_told
from loaders.stores.storage import Storage, exists_in


def published_files(home: Home, folder: str) -> Storage:
    """Return the files of a version, from its folder's name among the files of the lake."""
    return storage_at(f"{home.address}/{folder}", home.stores)


def is_whole(home: Home, folder: str) -> bool:
    """Return whether a version stands in `folder`, False where nothing does; notes what was read.

    Raises:
        CorruptionError: If it stands there and is damaged; the message names the file.
    """
    files = published_files(home, folder)
    if not _stands(files):
        return False
    stamps, noted = _stamps(files), _noted(home, folder)
    touched = {name for name, stamp in stamps.items() if noted.get(name) != stamp}
    found = list(damages(files, deep=False, touched=touched))
    if found:
        more = f" ({len(found) - 1} more files are damaged; `petrel verify --deep` names them)" if found[1:] else ""
        raise CorruptionError(
            f"{found[0]}{more}; remove the folder {files.root} and publish it again", file=files.root
        )
    if touched:
        _note(home, folder, stamps)
    return True


def note_whole(home: Home, folder: str) -> None:
    """Note that every file of a folder was just compared with what was published."""
    _note(home, folder, _stamps(published_files(home, folder)))


def _stands(files: Storage) -> bool:
    # In a bucket files without `_dataset.json` are those of a run that was killed before it had published them.
    return Path(files.root).exists() if files.is_local else exists_in(files, DATASET)


def _stamps(files: Storage) -> dict[str, Stamp]:
    stamps = {}
    for told in files.list():
        if told.name.count("/") == 1 and told.name.endswith(".parquet"):
            with contextlib.suppress(OSError):  # gone since
                stamps[told.name] = stamp_told(files, told)
    return stamps


def _noted(home: Home, folder: str) -> Mapping[str, Stamp]:
    try:
        noted = json.loads(_path(home, folder).read_text(encoding="utf-8"))
        return noted if isinstance(noted, dict) else {}
    except (OSError, ValueError):
        # As good as none: all files are read.
        return {}


def _note(home: Home, folder: str, stamps: Mapping[str, Stamp]) -> None:
    path = _path(home, folder)
    # Notes save time alone; where none can be written the files are read each time.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(stamps))


def _path(home: Home, folder: str) -> Path:
    return notes_folder(home.folder) / f"published-{folder.rsplit('/', 1)[-1]}.notes"
