"""The S3 server of the tests keeps what Amazon's promises, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from obstore.exceptions import AlreadyExistsError, PreconditionError

from tests.buckets.server import Bucket, Server, serving

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import S3Store

RACERS = 50
MIB = 1 << 20
REPOSITORY = Path(__file__).resolve().parents[2]


def race(act: Callable[[int], object]) -> Counter[str]:
    """Do `act` at once in 50 threads; return how each ended: `done`, or the name of its error."""
    together = threading.Barrier(RACERS)

    def one(number: int) -> str:
        together.wait()
        try:
            act(number)
        except (AlreadyExistsError, PreconditionError) as problem:
            return type(problem).__name__
        return "done"

    with ThreadPoolExecutor(RACERS) as pool:
        return Counter(pool.map(one, range(RACERS)))


def put_one_of(store: S3Store, key: str, bodies: list[bytes], mode: PutMode, number: int) -> None:
    """Put the bytes of one racer."""
    store.put(key, bodies[number], mode=mode)


def test_one_of_fifty_makes_an_object(bucket: Bucket) -> None:
    store = bucket.store()
    for key in ("a", "deep/er/b", "c" * 200):
        bodies = [bytes([number]) * 1000 for number in range(RACERS)]
        ended = race(partial(put_one_of, store, key, bodies, "create"))
        assert ended == {"done": 1, "AlreadyExistsError": RACERS - 1}
        assert bytes(store.get(key).bytes()) in bodies  # one writer's, not a mixture


def test_one_of_fifty_replaces_an_object_whose_etag_all_know(bucket: Bucket) -> None:
    store = bucket.store()
    store.put("lease", b"first")
    for turn in range(3):
        etag = store.head("lease")["e_tag"]
        # An etag is the hash of the bytes: who puts the same bytes again leaves the etag as it was, and two may win.
        bodies = [b"turn %d by %d" % (turn, number) for number in range(RACERS)]
        ended = race(partial(put_one_of, store, "lease", bodies, {"e_tag": etag}))
        assert ended == {"done": 1, "PreconditionError": RACERS - 1}


def test_conditional_puts_are_answered_as_by_amazon(bucket: Bucket) -> None:
    first = bucket.ask("PUT", "a", headers={"If-None-Match": "*"}, body=b"first")
    again = bucket.ask("PUT", "a", headers={"If-None-Match": "*"}, body=b"again")
    etag = first.headers["etag"]
    stale = bucket.ask("PUT", "a", headers={"If-Match": '"0123456789abcdef0123456789abcdef"'}, body=b"stale")
    fresh = bucket.ask("PUT", "a", headers={"If-Match": etag}, body=b"fresh")
    absent = bucket.ask("PUT", "b", headers={"If-Match": etag}, body=b"absent")

    assert [answer.status for answer in (first, again, stale, fresh, absent)] == [200, 412, 412, 200, 404]
    assert b"<Code>PreconditionFailed</Code>" in again.body
    assert b"<Code>PreconditionFailed</Code>" in stale.body
    assert bucket.ask("GET", "a").body == b"fresh"


def test_a_conditional_read_and_what_is_not_there(bucket: Bucket) -> None:
    etag = bucket.ask("PUT", "a", body=b"bytes").headers["etag"]
    assert bucket.ask("GET", "a", headers={"If-None-Match": etag}).status == 304
    assert bucket.ask("GET", "a", headers={"If-Match": '"other"'}).status == 412
    missing = bucket.ask("GET", "b")
    assert missing.status == 404
    assert b"<Code>NoSuchKey</Code>" in missing.body
    assert bucket.ask("HEAD", "b").status == 404
    assert bucket.ask("DELETE", "b").status == 204


@pytest.mark.parametrize(
    ("asked", "status", "told", "body"),
    [
        ("bytes=2-4", 206, "bytes 2-4/10", b"234"),
        ("bytes=7-", 206, "bytes 7-9/10", b"789"),
        ("bytes=-3", 206, "bytes 7-9/10", b"789"),
        ("bytes=8-99", 206, "bytes 8-9/10", b"89"),
        ("bytes=10-12", 416, None, None),
    ],
)
def test_ranges(bucket: Bucket, asked: str, status: int, told: str | None, body: bytes | None) -> None:
    bucket.ask("PUT", "a", body=b"0123456789")
    answer = bucket.ask("GET", "a", headers={"Range": asked})
    assert answer.status == status
    if body is not None:
        assert (answer.headers["content-range"], answer.body) == (told, body)


def test_an_object_in_parts_is_seen_when_it_is_whole(bucket: Bucket) -> None:
    begun = bucket.ask("POST", "big", query={"uploads": ""})
    upload = re.search(rb"<UploadId>(.*?)</UploadId>", begun.body)
    assert upload
    named = upload[1].decode()
    parts = [b"a" * 5 * MIB, b"b" * 100]
    etags = [
        bucket.ask("PUT", "big", query={"partNumber": str(n), "uploadId": named}, body=part).headers["etag"]
        for n, part in enumerate(parts, start=1)
    ]
    assert bucket.list_keys() == []
    assert bucket.ask("GET", "big").status == 404
    assert named in bucket.ask("GET", query={"uploads": ""}).body.decode()

    told = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in enumerate(etags, start=1))
    body = f"<CompleteMultipartUpload>{told}</CompleteMultipartUpload>".encode()
    done = bucket.ask("POST", "big", query={"uploadId": named}, body=body)
    assert done.status == 200
    assert bucket.ask("GET", "big").body == b"".join(parts)
    assert bucket.ask("HEAD", "big").headers["etag"].strip('"').endswith("-2")
    assert named not in bucket.ask("GET", query={"uploads": ""}).body.decode()


def test_an_upload_that_was_given_up_leaves_nothing(bucket: Bucket) -> None:
    upload = re.search(rb"<UploadId>(.*?)</UploadId>", bucket.ask("POST", "big", query={"uploads": ""}).body)
    assert upload
    named = upload[1].decode()
    bucket.ask("PUT", "big", query={"partNumber": "1", "uploadId": named}, body=b"a" * 1000)
    assert bucket.ask("DELETE", "big", query={"uploadId": named}).status == 204
    assert bucket.list_keys() == []
    assert named not in bucket.ask("GET", query={"uploads": ""}).body.decode()


def test_the_server_copies(bucket: Bucket) -> None:
    bucket.store().put("a b/ü", b"bytes")
    bucket.store().copy("a b/ü", "copy")
    assert bucket.ask("GET", "copy").body == b"bytes"


def test_listing_comes_by_page_in_the_order_of_bytes(bucket: Bucket) -> None:
    keys = ["a", "a/b", "a-b", "a.b", "Z", "é", "z/1", "z/2"]
    for key in keys:
        bucket.ask("PUT", key if key != "a/b" else "a-dir/b", body=b"x")
    wanted = sorted((key if key != "a/b" else "a-dir/b" for key in keys), key=str.encode)
    found: list[str] = []
    query = {"list-type": "2", "max-keys": "3"}
    pages = 0
    while True:
        page = bucket.ask("GET", query=query).body.decode()
        found += re.findall("<Key>(.*?)</Key>", page)
        pages += 1
        more = re.search("<NextContinuationToken>(.*?)</NextContinuationToken>", page)
        if more is None:
            break
        query["continuation-token"] = more[1]
    assert found == wanted
    assert pages == 3


def test_listing_tells_size_etag_and_time(bucket: Bucket) -> None:
    etag = bucket.ask("PUT", "a", body=b"12345").headers["etag"]
    (page,) = bucket.store().list()
    (meta,) = page
    assert (meta["path"], meta["size"], meta["e_tag"]) == ("a", 5, etag)
    assert abs(meta["last_modified"].timestamp() - time.time()) < 600


def test_what_was_put_is_listed_and_read_at_once(bucket: Bucket) -> None:
    store = bucket.store()
    for number in range(30):
        store.put(f"k{number}", b"%d" % number)
        assert len(bucket.list_keys()) == number + 1
        assert bytes(store.get(f"k{number}").bytes()) == b"%d" % number


def test_a_wrong_key_is_refused(s3_server: Server, bucket: Bucket) -> None:
    if s3_server.program.name == "moto":
        pytest.skip("moto lets everybody in")
    stranger = replace(bucket, keys=replace(bucket.keys, secret="guessed"))
    assert stranger.ask("GET", "a").status == 403


def test_each_test_has_a_bucket_of_its_own(s3_server: Server, bucket: Bucket) -> None:
    bucket.store().put("a", b"x")
    other = s3_server.make_bucket("another")
    assert other.list_keys() == []
    s3_server.remove_bucket(other)
    assert other.ask("GET").status == 404
    bucket.clear()
    assert bucket.list_keys() == []


HOLDER = """
import sys, time
from pathlib import Path
from tests.buckets.programs import Program
from tests.buckets.server import serving
folder, name, version, path = sys.argv[1:]
with serving(Program(name, version, Path(path)), Path(folder)) as server:
    print(server.endpoint, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_server_ends_with_the_process_that_began_it(s3_server: Server, tmp_path: Path, how: signal.Signals) -> None:
    folder = tmp_path / "server"
    program = s3_server.program
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), program.name, program.version, str(program.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline().startswith("http://127.0.0.1:")
        assert folder.is_dir()
        holder.send_signal(how)
        holder.wait(30)
    deadline = time.monotonic() + 30
    while (folder.exists() or _processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()
    assert _processes_of(folder) == []


def test_a_server_that_does_not_start_is_told_with_its_log(s3_server: Server, tmp_path: Path) -> None:
    broken = tmp_path / "versitygw"
    broken.write_text("#!/bin/sh\necho no room for a server; exit 3\n")
    broken.chmod(0o755)
    program = replace(s3_server.program, name="versitygw", path=broken)
    with pytest.raises(OSError, match="no room for a server"), serving(program, tmp_path / "server"):
        pass


def _processes_of(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found
