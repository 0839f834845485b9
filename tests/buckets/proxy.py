"""A proxy on loopback in front of an S3 server, which injects faults and remembers every request.

    with standing_before(server.endpoint) as proxy:
        shaky = bucket.through(proxy.endpoint)
        proxy.latency_s = 0.02                                   # added to every answer
        with proxy.injecting(Chance(("503", "lost"), rate=0.2, seed=7)):
            ...
        assert proxy.struck() == {"503": 11, "lost": 4}

Signatures stay whole: a request goes on with the host for which it was signed. Every one goes on once, on a connection
of its own, so that nothing is done twice that the client asked for once.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from tests.buckets.faults import Chance, Fault, Kind, Request, refusal

_BETWEEN_TWO = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length"}
"""Headers about one connection, which are not handed on; the length is told anew."""

_MADE_UP = {"uploadId", "continuation-token"}
"""Of the query, what a server chose by lot."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request, and what became of it."""

    request: Request
    fault: Kind | None
    status: int | None  # of the server; None where it was not asked
    condition: str = ""  # as `If-None-Match: *` or `If-Match: "etag"`
    copied: str = ""  # bucket and key that the server was asked to copy from
    storage_class: str = ""  # that a written object is to have

    @property
    def method(self) -> str:
        """As `PUT`."""
        return self.request.method

    @property
    def key(self) -> str:
        """Without the bucket; "" for a listing."""
        return self.request.key


@dataclass
class Proxy:
    """What a test sets and reads."""

    server: str  # host:port
    endpoint: str = ""
    faults: list[Fault | Chance] = field(default_factory=list)  # the first that meets a request strikes
    latency_s: float = 0.0
    slow_s: float = 3.0  # of the fault `slow`
    seen: list[Seen] = field(default_factory=list)
    _times: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _listings: dict[str, Answer] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def injecting(self, *faults: Fault | Chance) -> Iterator[Proxy]:
        """Have these faults until the end of the block, and none after it."""
        self.faults[:] = faults
        try:
            yield self
        finally:
            self.faults.clear()

    def struck(self) -> Counter[Kind]:
        """Return how often each kind of fault was injected."""
        return Counter(seen.fault for seen in list(self.seen) if seen.fault)

    def asked(self, method: str = "", key: str = "") -> list[Seen]:
        """Return the requests of a method whose key holds `key`, in the order of their answers."""
        return [seen for seen in list(self.seen) if method in ("", seen.method) and key in seen.key]

    def forget(self) -> None:
        """Start counting anew; a request that comes again is a first one."""
        with self._lock:
            self.seen.clear()
            self._times.clear()

    def _meet(self, method: str, target: str) -> tuple[Request, Kind | None]:
        """Return what is asked, and what strikes it."""
        found = urlsplit(target)
        _, _, key = unquote(found.path).lstrip("/").partition("/")
        query = dict(parse_qsl(found.query, keep_blank_values=True))
        asked = urlencode(
            sorted((k, "" if k in _MADE_UP else v) for k, v in query.items() if not k.startswith("X-Amz"))
        )
        is_listing = method == "GET" and not key and ("list-type" in query or "prefix" in query)
        with self._lock:
            self._times[method, key, asked] += 1
            request = Request(method, key, asked, self._times[method, key, asked], is_listing, target in self._listings)
            for fault in self.faults:
                if isinstance(fault, Chance):
                    if kind := fault.draw(request):
                        return request, kind
                elif fault.meets(method, unquote(found.path)) and request.can_meet(fault.kind):
                    fault.times -= 1
                    return request, fault.kind
        return request, None

    def _note(self, seen: Seen) -> None:
        with self._lock:
            self.seen.append(seen)

    def _older(self, target: str, answer: Answer | None) -> Answer | None:
        """Return the answer to the same listing before this one, and keep this one."""
        with self._lock:
            older = self._listings.get(target)
            if answer is not None:
                self._listings[target] = answer
            return older


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes
    length: str | None  # as told; of a HEAD it is the length of a body that does not come


