"""Who may ask the server, and what a browser may do with its answers.

The address has a token that is known to who started the server alone; it becomes a cookie which no other site can send
(SameSite) and no script can read. A host that is not ours is refused, whatever its name resolves to (DNS rebinding),
and so is every request that another origin makes.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse.viewing.built import POLICY

COOKIE = "petrel"
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}
LARGEST_BODY = 1 << 20


class Guard:
    """Lets through what comes from the page itself, with the token.

    Args:
        app: What answers.
        token: Secret of this server.
        hosts: Values of the header Host that are ours.
    """

    def __init__(self, app: ASGIApp, *, token: str, hosts: Collection[str]) -> None:
        self._app, self._token, self._hosts = app, token, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or exchange the token for a cookie."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("host", "") not in self._hosts:
            await _say(send, 421, "this server answers to its own address alone")
            return
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{host}" for host in self._hosts}:
            await _say(send, 403, "requests of other origins are refused")
            return
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            await _say(send, 403, "requests of other sites are refused")
            return
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and asked and hmac.compare_digest(asked.encode(), self._token.encode()):
            cookie = f"{self._name(headers)}={self._token}; Path=/; HttpOnly; SameSite=Strict"
            await _say(send, 303, "", [(b"location", b"/"), (b"set-cookie", cookie.encode())])
            return
        if not hmac.compare_digest(self._given(headers).encode(), self._token.encode()):
            await _say(send, 403, "open the address that `petrel view` printed: it has the token that is missing here")
            return
        # Both servers that uvicorn has let nothing but digits through.
        if int(headers.get("content-length") or 0) > LARGEST_BODY:
            await _say(send, 413, f"more than {LARGEST_BODY:,} bytes")
            return
        taken = 0

        async def bounded() -> Message:
            # A body in chunks does not say before how long it is.
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY:
                raise HTTPException(413, f"more than {LARGEST_BODY:,} bytes")
            return message

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = {name.lower() for name, _ in message["headers"]}
                more = [(name, value) for name, value in HEADERS.items() if name not in told]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, bounded, guarded)

    def _name(self, headers: dict[str, str]) -> str:
        # Cookies know no ports: two servers on one machine must not take each other's.
        return f"{COOKIE}_{headers['host'].rpartition(':')[2]}"

    def _given(self, headers: dict[str, str]) -> str:
        if "x-petrel-token" in headers:
            return headers["x-petrel-token"]
        wanted = self._name(headers)
        for part in headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == wanted:
                return value
        return ""


async def _say(send: Send, status: int, text: str, more: Collection[tuple[bytes, bytes]] = ()) -> None:
    headers: list[Any] = [(b"content-type", b"text/plain; charset=utf-8"), *HEADERS.items(), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
