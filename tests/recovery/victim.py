"""A run that is killed: land and entities of one folder, in a process of its own.

    python -m tests.recovery.victim <lake> <folder> <engine>

Says `ready` when everything is imported, `done` when it came to its end.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lakehouse.config import load_config
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.opening import open_lake

FILES_PER_COMMIT = 16


def bring_in(lake: Lake, folder: Path) -> None:
    """What the victim does, and the run that mends what it left."""
    land(lake, Source(name="camera", folder=str(folder)))
    entities(lake)


def main() -> None:
    """Run as a program."""
    root, folder, engine = sys.argv[1:]
    config = load_config(
        overrides=[f'lake.root="{root}"', "engine.workers=2", f"land.files_per_commit={FILES_PER_COMMIT}"], environ={}
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with open_lake(config, engine=engine, create=True) as lake:
        bring_in(lake, Path(folder))
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
