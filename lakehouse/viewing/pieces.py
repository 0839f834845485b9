"""Parts of stored files. Nothing compares them with a hash, so of the lake's own files no link is followed."""

from __future__ import annotations

import os
import stat

from lakehouse.errors import IngestError
from lakehouse.home import Home
from lakehouse.objects import OBJECTS, placed, read_range

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


def piece_of(home: Home, uri: str, start: int, length: int) -> bytes:
    """Return exactly `length` bytes of an object or linked file from `start` on.

    A link in place of an object, or of its folder, would lead to any file of this machine: whole reads find that the
    bytes are other ones, parts do not. `objects` itself may be a link to another disk.

    Raises:
        IngestError: If they are not there, or cannot be read, or a link is where the object should be.
    """
    if "://" in uri or not home.is_local:
        return read_range(home, uri, start, length)
    _, name = placed(home, uri)  # raises for what is no object
    _, folder, file = name.split("/")
    try:
        top = os.open(os.path.join(home.shared.address, OBJECTS), os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            within = os.open(folder, _READ | os.O_DIRECTORY, dir_fd=top)
        finally:
            os.close(top)
        try:
            opened = os.open(file, _READ | os.O_NONBLOCK, dir_fd=within)
        finally:
            os.close(within)
        try:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise IngestError(f"{uri}: is no file; `petrel verify` says more")
            data = os.pread(opened, length, start)
        finally:
            os.close(opened)
    except OSError as error:
        raise IngestError(
            f"{uri}: parts of it cannot be read ({error.strerror}); it has to be a file of the lake, not a link"
        ) from error
    if len(data) < length:
        raise IngestError(f"{uri}: ends at byte {start + len(data):,}, expected {start + length:,} or more")
    return data
