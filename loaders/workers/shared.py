"""Memory that processes share without a name: nothing can stay behind, whoever is killed."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import tempfile
import weakref
from typing import TYPE_CHECKING

import numpy as np

from loaders.axes import Octets
from loaders.errors import FormatError

if TYPE_CHECKING:
    pass

_MADV_POPULATE_WRITE = 23
"""Linux 5.14: fill the page table in one call; the mmap module has no name for it."""


class Shared:
    """Bytes of anonymous shared memory.

    It has no name in any file system: a child gets it as an open descriptor, and the kernel frees it with the last
    process that has it open or mapped. On Linux it is a memfd, which counts against memory (and the memory limit of
    a container) but not against the size of `/dev/shm`, so the 64 MB there of a container are no limit. Memory is
    taken when a page is first touched, not when this is made.

    Attributes:
        array: The bytes, uint8, shape (size,), writable; zeros at first.
        size: How many.
        fd: The descriptor to hand to a child, with `size`.
    """

    def __init__(self, size: int, *, populate: bool = False) -> None:
        """Make `size` bytes.

        Args:
            size: Bytes, at least 1.
            populate: Touch every page now, instead of page faults in the first batches.

        Raises:
            FormatError: If `size` is not positive.
            OSError: If the system refuses.
        """
        if size < 1:
            raise FormatError(f"shared memory holds at least one byte, found {size}")
        self.size = size
        self.fd = anonymous_file(size)
        self._close_fd = weakref.finalize(self, os.close, self.fd)
        memory = _mapped(self.fd, size)
        self.array = np.frombuffer(memory, np.uint8)
        if populate:
            _populate(memory, self.array)

    def close(self) -> None:
        """Give up this process's hold; arrays over the memory stay valid, and the last of them frees it."""
        self.array = np.empty(0, np.uint8)
        self._close_fd()


def attach(fd: int, size: int) -> Octets:
    """Map the memory behind a descriptor: uint8, shape (size,); it is unmapped with the last array over it."""
    return np.frombuffer(_mapped(fd, size), np.uint8)


def anonymous_file(size: int) -> int:
    """Return a descriptor of a file of zeros that has no name, not inherited unless it is passed on."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("petrel", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        fd, path = tempfile.mkstemp(prefix="petrel-")
        os.unlink(path)
    try:
        os.ftruncate(fd, size)
        if hasattr(os, "memfd_create"):  # nobody can cut it: reading beyond a cut is a SIGBUS
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _mapped(fd: int, size: int) -> mmap.mmap:
    memory = mmap.mmap(fd, size)  # MAP_SHARED, readable and writable
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without huge pages for shared memory
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _populate(memory: mmap.mmap, array: Octets) -> None:
    try:
        memory.madvise(_MADV_POPULATE_WRITE)
    except OSError:  # an older kernel, or another system
        array[:: mmap.PAGESIZE] = 0
