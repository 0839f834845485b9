"""The bytes of files that were refused, as far as they go: what a person needs to see why."""

from __future__ import annotations

from typing import Any

from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.viewing.pieces import piece_of

BEGIN_BYTES = 512
"""Of a file that are shown."""

FILE = """
select l.object_uri, l.size_bytes, l.status from silver.rejected r join bronze.landed_files l on l.landed_id = r.subject
where r.rejected_id = $id
"""


def rejected_bytes(lake: Lake, rejected_id: str) -> dict[str, Any]:
    """Return how the file of a rejected input begins: `size_bytes`, and `hex`, at most 512 bytes in hexadecimal.

    Raises:
        ConfigError: If what was rejected is no landed file, or its bytes were not kept.
        IngestError: If they cannot be read.
    """
    found = fetch(lake, FILE, params={"id": rejected_id})
    if not found:
        raise ConfigError("what was rejected is no file that was landed: all that came of it stands beside the reason")
    size, uri = int(found[0]["size_bytes"] or 0), found[0]["object_uri"]
    if uri is None:
        raise ConfigError(f"its {size:,} bytes were not kept ({found[0]['status']})")
    data = piece_of(lake.home, str(uri), 0, min(size, BEGIN_BYTES)) if size else b""
    return {"size_bytes": size, "hex": data.hex()}
