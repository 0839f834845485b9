"""Whether a published folder is still what was published: files that were touched since are read again, no others."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from lakehouse.files import write_whole
from lakehouse.verification.entries import Stamp, stamp_of
from lakehouse.verification.places import notes_folder
from loaders.errors import CorruptionError
from loaders.publishing.damage import damages


def is_whole(root: Path, folder: Path) -> bool:
    """Return whether a version stands in `folder`, False where nothing does; notes what was read.

    Raises:
        CorruptionError: If it stands there and is damaged; the message names the file.
    """
    if not folder.exists():
        return False
    stamps = _stamps(folder)
    noted = _noted(root, folder)
    touched = {folder / name for name, stamp in stamps.items() if noted.get(name) != stamp}
    found = list(damages(folder, deep=False, touched=touched))
    if found:
        more = f" ({len(found) - 1} more files are damaged; `petrel verify --deep` names them)" if found[1:] else ""
        raise CorruptionError(f"{found[0]}{more}; remove the folder {folder} and publish it again", file=str(folder))
    if touched:
        _note(root, folder, stamps)
    return True


def note_whole(root: Path, folder: Path) -> None:
    """Note that every file of a folder was just compared with what was published."""
    _note(root, folder, _stamps(folder))


def _stamps(folder: Path) -> dict[str, Stamp]:
    stamps = {str(path.relative_to(folder)): stamp_of(path) for path in folder.glob("*/*.parquet")}
    return {name: stamp for name, stamp in stamps.items() if stamp is not None}


def _noted(root: Path, folder: Path) -> dict[str, tuple[int, ...]]:
    try:
        noted = json.loads(_path(root, folder).read_text(encoding="utf-8"))
        return {name: tuple(stamp) for name, stamp in noted.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        # As good as none: all files are read.
        return {}


def _note(root: Path, folder: Path, stamps: dict[str, Stamp]) -> None:
    path = _path(root, folder)
    # Notes save time alone; where none can be written the files are read each time.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(stamps))


def _path(root: Path, folder: Path) -> Path:
    return notes_folder(root) / f"published-{folder.name}.notes"
