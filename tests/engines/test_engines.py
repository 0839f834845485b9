"""What a step may rely on, whichever engine does the work."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from lakehouse.config import EngineConfig
from lakehouse.engines import Engine, open_engine
from lakehouse.engines.driver import DriverFirstEngine
from lakehouse.engines.pool import BatchPool
from lakehouse.errors import ConfigError, IngestError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MARKED = pa.schema([("number", pa.int64()), ("batch", pa.int64())])
NUMBERS = pa.table({"number": pa.array(range(100), pa.int64())})


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("spark", marks=pytest.mark.spark),
        pytest.param("driver", marks=pytest.mark.spark),
        pytest.param("crossing", marks=pytest.mark.spark),
    ]
)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Either engine; Spark's alone, with small relations on the driver, and with the border amid those of a test."""
    scratch = tmp_path / "scratch"
    if request.param == "embedded":
        opened = open_engine("embedded", config=EngineConfig(workers=2), scratch=scratch)
    else:
        request.getfixturevalue("spark")
        config = EngineConfig(workers=2, driver_mb=0 if request.param == "spark" else 64)
        opened = open_engine("spark", config=config, scratch=scratch)
    if isinstance(opened, DriverFirstEngine) and request.param == "crossing":
        opened._limit = NUMBERS.nbytes
    yield opened
    opened.close()


def mark(batches: Iterator[pa.RecordBatch], *, folder: Path) -> Iterator[pa.RecordBatch]:
    """Leave one file for each row that was seen; tell the size of its batch."""
    for batch in batches:
        for number in batch.column("number").to_pylist():
            (folder / f"{number}-{uuid.uuid4().hex}").touch()
        size = pa.array([batch.num_rows] * batch.num_rows, pa.int64())
        yield pa.RecordBatch.from_arrays([batch.column("number"), size], schema=MARKED)


def test_a_function_sees_every_row_once_at_once_and_in_small_batches(engine: Engine, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    marked = engine.map_batches(
        engine.from_arrow(NUMBERS), partial(mark, folder=seen), MARKED, rows_per_task=10, label="mark"
    )
    numbers = sorted(int(path.name.split("-")[0]) for path in seen.iterdir())
    assert numbers == list(range(100))  # done before anybody reads the result
    for _ in range(2):
        found = engine.arrow(engine.sql("select number, batch from m order by number", {"m": marked}, {}))
        assert found.column("number").to_pylist() == list(range(100))
        assert max(found.column("batch").to_pylist()) <= 10
    engine.stage(engine.stage(marked))
    assert len(list(seen.iterdir())) == 100


def test_a_function_that_gets_no_row_gives_an_empty_relation(engine: Engine, tmp_path: Path) -> None:
    none = engine.sql("select number from n where number < 0", {"n": engine.from_arrow(NUMBERS)}, {})
    marked = engine.map_batches(none, partial(mark, folder=tmp_path), MARKED, rows_per_task=10, label="mark")
    assert marked.columns == ("number", "batch")
    assert engine.arrow(marked).num_rows == 0


def test_values_survive_memory_staging_and_streams(engine: Engine) -> None:
    now, long_ago = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)
    rows = [
        {"id": 1, "name": "été 🐦", "at": now, "keys": [("a", "b")], "tags": ["x"]},
        {"id": 2, "name": "", "at": long_ago, "keys": [], "tags": []},
        {"id": 3, "name": None, "at": None, "keys": None, "tags": None},
    ]
    schema = pa.schema(
        [
            ("id", pa.int64()), ("name", pa.string()), ("at", pa.timestamp("us", "UTC")),
            ("keys", pa.map_(pa.string(), pa.string())), ("tags", pa.list_(pa.string())),
        ]
    )
    given = engine.from_arrow(pa.Table.from_pylist(rows, schema=schema))
    staged = engine.stage(engine.sql("select * from g order by id desc", {"g": given}, {}))
    assert given.columns == staged.columns == ("id", "name", "at", "keys", "tags")
    assert engine.arrow(engine.sql("select * from s order by id", {"s": staged}, {})).to_pylist() == rows
    streamed = [row for batch in engine.stream(staged) for row in batch.to_pylist()]
    assert streamed == rows[::-1]


def test_a_relation_of_another_engine_is_refused(engine: Engine) -> None:
    class Other:
        columns = ("a",)

    with pytest.raises(TypeError, match="a relation of another engine"):
        engine.arrow(Other())


def test_an_unknown_engine_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown engine `flink`; known: embedded, spark"):
        open_engine("flink", config=EngineConfig(), scratch=tmp_path)


def die(batches: Iterator[pa.RecordBatch], *, parent: int) -> Iterator[pa.RecordBatch]:
    """Kill the worker, as a lack of memory would."""
    for batch in batches:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch


