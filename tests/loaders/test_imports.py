"""What a training machine needs: neither Spark nor Java nor a query engine, and torch only when asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import loaders

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "pyspark", "py4j", "duckdb", "deltalake", "lakehouse", "pandas")


def loaded_after(code: str) -> set[str]:
    """Return the heavy packages that a new process has loaded after `code`."""
    code += f"\nimport sys; print(*[name for name in {(*HEAVY, 'pyarrow', 'numpy', 'PIL')} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_loaders_loads_nothing_else():
    assert loaded_after("import loaders") == set()


def test_reading_and_writing_load_no_engine():
    found = loaded_after("from loaders import *; import loaders.testing")
    assert found & set(HEAVY) == set()


def test_every_public_name_exists_and_unknown_ones_do_not():
    assert all(hasattr(loaders, name) for name in loaders.__all__)
    assert set(loaders._MODULE_OF) == set(loaders.__all__)
    assert not hasattr(loaders, "nothing")
    assert callable(loaders.verify)
    assert callable(loaders.publish)
