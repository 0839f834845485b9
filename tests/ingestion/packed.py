"""Archives for tests, good and bad, made in memory."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable

MADE_AT = 1_700_000_000

Entry = tuple[str, bytes] | tarfile.TarInfo


def tar(entries: Iterable[Entry], *, mode: str = "w") -> bytes:
    """A tar of files, and of headers without bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
                continue
            header = tarfile.TarInfo(entry[0])
            header.size, header.mtime = len(entry[1]), MADE_AT
            archive.addfile(header, io.BytesIO(entry[1]))
    return buffer.getvalue()


def header(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A header of what is no regular file."""
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, target
    return found


def zipped(entries: Iterable[tuple[str | zipfile.ZipInfo, bytes]], *, kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()
