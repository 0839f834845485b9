"""The files of an opened table; without an engine, for commands that read a log and start none."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable


def data_files(table: DeltaTable) -> list[Path]:
    """Return the files of an opened table of this machine; delta-rs names them as URLs, though without a scheme."""
    return [Path(unquote(each)) for each in table.file_uris()]
