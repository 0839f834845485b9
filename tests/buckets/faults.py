"""How a store of the tests fails: what the client sees, and for which requests.

Fault("503")                                                 # the next request
Fault("lost", times=3, method="PUT", path="_delta_log")      # the next three of these
Chance(("503", "reset"), rate=0.2, seed=7, key=r"\\.json$")   # a fifth of these, always the same ones
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "500", "503", "429", "403", "404", "416", "reset", "lost", "late", "dead", "slow",
    "cut", "short", "html", "drip", "stale",
]  # fmt: skip
"""A number: refused with that status and S3's words for it; nothing was done.
reset: the connection breaks before anything was done. lost: the work was done, then the connection breaks.
late: the work was done, and the answer is 500: clients that try again after it meet what they did themselves.
dead: no answer. slow: the answer comes after seconds.
cut: half of the body, then the end. short: half of the body, and a Content-Length that fits. html: another body of the
same length. drip: 20 bytes a second. stale: the listing that came the last time this was asked."""

_CODES = {
    500: "InternalError",
    503: "SlowDown",
    429: "TooManyRequests",
    403: "AccessDenied",
    404: "NoSuchKey",
    412: "PreconditionFailed",
    416: "InvalidRange",
}


def refusal(status: int) -> bytes:
    """Return the body with which S3 refuses, here with one of the statuses of `Kind` or 412."""
    code = _CODES.get(status, "Other")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()
    )


@dataclass(slots=True)
class Fault:
    """One way to fail, `times` times, for requests of `method` whose path holds `path`."""

    kind: Kind
    times: float = 1
    method: str = ""
    path: str = ""

    def meets(self, method: str, path: str) -> bool:
        """Tell whether it strikes such a request."""
        return self.times > 0 and self.method in ("", method) and self.path in path


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks, as far as faults depend on it."""

    method: str
    key: str  # without bucket; "" for requests about the bucket
    asked: str = ""  # the query in order, without what a server makes up, as names of uploads
    nth: int = 1  # how often the same was asked, with this one
    is_listing: bool = False
    is_known: bool = False  # a listing that was answered before

    def can_meet(self, kind: Kind) -> bool:
        """Tell whether a kind means something here: bodies are cut where one comes, changes lost where one is made."""
        if kind in ("cut", "short", "html", "drip"):
            return self.method == "GET"
        if kind == "stale":
            return self.is_listing and self.is_known
        return kind not in ("lost", "late") or self.method not in ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Chance:
    """Faults by lot: a part of the requests, which method, key, query, count and seed decide.

    The same request meets the same lot in whatever order the requests of several threads come.
    """

    kinds: tuple[Kind, ...]
    rate: float  # 0 to 1
    seed: int
    method: str = ""  # a pattern for the whole, as GET|HEAD; all methods if empty
    key: str = ""  # a pattern that is searched for; all keys if empty

    def draw(self, request: Request) -> Kind | None:
        """Return what strikes a request, or None."""
        kinds = [kind for kind in self.kinds if request.can_meet(kind)]
        if not kinds or not re.fullmatch(self.method or ".*", request.method) or not re.search(self.key, request.key):
            return None
        text = f"{self.seed}\n{request.method}\n{request.key}\n{request.asked}\n{request.nth}"
        lot = hashlib.sha256(text.encode()).digest()
        if int.from_bytes(lot[:8]) >= self.rate * 2**64:
            return None
        return kinds[int.from_bytes(lot[8:16]) % len(kinds)]
