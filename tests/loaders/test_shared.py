"""Shared memory: seen by all, named nowhere, freed with the last one that holds it."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loaders import FormatError
from loaders.workers.shared import Shared, attach
from tests.leftovers import descriptors

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def mappings():
    """Return how many pieces of our shared memory this process has mapped."""
    return Path("/proc/self/maps").read_text().count("memfd:petrel")


def test_all_who_hold_the_descriptor_see_the_same_bytes():
    memory = Shared(5000)
    assert (memory.array.dtype, memory.array.shape, memory.array.any()) == (np.uint8, (5000,), False)
    other = attach(memory.fd, memory.size)
    memory.array[4999] = 7
    other[0] = 9
    assert (other[4999], memory.array[0]) == (7, 9)
    memory.close()


@linux
def test_arrays_outlive_close_and_the_last_one_frees_the_memory():
    files, maps = descriptors(), mappings()
    memory = Shared(1 << 20)
    part = memory.array[10:20]
    part[:] = 3
    memory.close()
    memory.close()
    assert part.sum() == 30
    assert mappings() == maps + 1
    del part
    assert mappings() == maps
    assert descriptors() - files == set()
    Shared(10)  # forgotten without close
    assert (descriptors() - files, mappings()) == (set(), maps)


def test_populate_takes_the_memory_at_once():
    lazy, ready = Shared(1 << 20), Shared(1 << 20, populate=True)
    blocks = [os.fstat(memory.fd).st_blocks * 512 for memory in (lazy, ready)]
    assert blocks[0] < 1 << 20 <= blocks[1]
    assert not ready.array.any()


@pytest.mark.parametrize("is_old", [False, True], ids=["now", "without the system's help"])
def test_populate_works_on_kernels_that_cannot_do_it_in_one_call(monkeypatch, is_old):
    if is_old:
        monkeypatch.setattr("loaders.workers.shared._MADV_POPULATE_WRITE", 9999)
    memory = Shared(10 * mmap.PAGESIZE + 1, populate=True)
    assert os.fstat(memory.fd).st_blocks * 512 >= 11 * mmap.PAGESIZE


def test_other_systems_use_a_file_without_a_name(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    memory = Shared(100)
    memory.array[99] = 1
    assert attach(memory.fd, 100)[99] == 1
    assert list(tmp_path.iterdir()) == []


@linux
def test_nobody_can_cut_it_under_the_feet_of_the_others():
    memory = Shared(5000)
    with pytest.raises(PermissionError):
        os.ftruncate(memory.fd, 0)


@linux
def test_the_size_of_dev_shm_is_no_limit_and_a_kill_leaves_nothing_there():
    before = sorted(os.listdir("/dev/shm"))
    limit = os.statvfs("/dev/shm")
    size = limit.f_blocks * limit.f_frsize + (1 << 30)
    code = (
        f"from loaders.workers.shared import Shared; import os; memory = Shared({size}); memory.array[-1] = 1; "
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], timeout=20).returncode == -9
    assert sorted(os.listdir("/dev/shm")) == before


@pytest.mark.parametrize("size", [0, -1])
def test_no_bytes_are_refused(size):
    with pytest.raises(FormatError, match="at least one byte"):
        Shared(size)
