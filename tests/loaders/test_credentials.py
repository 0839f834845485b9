"""S3 with keys, profiles and roles: every fault of the store ends in the right bytes or a named error, in time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loaders import ReadOptions, make_reader
from loaders.errors import CorruptionError, DeadlineError, FormatError, StorageError
from loaders.stores.schemes import open_files
from loaders.stores.storage import StorageOptions
from tests.lanes import BUSY_S
from tests.loaders.roles import KEY, SECRET, TOKEN, Roles, roles_serving
from tests.loaders.s3 import Fault, Kind, Store, serving

DATA = os.urandom(1 << 18)
PART = 1 << 16
CREDENTIALS = ("keys", "profile", "command", "web identity", "container", "instance")

ENDS: dict[Kind, type[Exception]] = {
    "503": StorageError, "429": StorageError, "500": StorageError, "cut": StorageError, "short": StorageError,
    "reset": StorageError, "403": StorageError, "404": FileNotFoundError, "416": CorruptionError,
    "dead": DeadlineError, "drip": DeadlineError, "slow": DeadlineError,
}  # fmt: skip
"""How a read ends if each of its requests meets the fault."""

PASSING = ("503", "429", "500", "cut", "short", "reset")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "s3" / "bucket").mkdir(parents=True)
    (tmp_path / "s3" / "bucket" / "a").write_bytes(DATA)
    with serving(tmp_path / "s3") as store:
        yield store


@pytest.fixture
def roles() -> Iterator[Roles]:
    with roles_serving() as roles:
        yield roles


@pytest.fixture(params=CREDENTIALS)
def known(request: pytest.FixtureRequest, tmp_path: Path, roles: Roles, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the process one kind of credentials, and no other."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environment(request.param, tmp_path, roles).items():
        monkeypatch.setenv(name, value)
    return str(request.param)


def environment(kind: str, home: Path, roles: Roles) -> dict[str, str]:
    folder = home / ".aws"
    folder.mkdir()
    if kind == "keys":
        return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
    if kind == "profile":
        (folder / "config").write_text("[profile work]\nregion = eu-central-1\n")
        (folder / "credentials").write_text(f"[work]\naws_access_key_id={KEY}\naws_secret_access_key = {SECRET}\n")
        return {"AWS_PROFILE": "work"}
    if kind == "command":
        told = f'{{"Version": 1, "AccessKeyId": "{KEY}", "SecretAccessKey": "{SECRET}", "SessionToken": "{TOKEN}"}}'
        (home / "told.json").write_text(told)
        (folder / "config").write_text(f"[default]\ncredential_process = cat {home}/told.json\n")
        return {}
    if kind == "web identity":
        (home / "token").write_text(TOKEN)
        return {"AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": str(home / "token"),
                "AWS_ENDPOINT_URL_STS": roles.url}  # fmt: skip
    if kind == "container":
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{roles.url}/container",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(_written(home / "token", TOKEN))}  # fmt: skip
    return {"AWS_METADATA_ENDPOINT": roles.url}


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def signed(store: Store, **settings: object) -> StorageOptions:
    where = {"endpoint_override": f"127.0.0.1:{store.port}", "scheme": "http"}
    return StorageOptions(options=where, part_bytes=PART, **settings)  # type: ignore[arg-type]


def test_every_read_is_signed_with_the_keys_that_are_there(store: Store, known: str) -> None:
    files = open_files("s3://bucket", signed(store))
    assert files.read("a", 5, 3 * PART) == DATA[5 : 5 + 3 * PART]
    files.close()
    assert all(f"Credential={KEY}/" in text for text in store.authorizations)
    if known == "profile":
        assert "/eu-central-1/s3/" in store.authorizations[0]


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_gives_the_right_bytes(store: Store, known: str, kind: Kind) -> None:
    store.faults.append(Fault(kind, times=3))
    files = open_files("s3://bucket", signed(store))
    assert files.read("a", 5, 3 * PART) == DATA[5 : 5 + 3 * PART]
    files.close()


@pytest.mark.parametrize("kind", ENDS)
def test_a_fault_that_stays_is_a_named_error_in_time_without_a_secret(store: Store, known: str, kind: Kind) -> None:
    store.faults.append(Fault(kind, times=1000))
    files = open_files("s3://bucket", signed(store, deadline_s=0.6, tries=2 if kind in PASSING else 8))
    began = time.monotonic()
    with pytest.raises(ENDS[kind], match="s3://bucket/a") as caught:
        files.read("a", 5, 3 * PART)
    assert time.monotonic() - began < 1 + BUSY_S  # the deadline is 0.6 s
    assert not any(secret in str(caught.value) for secret in (KEY, SECRET, TOKEN))
    files.close()


def test_a_page_of_html_for_data_is_an_error_of_the_reader(published: Path, known: str) -> None:
    with serving(published.parent) as store:
        store.faults.append(Fault("html", times=1000, path=".parquet"))
        url, options = f"s3://{published.name}/train", ReadOptions(storage=signed(store), tail="ragged")
        with (
            pytest.raises(CorruptionError, match="s3://"),
            make_reader(url, batch_size=7, columns=["entity_id"], shuffle=None, options=options) as reader,
        ):
            next(reader)


@pytest.mark.parametrize("known", ["web identity", "container", "instance"], indirect=True)
@pytest.mark.parametrize("kind", ["500", "403", "404", "dead", "cut", "html"])
def test_a_role_that_cannot_be_had_is_a_named_error_in_time(
    store: Store, roles: Roles, known: str, kind: Kind
) -> None:
    roles.fault = kind
    files = open_files("s3://bucket", signed(store, deadline_s=0.6, tries=2))
    began = time.monotonic()
    with pytest.raises((StorageError, DeadlineError), match="s3://bucket/a") as caught:
        files.read("a", 5, 9)
    assert time.monotonic() - began < 1 + BUSY_S  # the deadline is 0.6 s
    assert not any(secret in str(caught.value) for secret in (KEY, SECRET, TOKEN))
    files.close()
    assert store.authorizations == []


@pytest.mark.parametrize("known", ["keys"], indirect=True)
def test_keys_are_looked_up_again_and_a_reader_that_is_open_takes_the_new_ones(
    store: Store, known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.stores.aws_web_identity._LOOK_AGAIN_S", 0.0)
    files = open_files("s3://bucket", signed(store))
    assert files.read("a", 0, 9) == DATA[:9]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "RENEWED")
    assert files.read("a", 0, 9) == DATA[:9]
    assert [text.split("Credential=")[1].split("/")[0] for text in store.authorizations] == [KEY, "RENEWED"]
    files.close()


@pytest.mark.parametrize("known", ["keys"], indirect=True)
def test_profiles_that_cannot_be_used_are_named(
    store: Store, known: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "gone")
    with pytest.raises(FormatError, match="AWS_PROFILE names gone, which is neither in"):
        open_files("s3://bucket", signed(store))
    (tmp_path / ".aws" / "config").write_text("[profile gone]\nrole_arn = r\nsource_profile = x\n")
    with pytest.raises(FormatError, match="by source_profile, .*credential_process = aws configure export-credentials"):
        open_files("s3://bucket", signed(store))
    (tmp_path / ".aws" / "config").write_text("[profile gone]\ncredential_process = false\n")
    files = open_files("s3://bucket", signed(store, tries=2))
    with pytest.raises(StorageError, match="credential_process of the AWS profile failed"):
        files.read("a", 0, 9)
    files.close()
    (tmp_path / ".aws" / "config").write_text("no section = 1\n")
    with pytest.raises(FormatError, match="config is no file of AWS profiles"):
        open_files("s3://bucket", signed(store))
