"""Whether the source that answers are about is one that has landed: a mistyped name would park them all."""

from __future__ import annotations

from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch

KNOWN = """
select distinct source from bronze.landed_files union select distinct source from silver.entity_sources
"""


def check_landed(lake: Lake, source: str, *, where: str) -> None:
    """Refuse a landed source that nobody knows; "" is none.

    Raises:
        ConfigError: With the nearest name and the names there are.
    """
    if not source:
        return
    known = sorted(row["source"] for row in fetch(lake, KNOWN))
    if source in known:
        return
    hint = nearest(source, known) if known else "; none has"
    stop = "" if hint.endswith("?") else "."
    raise ConfigError(
        f"{where}: no source `{source}` has landed in this lake{hint}{stop} Name one that has, land it first, or let "
        "its answers wait for it (--early, early = true)"
    )