@contextmanager
def standing_before(server: str) -> Iterator[Proxy]:
    """Hand on requests to a server, as `http://127.0.0.1:9000`, until the end of the block."""
    proxy = Proxy(urlsplit(server).netloc)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    listener = _Listener(("127.0.0.1", 0), handler)
    proxy.endpoint = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy._ended.set()
        listener.shutdown()
        listener.server_close()
        thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is part of the tests."""

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        assert isinstance(request, socket.socket)
        linger = request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
        if struct.unpack("ii", linger) == (1, 0):
            request.close()  # a reset; after a shutdown the client would see an orderly end
        else:
            super().shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        proxy, body = self.proxy, self._read()
        request, fault = proxy._meet(self.command, self.path)
        proxy._ended.wait(proxy.latency_s + (proxy.slow_s if fault == "slow" else 0.0))
        if fault == "dead":
            self._note(request, fault, None)
            proxy._ended.wait()
            self.close_connection = True
        elif fault == "reset":
            self._note(request, fault, None)
            self._reset()
        elif fault is not None and fault.isdigit():
            self._note(request, fault, None)
            self._refuse(int(fault))
        elif fault == "stale":
            self._note(request, fault, None)
            older = proxy._older(self.path, None)
            assert older is not None
            self._say(older)
        else:
            answer = self._hand_on(body)
            if request.is_listing:
                proxy._older(self.path, answer)
            self._note(request, fault, answer.status)
            self._say_with(answer, fault)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _note(self, request: Request, fault: Kind | None, status: int | None) -> None:
        conditions = [f"{name}: {self.headers[name]}" for name in ("If-Match", "If-None-Match") if name in self.headers]
        copied = unquote(self.headers.get("x-amz-copy-source", "")).lstrip("/")
        self.proxy._note(Seen(request, fault, status, ", ".join(conditions), copied,
                              self.headers.get("x-amz-storage-class", "")))

    def _read(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return body

    def _hand_on(self, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(self.proxy.server, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _BETWEEN_TWO:
                    connection.putheader(name, value)
            if body or "Content-Length" in self.headers or self.command in ("PUT", "POST"):
                connection.putheader("Content-Length", str(len(body)))
            try:
                connection.endheaders(body or None)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the server has refused before it read all of it; the answer is there
            answer = connection.getresponse()
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _BETWEEN_TWO]
            said = answer.read()
            length = answer.headers.get("Content-Length") if self.command == "HEAD" else str(len(said))
            return Answer(answer.status, answer.reason, headers, said, length)
        finally:
            connection.close()

    def _say_with(self, answer: Answer, fault: Kind | None) -> None:
        half = answer.body[: len(answer.body) // 2]
        if fault == "lost":
            self._reset()
        elif fault == "late":
            self._refuse(500)
        elif fault == "cut":
            self._say(replace(answer, body=half))
            self.close_connection = True
        elif fault == "short":
            self._say(replace(answer, body=half, length=str(len(half))))
        elif fault == "html":
            other = b"<html>".ljust(len(answer.body))[: len(answer.body)]
            self._say(replace(answer, body=other))
        elif fault == "drip":
            self._say(replace(answer, body=b""))
            self.close_connection = True
            for place in range(len(answer.body)):
                if self.proxy._ended.wait(0.05):
                    break
                self.wfile.write(answer.body[place : place + 1])
        else:
            self._say(answer)

    def _say(self, answer: Answer) -> None:
        self.send_response_only(answer.status, answer.reason or None)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.length is not None and answer.status not in (204, 304):
            self.send_header("Content-Length", answer.length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _refuse(self, status: int) -> None:
        said = refusal(status)
        self._say(Answer(status, "", [("Content-Type", "application/xml")], said, str(len(said))))

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
