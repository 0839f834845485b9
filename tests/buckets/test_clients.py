"""What obstore, delta-rs and DuckDB do in a bucket, where our own code relies on it or has to make up for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from obstore.exceptions import AlreadyExistsError, GenericError, PreconditionError
from obstore.store import S3Store

from tests.buckets.faults import Fault, Kind
from tests.buckets.proxy import Proxy
from tests.buckets.server import Bucket

REPOSITORY = Path(__file__).resolve().parents[2]
LOG = "_delta_log"


def with_retries(bucket: Bucket) -> S3Store:
    """obstore as it is set by default: ten retries."""
    return S3Store.from_url(bucket.url, config=_config(bucket), client_options={"allow_http": True})


def _config(bucket: Bucket) -> dict[str, object]:
    return {
        "endpoint": bucket.endpoint,
        "access_key_id": bucket.keys.access,
        "secret_access_key": bucket.keys.secret,
        "region": bucket.keys.region,
    }


def numbers(*values: int) -> pa.Table:
    """A table of one column."""
    return pa.table({"n": pa.array(values, pa.int64())})


def rows(url: str, bucket: Bucket) -> list[int]:
    """The numbers of a Delta table, sorted."""
    return sorted(DeltaTable(url, storage_options=bucket.environment()).to_pyarrow_table()["n"].to_pylist())


# ----------------------------------------------------------------------------------------------- obstore


@pytest.mark.parametrize("kind", ["500", "503", "429"])
def test_obstore_tries_a_conditional_put_again_after_a_refusal(shaky: Bucket, proxy: Proxy, kind: Kind) -> None:
    with proxy.injecting(Fault(kind, method="PUT")):
        with_retries(shaky).put("a", b"mine", mode="create")
    assert [(seen.fault, seen.status) for seen in proxy.asked("PUT")] == [(kind, None), (None, 200)]
    assert {seen.condition for seen in proxy.asked("PUT")} == {"If-None-Match: *"}


@pytest.mark.parametrize("kind", ["reset", "lost"])
def test_obstore_leaves_a_conditional_put_whose_connection_broke_to_us(shaky: Bucket, proxy: Proxy, kind: Kind) -> None:
    with proxy.injecting(Fault(kind, method="PUT")), pytest.raises(GenericError):
        with_retries(shaky).put("a", b"mine", mode="create")
    assert len(proxy.asked("PUT")) == 1
    assert shaky.list_keys() == (["a"] if kind == "lost" else [])


def test_obstore_tells_that_an_object_is_there_which_it_has_just_made_itself(shaky: Bucket, proxy: Proxy) -> None:
    with proxy.injecting(Fault("late", method="PUT")), pytest.raises(AlreadyExistsError):
        with_retries(shaky).put("a", b"mine", mode="create")
    assert bytes(shaky.store().get("a").bytes()) == b"mine"


def test_obstore_tells_that_an_object_was_changed_which_it_has_just_changed_itself(
    shaky: Bucket, proxy: Proxy, bucket: Bucket
) -> None:
    etag = bucket.store().put("a", b"old")["e_tag"]
    with proxy.injecting(Fault("late", method="PUT")), pytest.raises(PreconditionError):
        with_retries(shaky).put("a", b"mine", mode={"e_tag": etag})
    assert bytes(shaky.store().get("a").bytes()) == b"mine"


def test_obstore_changes_no_object_that_is_gone(bucket: Bucket) -> None:
    etag = bucket.store().put("a", b"old")["e_tag"]
    bucket.store().delete("a")
    with pytest.raises(PreconditionError):
        bucket.store().put("a", b"new", mode={"e_tag": etag})
    assert bucket.list_keys() == []


def test_obstore_makes_a_big_object_in_one_request_where_it_must_not_be_there(shaky: Bucket, proxy: Proxy) -> None:
    shaky.store().put("a", b"x" * (12 << 20), mode="create", chunk_size=5 << 20)
    assert [(seen.method, seen.condition) for seen in proxy.asked()] == [("PUT", "If-None-Match: *")]


def test_obstore_never_copies_only_where_nothing_is(bucket: Bucket) -> None:
    bucket.store().put("a", b"x")
    with pytest.raises(Exception, match="does not support copy-if-not-exists"):
        bucket.store().copy("a", "b", overwrite=False)


# ----------------------------------------------------------------------------------------------- delta-rs


def test_delta_rs_commits_by_conditional_puts(shaky: Bucket, proxy: Proxy) -> None:
    for number in range(3):
        write_deltalake(f"{shaky.url}/t", numbers(number), mode="append", storage_options=shaky.environment())
    assert [(seen.key, seen.condition) for seen in proxy.asked("PUT", LOG)] == [
        (f"t/{LOG}/{version:020}.json", "If-None-Match: *") for version in range(3)
    ]


WRITER = """
import os, sys, time
from pathlib import Path
import pyarrow as pa
from deltalake import write_deltalake
url, first, ready, go = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
ready.touch()
while not go.exists():
    time.sleep(0.01)
