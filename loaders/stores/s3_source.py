"""`s3://bucket/prefix` as an HTTP address with signed requests (AWS Signature Version 4)."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from loaders.errors import FormatError
from loaders.stores.http_source import Authorise, Headers, HttpSource

_EMPTY = hashlib.sha256(b"").hexdigest()
_KNOWN = ("endpoint_override", "region", "scheme", "anonymous")


def has_keys(options: Mapping[str, object], environment: Mapping[str, str] = os.environ) -> bool:
    """Whether requests can be signed, or need not be: keys in the environment, or `anonymous`."""
    return bool(options.get("anonymous") or environment.get("AWS_ACCESS_KEY_ID"))


def s3_source(url: str, options: Mapping[str, object], *, timeout_s: float) -> HttpSource:
    """Return the files below an `s3://` URL.

    Raises:
        FormatError: If the URL names no bucket, or an option is not known.
    """
    found = urlsplit(url)
    if not found.hostname or found.query or "@" in found.netloc:
        raise FormatError("an S3 address is s3://bucket/folder; endpoint and region are options, keys are environment")
    if unknown := sorted(set(options) - set(_KNOWN)):
        raise FormatError(f"unknown options for s3://: {unknown}; known: {list(_KNOWN)}")
    bucket, prefix = found.netloc, quote(found.path.strip("/"), safe="-._~/")
    region = str(options.get("region") or _environment("AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1")
    endpoint = str(options.get("endpoint_override") or _environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") or "")
    scheme = str(options.get("scheme") or "https")
    if "://" in endpoint:
        scheme, endpoint = endpoint.split("://", 1)
    if scheme not in ("http", "https"):
        raise FormatError(f"scheme must be http or https, found {scheme!r}")
    if endpoint:
        address = f"{scheme}://{endpoint.rstrip('/')}/{bucket}/{prefix}"
    elif "." in bucket:  # no certificate fits such a name in front of the host
        address = f"{scheme}://s3.{region}.amazonaws.com/{bucket}/{prefix}"
    else:
        address = f"{scheme}://{bucket}.s3.{region}.amazonaws.com/{prefix}"
    root = f"s3://{bucket}/{found.path.strip('/')}".rstrip("/")
    authorise = None if options.get("anonymous") else signer(region)
    return HttpSource(address, root=root, timeout_s=timeout_s, authorise=authorise)


def signer(
    region: str, now: Callable[[], datetime] = lambda: datetime.now(UTC), environment: Mapping[str, str] = os.environ
) -> Authorise:
    """Return a function that signs a request without a body.

    The keys are read from the environment each time: a process that lives long may renew them.
    """

    def sign(method: str, path: str, given: Headers) -> Headers:
        time = now().strftime("%Y%m%dT%H%M%SZ")
        headers = {**given, "x-amz-content-sha256": _EMPTY, "x-amz-date": time}
        if token := environment.get("AWS_SESSION_TOKEN"):
            headers["x-amz-security-token"] = token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = f"{method}\n{path}\n\n{lines}\n{names}\n{_EMPTY}"
        scope = f"{time[:8]}/{region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{environment.get('AWS_SECRET_ACCESS_KEY', '')}".encode()
        for step in (time[:8], region, "s3", "aws4_request"):
            key = hmac.digest(key, step.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        who = f"{environment.get('AWS_ACCESS_KEY_ID', '')}/{scope}"
        value = f"AWS4-HMAC-SHA256 Credential={who}, SignedHeaders={names}, Signature={signature}"
        return {**headers, "authorization": value}

    return sign


def _environment(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)
