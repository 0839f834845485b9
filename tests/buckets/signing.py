"""One signed request to an S3 server in the standard library alone: what no client of ours can say, as a test needs it.

Signature version 4; the rules are those of the S3 API reference, "Signature Calculations for the Authorization Header".
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit


@dataclass(frozen=True)
class Keys:
    """Who asks."""

    access: str
    secret: str
    region: str = "us-east-1"


@dataclass(frozen=True)
class Answer:
    """What came back; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(
    endpoint: str,
    keys: Keys,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout_s: float = 10.0,
) -> Answer:
    """Send one signed request on a connection of its own; `path` as in `/bucket/key`, not yet quoted.

    Raises:
        OSError: If the connection fails.
        http.client.HTTPException: If the answer is no HTTP, or shorter than it says (`IncompleteRead`).
    """
    host = urlsplit(endpoint).netloc
    quoted = quote(path, safe="/-_.~")
    asked = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted((query or {}).items()))
    sent = signed_headers(keys, method, host, quoted, asked, headers or {}, body)
    connection = http.client.HTTPConnection(host, timeout=timeout_s)
    try:
        connection.request(method, quoted + ("?" + asked if asked else ""), body=body or None, headers=sent)
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def signed_headers(
    keys: Keys, method: str, host: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> dict[str, str]:
    """Return `headers` with those of the signature; path and query as they go out."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    sent = {**headers, "Host": host, "x-amz-date": now, "x-amz-content-sha256": digest}
    named = sorted((name.lower(), value.strip()) for name, value in sent.items())
    names = ";".join(name for name, _ in named)
    request = "\n".join([method, path, query, *(f"{name}:{value}" for name, value in named), "", names, digest])
    scope = f"{now[:8]}/{keys.region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{keys.secret}".encode()
    for step in scope.split("/"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "Authorization": f"AWS4-HMAC-SHA256 {credential}"}
