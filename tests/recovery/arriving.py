"""Files that arrive while a watch is killed again and again; what became of each."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from deltalake import DeltaTable

from lakehouse.objects import file_uri
from lakehouse.tables.read import table_path
from schemas.tables import ENTITIES, ENTITY_SOURCES, LANDED_FILES

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Arriving:
    """A lake, a folder that grows, and every version of every file that ever was at rest in it.

    Attributes:
        lake: Folder of the lake.
        folder: What is watched.
        engine: Of the watch.
        whole: Path -> SHA-256 of the versions that were written, in order.
    """

    lake: Path
    folder: Path
    engine: str = "embedded"
    whole: dict[Path, list[str]] = field(default_factory=dict)
    killed: int = 0

    def arrive(self, files: int, *, chance: random.Random) -> None:
        """Write files: moved to their place, or in two parts with a pause; every tenth one overwrites an older one."""
        self.folder.mkdir(exist_ok=True)
        for _ in range(files):
            again = len(self.whole) % 10 == 9 and len(next(reversed(self.whole.values()))) == 1
            path = next(reversed(self.whole)) if again else self.folder / f"file {len(self.whole):04}.bin"
            data = f"{path.name} {len(self.whole.get(path, ()))}".encode() * 50
            if again or chance.random() < 0.7:
                part = self.folder / f".{path.name}"
                part.write_bytes(data)
                # What moved here has a time before that of its move, also where a file system counts in ticks.
                written = part.stat().st_mtime_ns - 10_000_000
                os.utime(part, ns=(written, written))
                part.rename(path)
            else:
                with path.open("wb") as file:
                    file.write(data[:40])
                    file.flush()
                    file.write(data[40:])
            self.whole.setdefault(path, []).append(hashlib.sha256(data).hexdigest())

    def command(self, *options: str) -> list[str]:
        """The command that watches."""
        return [sys.executable, "-m", "jobs.cli", "watch", "--lake", str(self.lake), "--source", "camera", "--folder",
                str(self.folder), "--engine", self.engine, "--steps", "entities", "--max-files", "8", "--rest", "0.5s",
                "--set", "engine.workers=1", *options]  # fmt: skip

    def watch_and_kill(self, *, after_lines: int, arrive: int, chance: random.Random) -> None:
        """Watch, have files arrive meanwhile, and kill the watch once it has said so many lines."""
        watching = subprocess.Popen(
            self.command("--every", "0.2s"), cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, start_new_session=True,
        )  # fmt: skip
        arriving = threading.Thread(target=self.arrive, args=(arrive,), kwargs={"chance": chance})
        arriving.start()
        try:
            assert watching.stdout is not None
            for _ in range(after_lines):
                if not watching.stdout.readline():
                    break  # it ended by itself, which the exit code tells
        finally:
            os.killpg(watching.pid, signal.SIGKILL)
            arriving.join()
            watching.communicate()
        assert watching.returncode == -signal.SIGKILL, f"the watch ended by itself: {watching.returncode}"
        self.killed += 1

    def end(self) -> None:
        """Land what is there, and end."""
        subprocess.run(self.command("--available-now"), cwd=REPOSITORY, check=True, capture_output=True)

    def faults(self) -> dict[str, int]:
        """Count what is not exactly once: files (as they are now), observations, entities, provenance."""
        landed = [(row["uri"], row["sha256"]) for row in _rows(self.lake, LANDED_FILES.name)]
        now = {(file_uri(path), versions[-1]) for path, versions in self.whole.items()}
        ever = {(file_uri(path), version) for path, versions in self.whole.items() for version in versions}
        entities = Counter(row["entity_id"] for row in _rows(self.lake, ENTITIES.name))
        sources = Counter(row["landed_id"] for row in _rows(self.lake, ENTITY_SOURCES.name))
        return {
            "missing": len(now - set(landed)),
            "doubled": sum(count > 1 for each in (Counter(landed), entities, sources) for count in each.values()),
            "halves": len(set(landed) - ever),
            "not entities": len({sha256 for _, sha256 in landed} - set(entities)) + len(landed) - len(sources),
        }


def _rows(lake: Path, name: str) -> list[dict[str, str]]:
    table = next(each for each in (LANDED_FILES, ENTITIES, ENTITY_SOURCES) if each.name == name)
    rows: list[dict[str, str]] = DeltaTable(table_path(lake, table)).to_pyarrow_table().to_pylist()
    return rows