def fail(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Raise what a step's function may raise."""
    for batch in batches:
        raise IngestError(f"the disk is full at row {batch.column('number')[0]}")
        yield batch


def test_a_killed_worker_is_an_error_and_the_engine_goes_on(tmp_path: Path) -> None:
    engine = open_engine("embedded", config=EngineConfig(workers=2), scratch=tmp_path / "scratch")
    try:
        numbers = engine.from_arrow(NUMBERS)
        function = partial(die, parent=os.getpid())
        with pytest.raises(IngestError, match="a worker process died"):
            engine.map_batches(numbers, function, NUMBERS.schema, rows_per_task=10, label="die")
        (tmp_path / "seen").mkdir()
        again = engine.map_batches(
            numbers, partial(mark, folder=tmp_path / "seen"), MARKED, rows_per_task=10, label="mark"
        )
        assert engine.arrow(again).num_rows == 100
    finally:
        engine.close()


def test_the_error_of_a_function_comes_back_as_it_was(tmp_path: Path) -> None:
    engine = open_engine("embedded", config=EngineConfig(workers=2), scratch=tmp_path / "scratch")
    try:
        with pytest.raises(IngestError, match="the disk is full at row"):
            engine.map_batches(engine.from_arrow(NUMBERS), fail, NUMBERS.schema, rows_per_task=10, label="fail")
    finally:
        engine.close()


def test_what_workers_cannot_be_given_is_an_error_and_no_wait_without_end() -> None:
    pool, lock = BatchPool(2), threading.Lock()

    def locked(batches):  # type: ignore[no-untyped-def]
        with lock:
            yield from batches

    with pytest.raises(ConfigError, match="cannot get a function: TypeError: .*; put what is yours at the top level"):
        list(pool.run(iter(NUMBERS.to_batches(max_chunksize=10)), locked))
    pool.close()


def test_functions_of_a_script_or_notebook_reach_the_workers() -> None:
    pool, added = BatchPool(2), 7
    batches = iter(NUMBERS.to_batches(max_chunksize=50))
    found = list(pool.run(batches, lambda given: (each for each in given if added)))
    pool.close()
    assert sum(each.num_rows for group in found for each in group) == 100


KILLED = """
import os, signal
import pyarrow as pa
from lakehouse.engines.pool import BatchPool

batches = (pa.RecordBatch.from_pylist([{"number": number}]) for number in range(8))
print(len(list(BatchPool(2).run(batches, list))), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_idle_workers_end_with_a_killed_parent() -> None:
    victim = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, start_new_session=True, text=True)
    try:
        # The workers have this pipe too: it ends when the last of them does.
        assert victim.communicate(timeout=60)[0] == "8\n"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(victim.pid, signal.SIGKILL)


@pytest.mark.spark
def test_small_relations_start_no_job_and_large_ones_do(spark: SparkSession, tmp_path: Path) -> None:
    tracker = spark.sparkContext.statusTracker()
    config = EngineConfig(workers=1, driver_mb=1)
    engine = open_engine("spark", config=config, scratch=tmp_path / "scratch")
    before = len(tracker.getJobIdsForGroup())
    small = engine.stage(engine.sql("select number + 1 as number from t", {"t": engine.from_arrow(NUMBERS)}, {}))
    assert engine.arrow(small)["number"].to_pylist() == list(range(1, 101))
    assert len(tracker.getJobIdsForGroup()) == before

    large = engine.from_arrow(pa.table({"number": pa.array(range(200_000), pa.int64())}))
    joined = engine.stage(engine.sql("select l.number from large l join small using (number)",
                                     {"large": large, "small": small}, {}))
    assert len(tracker.getJobIdsForGroup()) > before
    after = len(tracker.getJobIdsForGroup())
    assert sorted(engine.arrow(engine.stage(joined))["number"].to_pylist()) == list(range(1, 101))
    assert len(tracker.getJobIdsForGroup()) == after  # few rows came out: they are on the driver again
    engine.close()


def test_the_embedded_engine_keeps_nothing_of_a_relation_that_nobody_holds(tmp_path):
    opened = open_engine("embedded", config=EngineConfig(workers=1), scratch=tmp_path / "scratch")
    with contextlib.closing(opened) as engine:

        def names() -> set[str]:
            text = """
                select table_name as name from duckdb_tables() union all
                select view_name as name from duckdb_views() where not internal
            """
            return set(engine.arrow(engine.sql(text, {}, {}))["name"].to_pylist())

        before = len(names())
        rows = engine.from_arrow(pa.table({"n": [1, 2, 3]}))
        doubled = engine.sql("select 2 * n as n from rows", {"rows": rows}, {})
        staged = engine.stage(doubled)
        mapped = engine.map_batches(staged, _same, pa.schema([("n", pa.int64())]), rows_per_task=10, label="same")
        last = engine.sql("select sum(n) as n from mapped", {"mapped": mapped}, {})
        # What is held keeps what it reads.
        del rows, doubled, staged, mapped
        assert engine.arrow(last)["n"].to_pylist() == [12]
        del last
        engine.stage(engine.sql("select 1 as n", {}, {}))
        assert len(names()) <= before + 2
        assert not list((tmp_path / "scratch").glob("*.parquet"))


def _same(batches):
    yield from batches