for number in range(first, first + 20):
    write_deltalake(url, pa.table({"n": pa.array([number], pa.int64())}), mode="append")
"""


@pytest.mark.slow
def test_two_processes_append_with_delta_rs_and_lose_nothing(
    shaky: Bucket, proxy: Proxy, bucket: Bucket, tmp_path: Path
) -> None:
    url, go = f"{bucket.url}/t", tmp_path / "go"
    write_deltalake(url, numbers(-1), storage_options=bucket.environment())
    proxy.latency_s = 0.005  # so that they meet
    environment = {**os.environ, **shaky.environment(), "PYTHONPATH": str(REPOSITORY)}
    ready = [tmp_path / "ready0", tmp_path / "ready1"]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url, str(first), str(flag), str(go)], env=environment)
        for first, flag in zip((0, 20), ready, strict=True)
    ]
    try:
        while not all(flag.exists() for flag in ready) and all(writer.poll() is None for writer in writers):
            time.sleep(0.01)
        go.touch()
        assert [writer.wait(120) for writer in writers] == [0, 0]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert rows(url, bucket) == [-1, *range(40)]
    assert DeltaTable(url, storage_options=bucket.environment()).version() == 40


def test_delta_rs_commits_twice_what_was_refused_after_it_was_done(shaky: Bucket, proxy: Proxy, bucket: Bucket) -> None:
    """The same file is added by two versions: rows are right, and the log and change feed tell of twice as many."""
    url = f"{bucket.url}/t"
    write_deltalake(url, numbers(1), storage_options=bucket.environment())
    with proxy.injecting(Fault("late", method="PUT", path=LOG)):
        write_deltalake(url, numbers(2), mode="append", storage_options=shaky.environment())
    table = DeltaTable(url, storage_options=bucket.environment())
    assert [(seen.fault, seen.status) for seen in proxy.asked("PUT", LOG)] == [("late", 200), (None, 412), (None, 200)]
    assert table.version() == 2
    assert rows(url, bucket) == [1, 2]


@pytest.mark.parametrize(("kind", "error"), [("late", CommitFailedError), ("lost", OSError)])
def test_without_retries_of_commits_delta_rs_fails_and_the_version_is_there(
    shaky: Bucket, proxy: Proxy, bucket: Bucket, kind: Kind, error: type[Exception]
) -> None:
    url = f"{bucket.url}/t"
    write_deltalake(url, numbers(1), storage_options=bucket.environment())
    once = CommitProperties(max_commit_retries=0, custom_metadata={"digest": "of these rows"})
    with proxy.injecting(Fault(kind, method="PUT", path=LOG)), pytest.raises(error):
        write_deltalake(
            url, numbers(2), mode="append", storage_options=shaky.environment(), commit_properties=once
        )  # fmt: skip
    table = DeltaTable(url, storage_options=bucket.environment())
    assert (table.version(), table.history(1)[0]["digest"]) == (1, "of these rows")
    assert rows(url, bucket) == [1, 2]


# ----------------------------------------------------------------------------------------------- DuckDB


def test_duckdb_reads_a_table_of_a_bucket_through_delta_rs_without_an_extension(bucket: Bucket) -> None:
    url = f"{bucket.url}/t"
    write_deltalake(url, numbers(1, 2, 3), storage_options=bucket.environment())
    table = DeltaTable(url, storage_options=bucket.environment())
    with duckdb.connect() as connection:
        found = connection.from_arrow(table.to_pyarrow_dataset()).aggregate("sum(n)").fetchall()
    assert found == [(6,)]
