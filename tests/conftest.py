"""What all tests share: real data sets, an embedded lake, the one Spark session of the run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from lakehouse.config import load_config
from lakehouse.errors import EnvironmentProblemError
from lakehouse.lake import Lake
from lakehouse.opening import open_lake
from lakehouse.spark.java import find_java
from tests.lanes import COSTLY, FEW_ROWS, LANE, SESSION, is_among
from tests.making import Clock, begin_lake, small_lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from xdist.scheduler import LoadFileScheduling

SPARK_S = 1200.0
"""Seconds after which a test with Spark has hung; others have 600."""

REPOSITORY = Path(__file__).resolve().parents[1]

# How long an example takes says something of the machine, which is shared, and nothing of the code.
settings.register_profile("petrel", deadline=None)
settings.load_profile("petrel")

pytest_plugins = ["pytester", "tests.buckets.fixtures"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts in the background what is to ignore ctrl-c; the programs of our tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def missing(what: str, *, required_by: str) -> None:
    """Skip the test, or fail it where `.ci/run` has asked for everything."""
    if os.environ.get(required_by) == "1":
        pytest.fail(f"{what} ({required_by}=1: a failure, not a skip)")
    pytest.skip(what)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Choose the tests of the lane; of several processes, one has the Spark session and begins with what needs it.

    Costly files come next, so that at the end the processes share what is small.
    """
    if LANE == "fast":
        _leave_fast_ones(items)
    for item in items:
        if item.get_closest_marker("spark") and not item.get_closest_marker("timeout"):
            # A session that a timeout cuts short answers nobody after it: a busy machine would fail all that follow.
            item.add_marker(pytest.mark.timeout(SPARK_S))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: [not is_among(_file_of(item.nodeid), named) for named in (SESSION, COSTLY)])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a test that would start a second session in another process."""
    if "spark" in getattr(item, "fixturenames", ()) and not is_among(_file_of(item.nodeid), SESSION):
        pytest.fail("a file whose tests take the fixture `spark` is to be named in SESSION of tests/lanes.py")


def _file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _leave_fast_ones(items: list[pytest.Item]) -> None:
    met: set[str] = set()
    kept, left_out = [], []
    for item in items:
        file = _file_of(item.nodeid)
        is_slow = any(item.get_closest_marker(name) for name in ("spark", "slow"))
        is_slow = is_slow or (is_among(file, COSTLY) and file in met)
        (left_out if is_slow else kept).append(item)
        if not is_slow:
            met.add(file)
    items[:] = kept
    if left_out:
        left_out[0].config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Give a process whole files, so that what a file makes once is made once, and those of the Spark session to one.

    By files rather than by the mark `xdist_group`, which pytest-xdist 3.8 loses with pytest 9.2.
    """
    from xdist.scheduler import LoadFileScheduling

    class FilesAndSession(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = _file_of(nodeid)
            return "spark" if is_among(file, SESSION) else file

    return FilesAndSession(config, log)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own `PETREL__SECTION__KEY` changes no test."""
    for name in [name for name in os.environ if name.startswith("PETREL__")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return a function from the name of a real data set, as in `real_data("cifar10")`, to its folder.

    They lie in `PETREL_TEST_DATA`, else in `shared/data` beside the repository; a missing one skips the test.
    """
    root = Path(os.environ.get("PETREL_TEST_DATA") or REPOSITORY.parent / "shared" / "data")

    def find(name: str) -> Path:
        if not (root / name).is_dir():
            missing(f"real data set `{name}` is not in {root}; set PETREL_TEST_DATA", required_by="PETREL_REQUIRE_DATA")
        return root / name

    return find


@pytest.fixture
def clock() -> Clock:
    """The clock of `lake`, which the test moves."""
    return Clock()


@pytest.fixture
def lake(tmp_path: Path, clock: Clock) -> Iterator[Lake]:
    """An empty lake on the embedded engine that works in this process alone."""
    with small_lake(tmp_path / "lake", clock=clock) as opened:
        yield opened


@pytest.fixture
def embedded_lake(tmp_path: Path) -> Iterator[Lake]:
    """An empty lake on the embedded engine, with two workers."""
    begin_lake(tmp_path / "lake")
    config = load_config(overrides=[f'lake.root="{tmp_path / "lake"}"', "engine.workers=2"], environ={})
    with open_lake(config, create=True) as lake:
        yield lake


@pytest.fixture(scope="session")
def java_17() -> None:
    """Skip where there is no Java for Spark."""
    try:
        find_java()
    except EnvironmentProblemError as problem:
        missing(f"no Java: {problem}", required_by="PETREL_REQUIRE_SPARK")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one Spark session of the run: `local[2]`, 1 GB; tests with `engine="spark"` use it too.

    The long lane has the product's settings.
    """
    from lakehouse.spark.session import build_session

    settings = {
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        **FEW_ROWS,
    }
    if FEW_ROWS:
        settings["spark.default.parallelism"] = "1"  # functions over batches still run in two tasks
        settings["spark.driver.extraJavaOptions"] = "-Xms1g -Xmn500m"  # a third of the collections
    try:
        session = build_session("petrel-tests", master="local[2]", settings=settings)
    except EnvironmentProblemError as problem:
        missing(f"no Spark: {problem}", required_by="PETREL_REQUIRE_SPARK")
        raise
    yield session
    session.stop()


@pytest.fixture
def spark_lake(spark: SparkSession, tmp_path: Path) -> Iterator[Lake]:
    """An empty lake on the Spark engine, which does all the work itself."""
    settings = [f'lake.root="{tmp_path / "spark_lake"}"', "engine.workers=2", "engine.driver_mb=0"]
    begin_lake(tmp_path / "spark_lake")
    config = load_config(overrides=settings, environ={})
    with open_lake(config, engine="spark", create=True) as lake:
        yield lake
