"""kill -9 at any moment of land and entities: a re-run leaves nothing lost, doubled, dangling or lying about."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from deltalake import DeltaTable
from PIL import Image

from lakehouse.config import load_config
from lakehouse.objects import file_uri
from lakehouse.opening import open_lake
from lakehouse.tables.read import table_path
from schemas.model import Table
from schemas.tables import ENTITIES, ENTITY_SOURCES, LANDED_FILES, REJECTED
from tests.lanes import examples
from tests.recovery.victim import bring_in

REPOSITORY = Path(__file__).resolve().parents[2]
KILLS = examples(8, long=20)
NEW_FILES = 24  # of each round, so that every victim has something to do


@dataclass
class Rounds:
    """One lake, one growing folder, and the victims so far."""

    lake: Path
    folder: Path
    engine: str = "embedded"
    files: int = 0
    killed: int = 0
    ended: int = 0
    good: set[str] = field(default_factory=set)

    def add_files(self, number: int) -> None:
        """Add pictures: every eighth is cut short, every ninth has the bytes of the one before."""
        for _ in range(number):
            path = self.folder / f"{self.files % 7}" / f"picture {self.files}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shown = self.files - 1 if self.files % 9 == 8 else self.files
            Image.new("RGB", (8, 8), (shown % 256, shown // 256, 9)).save(path)
            data = path.read_bytes()
            if self.files % 8 == 5:
                path.write_bytes(data[:-20] + bytes([shown % 256, shown // 256]))
            else:
                self.good.add(hashlib.sha256(data).hexdigest())
            self.files += 1

    def start(self) -> subprocess.Popen[str]:
        """Start a victim and return it when it begins to work."""
        command = [sys.executable, "-m", "tests.recovery.victim", str(self.lake), str(self.folder), self.engine]
        victim = subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,
        )
        assert victim.stdout is not None
        assert victim.stdout.readline() == "ready\n"
        return victim

    def kill(self, delay_s: float, *, workers_too: bool) -> None:
        """Start a victim and kill it after `delay_s`, alone or with all processes it started."""
        victim = self.start()
        time.sleep(delay_s)
        if workers_too:
            os.killpg(victim.pid, signal.SIGKILL)
        else:
            victim.kill()
        output = victim.communicate()[0]
        self.ended += output == "done\n"
        self.killed += victim.returncode == -signal.SIGKILL and output == ""
        assert _group_ends(victim.pid), "processes outlived their killed parent"

    def run_time(self) -> float:
        """Seconds that a run takes that nobody kills."""
        victim = self.start()
        started = time.monotonic()
        assert victim.communicate()[0] == "done\n"
        return time.monotonic() - started


@pytest.mark.slow
def test_kills_lose_double_and_leave_nothing(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path / "lake", tmp_path / "drop")
    rounds.add_files(NEW_FILES)
    whole = rounds.run_time()
    chance = random.Random(20260101)
    while rounds.killed < KILLS:
        assert rounds.ended < KILLS, f"runs end before they are killed: {rounds}"
        rounds.add_files(NEW_FILES // 2)
        rounds.kill(chance.uniform(0, 0.9 * whole), workers_too=rounds.killed % 2 == 0)
    _mend(rounds)
    assert _faults(rounds) == {"lost": 0, "doubled": 0, "dangling": 0, "left lying": 0}


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.usefixtures("java_17")
def test_kills_of_a_spark_driver_lose_double_and_leave_nothing(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path / "lake", tmp_path / "drop", engine="spark")
    rounds.add_files(NEW_FILES)
    whole = rounds.run_time()
    for share in (0.5, 0.8):  # the first half is the start of the JVM
        rounds.add_files(NEW_FILES // 2)
        rounds.kill(share * whole, workers_too=True)
    assert rounds.killed + rounds.ended == 2
    _mend(rounds)
    assert _faults(rounds) == {"lost": 0, "doubled": 0, "dangling": 0, "left lying": 0}


def _mend(rounds: Rounds) -> None:
    config = load_config(overrides=[f'lake.root="{rounds.lake}"', "engine.workers=1"], environ={})
    with open_lake(config) as lake:
        bring_in(lake, rounds.folder)


def _faults(rounds: Rounds) -> dict[str, int]:
    landed, entities, sources, rejected = (
        _rows(rounds.lake, table) for table in (LANDED_FILES, ENTITIES, ENTITY_SOURCES, REJECTED)
    )
    files = {file_uri(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in rounds.folder.rglob("*.png")}
    seen = {(row["uri"], row["sha256"]) for row in landed}
    accounted = {row["landed_id"] for row in sources} | {row["subject"] for row in rejected}
    lost = len(set(files.items()) - seen) + len({row["landed_id"] for row in landed} - accounted)
    lost += len(rounds.good - {row["entity_id"] for row in entities})

    tables = ((LANDED_FILES, landed), (ENTITIES, entities), (ENTITY_SOURCES, sources), (REJECTED, rejected))
    doubled = sum(len(rows) - len({tuple(row[name] for name in table.key) for row in rows}) for table, rows in tables)
    doubled += len(landed) - len(files) + len({row["entity_id"] for row in entities} - rounds.good)

    dangling = sum(not _holds(rounds.lake / row["object_uri"], row["sha256"]) for row in landed)
    known = {row["entity_id"] for row in entities}
    dangling += sum(row["entity_id"] not in known for row in sources)
    dangling += sum(not _holds(rounds.lake / row["object_uri"], row["entity_id"]) for row in entities)

    left = [path for path in (rounds.lake / "_tmp").rglob("*") if path.is_file()]
    left += [path for path in (rounds.lake / "_runs").rglob("*.tmp")]
    left += [
        path for path in (rounds.lake / "objects").rglob("*")
        if path.is_file() and not re.fullmatch(r"[0-9a-f]{64}", path.name)
    ]
    return {"lost": lost, "doubled": doubled, "dangling": dangling, "left lying": len(left)}


def _rows(root: Path, table: Table) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = DeltaTable(table_path(root, table)).to_pyarrow_table().to_pylist()
    return rows


def _holds(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _group_ends(group: int, *, within_s: float = 30.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        if _only_zombies(group):
            return True
        time.sleep(0.02)
    return False


def _only_zombies(group: int) -> bool:
    # In a container nobody may collect orphans that have ended; they hold nothing any more.
    states = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            states.append(fields[0])
    return all(state in "ZX" for state in states)
