"""Ranges of files behind an HTTP server, over connections that are kept and can be shut from another thread.

The S3 and HTTP clients of pyarrow and fsspec were tried first: pyarrow 26 hands out uninitialised memory as data when
an answer is shorter than the range, and does not let the process end while a server drips (reliability.md, M9).
"""

from __future__ import annotations

import http.client
import re
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote, urlsplit

from loaders.errors import CorruptionError, StorageError
from loaders.stores.attempts import Attempt, TransientError

_RANGE = re.compile(r"bytes (?:[0-9]+-[0-9]+|\*)/([0-9]+|\*)")
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_KEPT_IDLE = 64
_ERROR_BYTES = 4096

Headers = Mapping[str, str]
Authorise = Callable[[str, str, Headers], Headers]
"""From method, encoded path and headers to all headers to send, those that prove who asks among them."""


class HttpSource:
    """The files below a URL."""

    def __init__(
        self,
        url: str,
        *,
        root: str | None = None,
        timeout_s: float,
        authorise: Authorise | None = None,
    ) -> None:
        """Make a source; nothing is asked yet.

        Args:
            url: Its path is the folder, percent-encoded; user, password and query are sent with each request.
            root: What to call it in messages; None takes the URL without user, password and query.
            timeout_s: Longest silence of the server, in seconds.
            authorise: How to sign a request; None sends the user and password of the URL, if any.
        """
        found = urlsplit(url)
        self.root = root or f"{found.scheme}://{_host(found.hostname, found.port)}{found.path.rstrip('/')}"
        self._secure = found.scheme == "https"
        self._host, self._port = found.hostname or "", found.port
        self._path, self._query = found.path.rstrip("/"), f"?{found.query}" if found.query else ""
        self._authorise = authorise or _basic(found.username, found.password)
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context() if self._secure else None
        self._idle: list[http.client.HTTPConnection] = []
        self._buffers = threading.local()
        self._is_closed = False

    def size(self, name: str, attempt: Attempt) -> int:
        """Return the bytes of a file."""
        connection, answer = self._ask("HEAD", name, {}, attempt)
        try:
            self._check_status(name, answer, (200,))
            length = answer.getheader("Content-Length", "")
            answer.read()
        except BaseException:
            connection.close()
            raise
        self._keep(connection, answer, attempt)
        if not length.isdigit():
            raise StorageError(f"{self.root}/{name}: the server does not say how long it is")
        return int(length)

    def fetch(self, name: str, start: int, length: int, attempt: Attempt) -> memoryview:
        """Return a range; valid until the next call in this thread."""
        headers = {"range": f"bytes={start}-{start + length - 1}"}
        connection, answer = self._ask("GET", name, headers, attempt)
        try:
            is_whole = start == 0 and answer.length == length
            self._check_status(name, answer, (200, 206) if is_whole else (206,))
            self._check_length(name, answer, start, length)
            view = self._buffer(length)
            at = 0
            while at < length:
                count = answer.readinto(view[at:])
                if not count:
                    raise TransientError(f"the answer ended after {at:,} of {length:,} bytes")
                at += count
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if isinstance(error, (StorageError, CorruptionError, FileNotFoundError)):
                raise
            raise TransientError(_said(error)) from None
        except BaseException:
            connection.close()
            raise
        self._keep(connection, answer, attempt)
        return view

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    def _ask(
        self, method: str, name: str, headers: Headers, attempt: Attempt
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        path = f"{self._path}/{quote(name, safe='-._~/')}"
        while True:
            connection, is_used = self._connection()
            try:
                if connection.sock is None:
                    connection.connect()
                attempt.uses(connection.sock)
                named = {"host": _host(self._host, self._port), **headers}
                connection.request(method, path + self._query, headers=dict(self._authorise(method, path, named)))
                return connection, connection.getresponse()
            except ssl.SSLCertVerificationError as error:
                connection.close()
                raise StorageError(f"{self.root}: the certificate is not trusted: {error.verify_message}") from None
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # The server may have closed a connection while it was idle: that is no failure, ask again.
                if is_used and isinstance(error, ConnectionError) and not attempt.is_given_up:
                    continue
                raise TransientError(_said(error)) from None
            except BaseException:
                connection.close()
                raise

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        try:
            return self._idle.pop(), True
        except IndexError:
            pass
        if self._tls is not None:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=self._tls
            ), False
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s), False

    def _keep(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, attempt: Attempt
    ) -> None:
        attempt.uses(None)
        usable = answer.isclosed() and connection.sock is not None and not attempt.is_given_up
        if usable and not self._is_closed and len(self._idle) < _KEPT_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def _buffer(self, length: int) -> memoryview:
        kept: bytearray | None = getattr(self._buffers, "kept", None)
        if kept is None or len(kept) < length:
            kept = self._buffers.kept = bytearray(length)
        return memoryview(kept)[:length]

    def _check_status(self, name: str, answer: http.client.HTTPResponse, good: tuple[int, ...]) -> None:
        status, place = answer.status, f"{self.root}/{name}"
        if status in good:
            return
        if status == 404:
            raise FileNotFoundError(f"there is no {place}")
        if status == 416:
            raise CorruptionError(f"{place} is shorter than was published; publish it again", file=place)
        if status == 200:
            raise StorageError(f"{place}: the server answers a range with the whole file; it does not serve ranges")
        found = _CODE.search(answer.read(_ERROR_BYTES)) if answer.headers.get("Content-Length") != "0" else None
        said = f"{status} {found[1].decode() if found else answer.reason}"
        if status in (408, 425, 429) or status >= 500:
            raise TransientError(f"the server answered {said}")
        raise StorageError(f"{place}: the server answered {said}{_advice(status, answer)}")

    def _check_length(self, name: str, answer: http.client.HTTPResponse, start: int, length: int) -> None:
        place = f"{self.root}/{name}"
        stated = _RANGE.fullmatch(answer.getheader("Content-Range", ""))
        if stated and stated[1] != "*" and int(stated[1]) < start + length:
            raise CorruptionError(
                f"{place} ends at byte {int(stated[1]):,}, expected {start + length:,} or more; publish it again",
                file=place,
            )
        if answer.length != length:
            raise TransientError(f"the server announced {answer.length} bytes instead of {length}")


def _host(name: str | None, port: int | None) -> str:
    shown = f"[{name}]" if name and ":" in name else name or ""
    return shown if port is None else f"{shown}:{port}"


def _basic(user: str | None, password: str | None) -> Authorise:
    if user is None:
        return lambda method, path, headers: headers
    token = b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()
    return lambda method, path, headers: {**headers, "authorization": f"Basic {token}"}


def _said(error: Exception) -> str:
    """Return what happened, without the request."""
    if isinstance(error, TimeoutError):
        return "the server fell silent"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _advice(status: int, answer: http.client.HTTPResponse) -> str:
    if region := answer.getheader("x-amz-bucket-region"):
        return f"; the bucket lies in region {region}"
    if status in (401, 403):
        return "; are the keys in the environment right, and may they read this?"
    if status // 100 == 3:
        return "; the folder has moved, give its new address"
    return ""
