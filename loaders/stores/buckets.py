"""Buckets and web servers, by obstore: what a URL and its options mean to it.

Keys come from where each cloud's own tools look for them: the environment, a profile, or a role of the machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from loaders.errors import FormatError
from loaders.stores.bucket_source import BucketSource
from loaders.stores.remote import RemoteFiles
from loaders.stores.saying import without_secrets
from loaders.stores.storage import StorageOptions

if TYPE_CHECKING:
    from obstore.store import ClientConfig, MemoryStore, ObjectStore, RetryConfig

_S3_NAMES = ("endpoint_override", "region", "scheme", "anonymous", "profile", "keys_from")
"""Options of `s3://`."""

_SILENCE_OF_DEADLINE = 3
"""A connection may be silent for this part of the deadline, so that other tries have time left."""

_CONNECT_S = 5.0

_memories: dict[str, MemoryStore] = {}


def open_s3(url: str, options: StorageOptions) -> RemoteFiles:
    """Open `s3://bucket/folder`.

    Raises:
        FormatError: If the URL names no bucket, or an option is not known.
    """
    from obstore.store import S3Store

    from loaders.stores.aws_keys import aws_keys

    found = _split(url, "endpoint and region are options, keys are environment, profile or role")
    given = options.options
    if unknown := sorted(set(given) - set(_S3_NAMES)):
        raise FormatError(f"unknown options for s3://: {unknown}; known: {list(_S3_NAMES)}")
    named = {name: str(given.get(of) or "") for name, of in (("profile_name", "profile"), ("keys_from", "keys_from"))}
    keys = None if given.get("anonymous") else aws_keys(**named)
    region = given.get("region") or _environment("AWS_REGION", "AWS_DEFAULT_REGION") or (keys and keys.region)
    endpoint = str(given.get("endpoint_override") or _environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") or "")
    scheme = str(given.get("scheme") or "https")
    if scheme not in ("http", "https"):
        raise FormatError(f"scheme must be http or https, found {scheme!r}")
    config: dict[str, object] = {"region": str(region or "us-east-1")}
    if endpoint:
        config["endpoint"] = endpoint.rstrip("/") if "://" in endpoint else f"{scheme}://{endpoint.rstrip('/')}"
    else:  # no certificate fits a bucket with a dot in front of the host
        config["virtual_hosted_style_request"] = "." not in found.netloc
    if given.get("anonymous"):
        config["skip_signature"] = True
    store = S3Store(
        found.netloc,
        config=config,  # type: ignore[arg-type]
        credential_provider=keys.provider if keys is not None else None,
        client_options=_client(options),
        retry_config=_retries(options),
    )
    return _remote(store, url, found.path, options)


def open_gs(url: str, options: StorageOptions) -> RemoteFiles:
    """Open `gs://bucket/folder`; raises like `open_s3`."""
    from obstore.store import GCSStore

    found = _split(url, "keys are environment or role")
    config = _renamed(url, options.options, {"endpoint_override": "base_url", "anonymous": "skip_signature"})
    if (base := config.get("base_url")) is not None and "://" not in str(base):
        config["base_url"] = f"{options.options.get('scheme') or 'https'}://{base}"
    store = GCSStore(
        found.netloc,
        config=config,  # type: ignore[arg-type]
        client_options=_client(options),
        retry_config=_retries(options),
    )
    return _remote(store, url, found.path, options)


def open_az(url: str, options: StorageOptions) -> RemoteFiles:
    """Open `az://container/folder` or `abfss://container@account.dfs.core.windows.net/folder`, like `open_s3`."""
    from obstore.store import AzureStore

    found = urlsplit(url)
    container, _, host = found.netloc.partition("@")
    if not container or found.query:
        raise FormatError("an Azure address is az://container/folder; the account and its key are environment")
    config = _renamed(url, options.options, {"endpoint_override": "endpoint", "anonymous": "skip_signature"})
    if account := options.options.get("account_name") or host.partition(".")[0]:
        config["account_name"] = account
    store = AzureStore(
        container,
        config=config,  # type: ignore[arg-type]
        client_options=_client(options),
        retry_config=_retries(options),
    )
    return _remote(store, f"{found.scheme}://{container}{found.path}", found.path, options)


def open_http(url: str, options: StorageOptions) -> RemoteFiles:
    """Open a folder of a web server, to read from it; user, password and query are sent with each request.

    Raises:
        FormatError: If the URL names no host.
    """
    from obstore.store import HTTPStore

    found = urlsplit(url)
    if not found.hostname:
        raise FormatError(f"{without_secrets(url)} names no host")
    path = found.path.rstrip("/")
    store = HTTPStore.from_url(
        found._replace(path=path).geturl(),
        client_options=_client(options),
        retry_config=_retries(options),
    )
    return RemoteFiles(BucketSource(store, "", _root(found, path), is_web=True), options)


def open_memory(url: str, options: StorageOptions) -> RemoteFiles:
    """Open `memory://name/folder`: what this process has put there, for tests."""
    from obstore.store import MemoryStore

    found = urlsplit(url)
    store = _memories.setdefault(found.netloc, MemoryStore())
    return _remote(store, url, found.path, options)


def _split(url: str, advice: str) -> SplitResult:
    found = urlsplit(url)
    if not found.hostname or found.query or "@" in found.netloc:
        raise FormatError(f"a bucket's address is {found.scheme}://bucket/folder; {advice}")
    return found


def _renamed(url: str, given: Mapping[str, object], names: Mapping[str, str]) -> dict[str, object]:
    known = {*names, "scheme", "account_name"}
    if unknown := sorted(set(given) - known):
        raise FormatError(f"unknown options for {url.split('://')[0]}://: {unknown}; known: {sorted(known)}")
    return {names[name]: value for name, value in given.items() if name in names}


def _remote(store: ObjectStore, url: str, path: str, options: StorageOptions) -> RemoteFiles:
    return RemoteFiles(BucketSource(store, path.strip("/"), without_secrets(url).rstrip("/")), options)


def _root(found: SplitResult, path: str) -> str:
    host = f"[{found.hostname}]" if ":" in (found.hostname or "") else found.hostname
    port = "" if found.port is None else f":{found.port}"
    return f"{found.scheme}://{host}{port}{path}"


def _client(options: StorageOptions) -> ClientConfig:
    silence = timedelta(seconds=options.deadline_s / _SILENCE_OF_DEADLINE)
    return {
        "allow_http": True,
        "connect_timeout": min(silence, timedelta(seconds=_CONNECT_S)),
        "read_timeout": silence,
        "timeout": timedelta(seconds=options.deadline_s),
    }


def _retries(options: StorageOptions) -> RetryConfig:
    """Return none: `RemoteFiles` tries again, within its deadline, more than what obstore tries again."""
    return {"max_retries": 0, "retry_timeout": timedelta(seconds=options.deadline_s)}


def _environment(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)
