"""Small files, written whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, content: str | bytes | Iterable[str]) -> None:
    """Write a file, given in one or several parts, whole or not at all."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    with temporary.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            file.writelines(part.encode() for part in ([content] if isinstance(content, str) else content))
    os.replace(temporary, path)
