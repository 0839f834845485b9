"""A small object store on loopback that misbehaves on demand: the part of S3 that reads, lists and writes objects.

    with serving(folder) as store:          # keys are paths below `folder`, the first step is the bucket
        store.latency_s = 0.02              # added to every answer
        store.faults.append(Fault("503"))   # the next request fails
        url, options = "s3://bucket/train", store.options()

Signatures are not looked at. Answers go out by `sendfile`, so that the store takes little of the processor.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

from loaders.stores.storage import StorageOptions
from tests.buckets.faults import Fault, Kind, refusal

MOST_LISTED = 1000

_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]+)?")


@dataclass
class Store:
    """What a test sets and counts."""

    folder: Path
    latency_s: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    port: int = 0
    sent_bytes: int = 0
    parts: dict[int, bytes] = field(default_factory=dict)
    connections: int = 0
    authorizations: list[str] = field(default_factory=list)
    open_now: set[socket.socket] = field(default_factory=set)
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def options(self, **settings: object) -> StorageOptions:
        """Return options with which `s3://` URLs are read from here."""
        mine = {"endpoint_override": f"127.0.0.1:{self.port}", "scheme": "http", "region": "us-east-1",
                "anonymous": True}  # fmt: skip
        return StorageOptions(options=mine, **settings)  # type: ignore[arg-type]

    def hang_up(self) -> None:
        """Close all connections, as a server does with those that were idle for long."""
        with self.lock:
            for connection in self.open_now:
                connection.shutdown(socket.SHUT_RDWR)

    def next_fault(self, method: str, path: str) -> Kind | None:
        with self.lock:
            self.requests.append(f"{method} {path}")
            for fault in self.faults:
                assert fault.kind not in ("stale", "late"), "unknown here; take the proxy of tests/buckets"
                if fault.meets(method, path):
                    fault.times -= 1
                    return fault.kind
        return None


@contextmanager
def serving(folder: Path, *, port: int = 0) -> Iterator[Store]:
    """Serve the files below `folder` until the end of the block."""
    store = Store(folder)
    handler = type("Handler", (_Handler,), {"store": store})
    server = _Server(("127.0.0.1", port), handler)
    store.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield store
    finally:
        store.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    store: Store
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        with self.store.lock:
            self.store.connections += 1
            self.store.open_now.add(self.connection)

    def finish(self) -> None:
        with self.store.lock:
            self.store.open_now.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.store.folder / unquote(urlsplit(self.path).path).lstrip("/")
        fault = self.store.next_fault(self.command, str(path))
        if fault is not None and fault.isdigit():
            self._refuse(int(fault))
            return
        if fault == "reset":
            self.close_connection = True
            return
        asked = parse_qs(urlsplit(self.path).query)
        if "partNumber" in asked:
            with self.store.lock:
                self.store.parts[int(asked["partNumber"][0])] = body
            self._say("", ETag=f'"{len(body)}"')
            return
        with self.store.lock:
            asked_for = self.headers.get("If-Match")
            if self.headers.get("If-None-Match") == "*" and path.exists():
                self._refuse(412)
                return
            if asked_for and not (path.exists() and asked_for == f'"{path.stat().st_size}"'):
                self._refuse(412)
                return
            if source := self.headers.get("x-amz-copy-source"):
                origin = self.store.folder / unquote(source).lstrip("/")
                if not origin.exists():
                    self._refuse(404)
                    return
                body = origin.read_bytes()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        if fault == "lost":
            self.close_connection = True
            return
        self._say("<CopyObjectResult><ETag>x</ETag></CopyObjectResult>" if source else "", ETag=f'"{len(body)}"')

    def do_POST(self) -> None:
        """Delete the objects that a body names, or begin or end an object in parts (one at a time)."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        asked = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if "uploads" in asked:
            self.store.parts.clear()
            self._say("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
            return
        if "uploadId" in asked:
            path = self.store.folder / unquote(urlsplit(self.path).path).lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(self.store.parts[number] for number in sorted(self.store.parts)))
            self._say("<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")
            return
        bucket, keys = urlsplit(self.path).path, [unescape(key) for key in re.findall("<Key>(.*?)</Key>", body)]
        for key in keys:
            (self.store.folder / unquote(bucket).strip("/") / key).unlink(missing_ok=True)
        self._say("".join(["<DeleteResult>", *(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys),
                           "</DeleteResult>"]))  # fmt: skip

    def _list(self, asked: dict[str, list[str]]) -> None:
        bucket = self.store.folder / urlsplit(self.path).path.strip("/")
        prefix = asked.get("prefix", [""])[0]
        found = sorted(str(path.relative_to(bucket)) for path in bucket.rglob("*") if path.is_file())
        found = [key for key in found if key.startswith(prefix) and key > asked.get("start-after", [""])[0]]
        more, found = len(found) > MOST_LISTED, found[:MOST_LISTED]
        told = [
            f"<Contents><Key>{escape(key)}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;e&quot;</ETag><Size>{(bucket / key).stat().st_size}</Size></Contents>"
            for key in found
        ]
        self._say(f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{''.join(told)}</ListBucketResult>")

    def _say(self, text: str, **headers: str) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        store, path = self.store, unquote(urlsplit(self.path).path)
        store.authorizations.append(self.headers.get("Authorization", ""))
        fault = store.next_fault(self.command, path)
        store.ended.wait(store.latency_s + (3.0 if fault == "slow" else 0.0))
        if fault == "dead":
            store.ended.wait()
        if fault in ("dead", "reset", "lost"):
            self.close_connection = True
            return
        if fault is not None and fault.isdigit():
            self._refuse(int(fault))
            return
        if "list-type" in (asked := parse_qs(urlsplit(self.path).query)):
            self._list(asked)
            return
        try:
            with open(store.folder / path.lstrip("/"), "rb") as stream:
                self._send(stream.fileno(), fault, with_body=with_body)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            self._refuse(404)

    def _refuse(self, status: int) -> None:
        text = refusal(status)
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _send(self, fd: int, fault: Kind | None, *, with_body: bool) -> None:
        size = os.fstat(fd).st_size
        start, end = 0, size
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        if asked:
            start, end = int(asked[1]), min(size, int(asked[2]) + 1 if asked[2] else size)
            if start >= size:
                self._refuse(416)
                return
        if fault == "short":
            end = start + (end - start) // 2
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{size}"')
        self.send_header("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT")
        self.end_headers()
        if with_body:
            self._send_body(fd, start, end, fault)

    def _send_body(self, fd: int, start: int, end: int, fault: Kind | None) -> None:
        if fault == "drip":
            self.close_connection = True
            while start < end and not self.store.ended.wait(0.05):
                self.connection.sendall(os.pread(fd, 1, start))
                start += 1
            return
        if fault == "html":
            self.connection.sendall(b"<html>" + b" " * (end - start - 6))
            return
        if fault == "cut":
            end = start + (end - start) // 2
            self.close_connection = True
        while start < end:
            count = os.sendfile(self.connection.fileno(), fd, start, end - start)
            start += count
            with self.store.lock:
                self.store.sent_bytes += count


def main() -> None:
    """Serve a folder in a process of its own: `python -m tests.loaders.s3 FOLDER PORT LATENCY_S`.

    Prints the port, then for each line that comes in the bytes sent so far; ends at the end of the input.
    """
    folder, port, latency = sys.argv[1:]
    with serving(Path(folder), port=int(port)) as store:
        store.latency_s = float(latency)
        sys.stdout.write(f"{store.port}\n")
        sys.stdout.flush()
        for _ in sys.stdin:
            sys.stdout.write(f"{store.sent_bytes}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
