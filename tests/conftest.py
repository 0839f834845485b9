"""What all tests share: real data sets, an embedded lake, the one Spark session of the run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.config import load_config
from lakehouse.errors import EnvironmentProblemError
from lakehouse.lake import Lake
from lakehouse.opening import open_lake
from lakehouse.spark.java import find_java
from tests.making import Clock, small_lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from xdist.scheduler import LoadGroupScheduling

REPOSITORY = Path(__file__).resolve().parents[1]

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
    """Where tests run in several processes, one of them has the Spark session, and begins with what needs it."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    with_session = [item for item in items if "spark" in getattr(item, "fixturenames", ())]
    for item in with_session:
        item.add_marker(pytest.mark.xdist_group("spark"))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadGroupScheduling:
    """Give a process whole groups, and whole files: what a file makes once is not made in every process."""
    from xdist.scheduler import LoadGroupScheduling

    class GroupsAndFiles(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return str(super()._split_scope(nodeid)).partition("::")[0]

    return GroupsAndFiles(config, log)


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
    """The one Spark session of the run: `local[2]`, 1 GB; tests with `engine="spark"` use it too."""
    from lakehouse.spark.session import build_session

    settings = {
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
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
    config = load_config(overrides=settings, environ={})
    with open_lake(config, engine="spark", create=True) as lake:
        yield lake
