"""Where a role is asked for, on loopback: STS with a web identity, a container's and an instance's endpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.loaders.s3 import Kind

KEY, SECRET, TOKEN = "AKIDCANARY", "canary-secret-9f2e", "canary-token-77ab"

_UNTIL = "2099-01-01T00:00:00Z"
_STS = f"""<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
<SessionToken>{TOKEN}</SessionToken><SecretAccessKey>{SECRET}</SecretAccessKey><Expiration>{_UNTIL}</Expiration>
<AccessKeyId>{KEY}</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
_JSON = json.dumps({"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2025-01-01T00:00:00Z", "AccessKeyId": KEY,
                    "SecretAccessKey": SECRET, "Token": TOKEN, "Expiration": _UNTIL})  # fmt: skip


@dataclass
class Roles:
    """What a test sets."""

    port: int = 0
    fault: Kind | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def roles_serving() -> Iterator[Roles]:
    """Answer until the end of the block."""
    roles = Roles()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"roles": roles}))
    server.daemon_threads, server.block_on_close = True, False
    roles.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield roles
    finally:
        roles.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    roles: Roles
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(_STS)

    def do_PUT(self) -> None:
        self._answer(TOKEN)

    def do_GET(self) -> None:
        if self.path == "/container" and self.headers.get("Authorization") != TOKEN:
            self._send(403, "{}")
        elif self.path.endswith("/security-credentials/"):
            self._answer("the-role")
        else:
            self._answer(_STS if self.path.startswith("/?") else _JSON)

    def _answer(self, text: str) -> None:
        fault = self.roles.fault
        if fault == "dead":
            self.roles.ended.wait()
            self.close_connection = True
        elif fault == "cut":
            self.close_connection = True
            self._send(200, text, sent=len(text) // 2)
        elif fault == "html":
            self._send(200, "<html>")
        elif fault is not None:
            self._send(int(fault), f"{SECRET} {TOKEN}")
        else:
            self._send(200, text)

    def _send(self, status: int, text: str, *, sent: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode()[:sent])
