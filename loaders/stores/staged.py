"""A file whose name is not known before its last byte: it is written aside, and named with others in one go."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


class Staged:
    """Bytes on a local disk on their way to a storage."""

    def __init__(self, folder: str | Path) -> None:
        """Begin an empty file in a folder.

        Raises:
            OSError: If the folder cannot be written to.
        """
        self.place = f"{folder}/{uuid.uuid4().hex}.staged"
        self.descriptor = os.open(self.place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    @property
    def path(self) -> Path:
        """Where it lies; its `place` as text, which costs less for many small files."""
        return Path(self.place)

    def write(self, chunk: bytes) -> None:
        """Add some bytes; raises OSError if the disk does not take them."""
        view = memoryview(chunk)
        while view:
            view = view[os.write(self.descriptor, view) :]

    def close(self) -> None:
        """Give the handle back; the file stays."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def discard(self) -> None:
        """Delete the file, unless it has its name."""
        self.close()
        self.path.unlink(missing_ok=True)
