"""A real PostgreSQL server for tests, on a socket of its own; skipped by name where none is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgres() -> Iterator[str]:
    """Start a server; gives the URL of its database. Nothing listens on a port, and all is gone afterwards."""
    found = shutil.which("postgres")
    if found is None:
        pytest.skip("PostgreSQL is not installed: no `postgres` on the path")
    programs = Path(found).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="petrel-pg-"))
    # The server runs as anybody but root.
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "nobody", "nogroup")

    def run(*command: str) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder, **user)  # type: ignore[call-overload]

    data = str(folder / "data")
    try:
        run(str(programs / "initdb"), "-D", data, "-U", "petrel", "-A", "trust", "--no-sync", "-E", "UTF8",
            "--no-instructions")  # fmt: skip
        settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c max_connections=8"
        run(str(programs / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log"), "-o", settings, "start")
        try:
            yield f"postgresql://petrel@/postgres?host={folder}"
        finally:
            run(str(programs / "pg_ctl"), "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
