"""Where things lie: the repository, the cache of the benchmark, the pictures that photos are made from."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def cache_folder() -> Path:
    """Return the folder of environments and data: `PETREL_BENCH`, else `.bench` in the repository."""
    return Path(os.environ.get("PETREL_BENCH") or ROOT / ".bench").resolve()


def picture_folder() -> Path:
    """Return where the BCCD pictures may lie, as for the tests: `PETREL_TEST_DATA`, else beside the repository."""
    return Path(os.environ.get("PETREL_TEST_DATA") or ROOT.parent / "shared" / "data") / "bccd" / "JPEGImages"
