"""A bucket for a test: on one real S3 server for each process of the run, which dies with it.

The server is chosen once, by the process that began the run, and named in the header of its output.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from tests.buckets.programs import Program, find_program
from tests.buckets.proxy import Proxy, standing_before
from tests.buckets.server import Bucket, Server, serving

CHOSEN = pytest.StashKey[Program | None]()

_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the server, or take what the process that began the run has chosen."""
    told = getattr(config, "workerinput", None)
    if told is None:
        config.stash[CHOSEN] = find_program()
    else:
        name, version, path, reason = told["s3_server"] or ("", "", "", "")
        config.stash[CHOSEN] = Program(name, version, Path(path), reason) if name else None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist what was chosen."""
    chosen = node.config.stash[CHOSEN]
    node.workerinput["s3_server"] = tuple(map(str, astuple(chosen))) if chosen else None


def pytest_report_header(config: pytest.Config) -> str:
    """Name the server and, where it is not versitygw, why."""
    return f"S3 server: {config.stash[CHOSEN] or 'none is ready; to build it: make s3-server'}"


@pytest.fixture(scope="session")
def s3_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The S3 server of this process, on a free port of loopback with keys of its own."""
    from tests.conftest import missing

    chosen = request.config.stash[CHOSEN]
    if chosen is None:
        missing("no S3 server is ready; to build it: make s3-server", required_by="PETREL_REQUIRE_S3")
    assert chosen is not None
    with serving(chosen, tmp_path_factory.mktemp("s3") / "server") as server:
        yield server


@pytest.fixture
def bucket(s3_server: Server) -> Iterator[Bucket]:
    """An empty bucket of the test's own."""
    made = s3_server.make_bucket(f"bucket-{next(_numbers)}")
    yield made
    s3_server.remove_bucket(made)


@pytest.fixture
def proxy(s3_server: Server) -> Iterator[Proxy]:
    """A proxy in front of the server that does no harm until it is told to: `bucket.through(proxy.endpoint)`."""
    with standing_before(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def shaky(bucket: Bucket, proxy: Proxy) -> Bucket:
    """`bucket` as it is seen through `proxy`."""
    return bucket.through(proxy.endpoint)
