"""A lake for a test in a folder and in a bucket: what holds for one holds for the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.buckets.server import Bucket

PLACES = ("folder", "bucket")


@pytest.fixture(params=PLACES)
def lake_at(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address at which a lake may be made; the copies of one in a bucket are the test's own."""
    if request.param == "folder":
        return str(tmp_path / "lake")
    bucket: Bucket = request.getfixturevalue("bucket")
    return use(bucket, tmp_path, monkeypatch)


def use(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let this process, and those it starts, reach a bucket; return the address of a lake in it."""
    for name, value in bucket.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PETREL_CACHE", str(tmp_path / "cache"))
    return f"{bucket.url}/a lake"
