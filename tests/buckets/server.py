"""A real S3 server on loopback for the tests, and buckets on it.

with serving(program, folder) as server:
    bucket = server.make_bucket("photos")
    bucket.store().put("a", b"...")             # obstore
    os.environ.update(bucket.environment())     # obstore, delta-rs, DuckDB, our commands
    bucket.spark_settings()                     # s3a
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.buckets.programs import Program
from tests.buckets.signing import Answer, Keys, ask

if TYPE_CHECKING:
    from obstore.store import S3Store

START_S = 30.0
END_S = 300.0  # it removes what was stored: 100,000 objects take a minute


@dataclass(frozen=True)
class Bucket:
    """A bucket as somebody meets it who was told endpoint, keys and name."""

    endpoint: str  # http://127.0.0.1:PORT, of the server or of a proxy in front of it
    keys: Keys
    name: str

    @property
    def url(self) -> str:
        """`s3://NAME`."""
        return f"s3://{self.name}"

    def through(self, endpoint: str) -> Bucket:
        """Return the same bucket behind another endpoint: a proxy's."""
        return replace(self, endpoint=endpoint)

    def environment(self) -> dict[str, str]:
        """Return the variables from which obstore, delta-rs (also as `storage_options`) and our commands take it."""
        return {
            "AWS_ACCESS_KEY_ID": self.keys.access,
            "AWS_SECRET_ACCESS_KEY": self.keys.secret,
            "AWS_REGION": self.keys.region,
            "AWS_DEFAULT_REGION": self.keys.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def duckdb_secret(self) -> str:
        """Return the statement with which DuckDB's `httpfs` reads `s3://` from here."""
        host = self.endpoint.removeprefix("http://")
        return (
            f"CREATE OR REPLACE SECRET bucket (TYPE s3, KEY_ID '{self.keys.access}', SECRET '{self.keys.secret}', "
            f"REGION '{self.keys.region}', ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false)"
        )

    def spark_settings(self) -> dict[str, str]:
        """Return the settings with which Spark reads and writes `s3a://` here, with short retries."""
        settings = {
            "endpoint": self.endpoint,
            "endpoint.region": self.keys.region,
            "path.style.access": "true",
            "connection.ssl.enabled": "false",
            "access.key": self.keys.access,
            "secret.key": self.keys.secret,
            "aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
            "attempts.maximum": "1",
            "retry.limit": "1",
        }
        return {f"spark.hadoop.fs.s3a.{name}": value for name, value in settings.items()}

    def store(self, prefix: str | None = None) -> S3Store:
        """Return obstore's client of it, without retries: a test sees what the server answered."""
        from datetime import timedelta

        from obstore.store import S3Store

        return S3Store(
            self.name,
            prefix=prefix,
            endpoint=self.endpoint,
            access_key_id=self.keys.access,
            secret_access_key=self.keys.secret,
            region=self.keys.region,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True, "timeout": timedelta(seconds=30)},
            retry_config={"max_retries": 0},
        )

    def ask(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float = 10.0,
    ) -> Answer:
        """Send one plain signed request about a key, or about the bucket."""
        path = f"/{self.name}/{key}" if key else f"/{self.name}"
        return ask(self.endpoint, self.keys, method, path, query=query, headers=headers, body=body, timeout_s=timeout_s)

    def list_keys(self, folder: str = "") -> list[str]:
        """Return the keys, or those below `folder/`, sorted."""
        return sorted(meta["path"] for page in self.store().list(folder) for meta in page)

    def clear(self) -> None:
        """Remove every object."""
        store = self.store()
        for page in store.list():
            store.delete([meta["path"] for meta in page])


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    program: Program
    endpoint: str
    keys: Keys

    def make_bucket(self, name: str) -> Bucket:
        """Make an empty bucket; a name has 3 to 63 small letters, digits, dots and hyphens.

        Raises:
            OSError: If the server refuses.
        """
        bucket = Bucket(self.endpoint, self.keys, name)
        answer = bucket.ask("PUT")
        if answer.status != 200:
            raise OSError(f"{self.program} did not make bucket {name}: {answer.status} {answer.body.decode()[:300]}")
        return bucket

    def remove_bucket(self, bucket: Bucket) -> None:
        """Remove a bucket of this server with all that is in it."""
        direct = bucket.through(self.endpoint)
        direct.clear()
        direct.ask("DELETE")


@contextmanager
def serving(program: Program, folder: Path) -> Iterator[Server]:
    """Run a server on a free port until the end of the block, or the end of this process, however it comes.

    Args:
        program: As `find_program` returns it.
        folder: Made for the objects, and removed at the end; must not exist.

    Raises:
        OSError: If the server ends or does not answer within 30 s; the message has the end of its log.
    """
    keys = Keys(f"key{secrets.token_hex(8)}", secrets.token_hex(16))
    folder.mkdir(parents=True)
    port = _free_port()
    command, environment = _command(program, keys, folder, port)
    keeper = Path(__file__).with_name("keeper.py")
    started = subprocess.Popen(
        [sys.executable, "-I", str(keeper), str(folder), *command], stdin=subprocess.PIPE, bufsize=0, env=environment
    )
    try:
        server = Server(program, f"http://127.0.0.1:{port}", keys)
        _wait_for(server, started, folder / "server.log")
        yield server
    finally:
        assert started.stdin is not None
        started.stdin.close()
        started.wait(END_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command(program: Program, keys: Keys, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    if program.name == "moto":
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        return command, {**os.environ, "PYTHONPATH": str(program.path), "PYTHONDONTWRITEBYTECODE": "1"}
    data, notes = folder / "data", folder / "notes"
    data.mkdir()
    kept_in: list[str] = []
    if not _has_attributes(data):
        notes.mkdir()
        kept_in = ["--sidecar", str(notes)]
    command = [str(program.path), "--port", f"127.0.0.1:{port}", "--quiet", "--keep-alive", "posix", *kept_in]
    return [*command, str(data)], {
        **os.environ,
        "ROOT_ACCESS_KEY_ID": keys.access,
        "ROOT_SECRET_ACCESS_KEY": keys.secret,
    }


def _has_attributes(folder: Path) -> bool:
    """Tell whether files keep extended attributes, where versitygw has etags and the like; some tmpfs do not."""
    try:
        os.setxattr(folder, "user.petrel", b"1")
    except (AttributeError, OSError):  # macOS has no such function
        return False
    return True


def _wait_for(server: Server, started: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server knows our keys: another program on that port would not."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if started.poll() is not None:
            break
        try:
            if ask(server.endpoint, server.keys, "GET", "/", timeout_s=2.0).status == 200:
                return
        except OSError:
            pass
        time.sleep(0.02)
    told = log.read_text(errors="replace")[-500:] if log.exists() else ""
    raise OSError(f"{server.program} did not answer on {server.endpoint} within {START_S:.0f} s: {told or 'no log'}")
