"""Starting fast and staying small: what libraries would take by themselves and a program of ours does not need."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8

class _NoPandas:
    def find_spec(self, name: str, path: object, target: object = None) -> None:
        """Say that there is none."""
        if name == "pandas":
            raise ModuleNotFoundError(name)


def arrow_without_pandas() -> None:
    """Keep pyarrow from importing pandas at its first conversion: 0.35 s and 60 MB, of a process that has no frames.

    For a program of ours alone, before anything else: in this process `to_pandas` of pyarrow does not work afterwards.
    `import pandas` does.
    """
    hidden = _NoPandas()
    sys.meta_path.insert(0, hidden)
    try:
        import pyarrow as pa

        pa.array([0])
    finally:
        sys.meta_path.remove(hidden)


def share_arenas() -> None:
    """Let all threads of this process allocate in two arenas: each of forty would keep what it once needed.

    glibc alone has them; elsewhere nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and sys.platform == "linux":
        mallopt(_M_ARENA_MAX, 2)
