"""Small picture files for ingestion tests."""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image

from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.query import fetch


def png(number: int, *, side: int = 4) -> bytes:
    """A picture that is different for every number."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (number % 256, number // 256 % 256, 7)).save(buffer, "PNG")
    return buffer.getvalue()


def put(folder: Path, name: str, data: bytes, *, at: int = 1_700_000_000) -> Path:
    """Write a file with a known time of modification, seconds."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (at, at))
    return path


def source(folder: Path, **options: object) -> Source:
    """A source called `photos`."""
    return Source(**{"name": "photos", "folder": str(folder), **options})  # type: ignore[arg-type]


def landed(lake: Lake, columns: str = "path, status, rule") -> list[dict[str, object]]:
    """Rows of bronze.landed_files by path."""
    return fetch(lake, f"select {columns} from bronze.landed_files order by path, landed_id")


def stored_objects(lake: Lake) -> dict[str, bytes]:
    """Name -> bytes of everything under objects/."""
    return {path.name: path.read_bytes() for path in (lake.root / "objects").rglob("*") if path.is_file()}
