"""Opening a lake, making it where that is asked for, and the scratch folder of the process that works on it."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lakehouse.config import Config
from lakehouse.ending import removed_at_end
from lakehouse.engines import warm
from lakehouse.errors import ConcurrentWriteError, ConfigError
from lakehouse.home import keep_origin
from lakehouse.lake import Clock, Lake, utc_now
from lakehouse.leftovers import sweep_runs, sweep_scratch
from lakehouse.lines import MERGES
from lakehouse.opened import OpenLake
from lakehouse.place import MAKING, check_place, find_home, is_lake, keep_marker, new_home, require_lake
from lakehouse.spark.session import is_on_cluster
from lakehouse.tables.create import create_tables
from lakehouse.tables.leases import check_store
from lakehouse.tables.locks import lake_lock
from lakehouse.tables.read import check_tables
from lakehouse.verification.forked import HEADS


@contextmanager
def open_lake(
    config: Config, *, engine: str = "embedded", clock: Clock = utc_now, create: bool = False, finish: bool = True
) -> Iterator[OpenLake]:
    """Open the lake that `config` names.

    Temporary files that a killed run left behind are removed.

    Args:
        config: From `load_config`.
        engine: `embedded` or `spark`.
        clock: Where time comes from.
        create: Make the lake if there is none, in a folder that is missing or empty; one that was killed while it
            was made is completed. Otherwise a missing lake is an error: a mistyped name must not look like a lake
            in which nothing happened yet.
        finish: Finish a merge or revert of a run that was killed; else leave it as it is, to be abandoned.

    Raises:
        ConfigError: If the root cannot be a folder of ours, or its store knows no conditional writes.
        TableNotFoundError: If there is no lake; the message names the nearest one.
        TableError: If the lake lost a table, or was made by another version of Petrel.
        UnfinishedMergeError: If a merge or revert of a run that was killed cannot be finished.
    """
    home = find_home(config)
    making = create and not is_lake(home)
    if making:
        check_place(home)
        home = new_home(config)
        warm(engine, config.engine)  # who makes a lake fills it: workers load their code while tables are made
    else:
        require_lake(home)
    if engine == "spark" and not home.is_local and is_on_cluster():
        # What is larger than the driver takes on, executors read in the bucket: it need not come here.
        home = replace(home, fetched_bytes=config.engine.driver_mb << 20)
    root = home.folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / "_tmp").mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(f"lake.root = {home}: cannot be a folder of ours ({error.strerror})") from error
    check_store(home)
    with _scratch_folder(root / "_tmp") as scratch:
        lake = OpenLake(config, home=home, engine=engine, clock=clock, scratch=scratch)
        try:
            if making:
                _make(lake)
            else:
                check_tables(home)
                if finish:
                    _finish_merges(lake)
            yield lake
        finally:
            lake.close()


def _finish_merges(lake: Lake) -> None:
    """Finish what a run was killed at that was to change all tables or none."""
    if not lake.home.read_only and any(True for _ in lake.files.list(MERGES)):
        from lakehouse.merging.merge import finish_merges

        finish_merges(lake)


def _make(lake: Lake) -> None:
    if lake.home.is_local:
        create_tables(lake)
        keep_marker(lake.home)
        return
    lake.files.put(MAKING, b"")  # first: the sign of a lake that was not finished
    with lake_lock(lake, "create_lake"):
        if is_lake(find_home(lake.config)):
            raise ConcurrentWriteError(
                f"another process made the lake {lake.home} at the same moment; run the command again"
            )
        for each in itertools.chain(lake.files.list("tables"), lake.files.list(HEADS)):
            lake.files.delete(each.name)  # of a run that was killed while it made the lake
        keep_origin(lake.home)
        create_tables(lake)
        keep_marker(lake.home)
        lake.files.delete(MAKING)


@contextmanager
def _scratch_folder(parent: Path) -> Iterator[Path]:
    _sweep(parent)
    sweep_runs(parent.parent / "_runs")
    folder = parent / uuid.uuid4().hex
    folder.mkdir()
    descriptor = os.open(folder / "alive.new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    # Held while this process lives, whatever kills it: the sign for others not to sweep the folder away.
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # Named only now: whoever sweeps never finds the sign before it is locked.
    os.rename(folder / "alive.new", folder / "alive.lock")
    try:
        with removed_at_end(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    for folder in parent.iterdir():
        try:
            descriptor = os.open(folder / "alive.lock", os.O_RDWR | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            # Killed between mkdir and lock, or being made this instant, or not ours.
            sweep_scratch(folder)
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
