"""How Spark is told of the bucket of a lake: as obstore is, and without a key."""

from __future__ import annotations

import pytest

from lakehouse.config import StoreConfig
from lakehouse.errors import ConfigError
from lakehouse.spark import s3a
from lakehouse.spark.s3a import s3a_settings, s3a_url

KEYS = {"AWS_ACCESS_KEY_ID": "canary-key", "AWS_SECRET_ACCESS_KEY": "canary-secret"}


def settings(environ: dict[str, str], **store: object) -> dict[str, str]:
    found = s3a_settings("s3://bucket/a lake", StoreConfig(url="s3://bucket", **store), environ)  # type: ignore[arg-type]
    assert "canary" not in str(found)
    assert all(name.startswith("fs.s3a.bucket.bucket.") for name in found)
    return {name.removeprefix("fs.s3a.bucket.bucket."): value for name, value in found.items()}


def test_an_address_keeps_its_key_as_it_is() -> None:
    assert s3a_url("s3://bucket/a lake/#1") == "s3a://bucket/a lake/#1"
    with pytest.raises(ConfigError, match="a Spark cluster reads lakes in s3:// alone"):
        s3a_url("gs://bucket/lake")


def test_keys_of_the_environment_are_named_and_never_told() -> None:
    found = settings(KEYS)
    assert found["access.key"] == "${env.AWS_ACCESS_KEY_ID}"
    assert found["secret.key"] == "${env.AWS_SECRET_ACCESS_KEY}"
    assert found["aws.credentials.provider"] == s3a.KEYS
    found = settings(KEYS | {"AWS_SESSION_TOKEN": "canary-token"})
    assert found["session.token"] == "${env.AWS_SESSION_TOKEN}"
    assert found["aws.credentials.provider"] == s3a.KEYS_OF_SESSION
    assert settings(KEYS, keys_from="THEIRS")["access.key"] == "${env.THEIRS_ACCESS_KEY_ID}"


@pytest.mark.parametrize(
    ("environ", "store", "provider"),
    [
        (KEYS, {"anonymous": True}, s3a.ANONYMOUS),
        (KEYS, {"profile": "lab"}, s3a.PROFILE),
        ({"AWS_PROFILE": "lab"}, {}, s3a.PROFILE),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_PROFILE": "lab"}, {}, s3a.WEB_IDENTITY),
        ({}, {}, s3a.ROLE),
    ],
)
def test_others_are_found_where_obstore_finds_them(environ, store, provider) -> None:
    found = settings(environ, **store)
    assert found["aws.credentials.provider"] == provider
    assert found.get("auth.profile.name") == ("lab" if provider == s3a.PROFILE else None)
    assert "access.key" not in found


def test_a_server_of_ones_own_is_reached_by_its_address() -> None:
    named = ("endpoint", "path.style.access", "connection.ssl.enabled", "endpoint.region")
    found = settings({"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "eu-west-1"})
    assert [found[name] for name in named] == ["http://127.0.0.1:9", "true", "false", "eu-west-1"]
    found = settings({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, endpoint="https://minio.example.org", region="x")
    assert [found[name] for name in named] == ["https://minio.example.org", "true", "true", "x"]
    assert "endpoint" not in settings({})
