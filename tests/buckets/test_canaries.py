"""No credential is in anything that Petrel writes, prints or raises."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.buckets.lakes import use

REPOSITORY = Path(__file__).resolve().parents[2]
TOKEN, PASSWORD = "canary-token-51c2", "canary-password-77aa"
OTHER = {"THEIRS_ACCESS_KEY_ID": "canaryaccess09d1", "THEIRS_SECRET_ACCESS_KEY": "canarysecret4e7b",
         "THEIRS_SESSION_TOKEN": "canarysession-b20f"}  # fmt: skip

TRACEBACK = """
import sys
from lakehouse.config import load_config
from lakehouse.opening import open_lake
config = load_config("petrel.toml", overrides=[f"lake.root={sys.argv[1]!r}"])
with open_lake(config) as lake:
    print(config, lake.home, repr(lake.home), repr(lake.home.store), vars(lake))
    try:
        lake.files.put("../../no/such" * 400, b"")
    except Exception as error:
        print(repr(error), error.__cause__, error.__context__)
    lake.files.read_whole("no/such/file")
"""


@pytest.mark.slow
def test_no_credential_is_in_what_a_run_leaves_and_prints(bucket, tmp_path: Path, monkeypatch) -> None:
    address = use(bucket, tmp_path, monkeypatch)
    for name, value in OTHER.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PETREL__ENGINE__WORKERS", "1")  # else each of two dozen commands gets other processes ready
    work = tmp_path / "work"
    (work / "drop").mkdir(parents=True)
    for number in range(6):
        Image.new("RGB", (8, 8), (number * 40, 9, 9)).save(work / "drop" / f"{number}.png")
    (work / "labels.csv").write_text("file,label\n" + "".join(f"{number}.png,cat\n" for number in range(6)))
    (work / "few.toml").write_text('name = "few"\nquestion = "animal"\n')
    (work / "petrel.toml").write_text(
        f'[stores.theirs]\nurl = "s3://theirs"\nkeys_from = "THEIRS"\nendpoint = "{bucket.endpoint}"\n'
    )
    lake = ["--lake", address, "--config", "petrel.toml", "--verbose"]
    opinions = ["--source", "drop", "--format", "csv", "--path", "labels.csv", "--question", "animal"]
    commands: dict[tuple[str, ...], int] = {
        ("init", *lake): 0,
        ("land", *lake, "--source", "drop", "--folder", "drop"): 0,
        ("entities", *lake): 0,
        ("dimensions", *lake): 0,
        ("opinions", *lake, *opinions, "--actor", "human:ann"): 0,
        ("build", *lake, "--recipe", "few.toml"): 0,
        ("materialise", *lake, "--dataset", "few"): 0,
        ("status", *lake): 0,
        ("locks", *lake): 0,
        ("doctor", *lake): 0,
        ("verify", *lake): 0,
        ("sql", *lake, "select * from duckdb_settings()"): 1,
        ("sql", *lake, "select * from entities"): 0,
        ("sql", *lake, "select * from read_text('/proc/self/environ')"): 1,
        ("sql", *lake, "select * from duckdb_secrets()"): 1,
        ("status", *lake[2:], "--lake", f"s3://ann:{PASSWORD}@{bucket.name}/lake"): 1,
        ("status", *lake[2:], "--lake", "s3://theirs/lake"): 1,
        ("init", *lake[2:], "--lake", "s3://no-such-bucket-here/lake"): 1,
        ("land", *lake, "--source", "web", "--folder", f"https://ann:{PASSWORD}@127.0.0.1:9/drop"): 1,
        ("land", *lake, "--source", "theirs", "--folder", "s3://theirs/drop"): 1,
    }
    said: dict[str, bytes] = {}
    for command, code in commands.items():
        said[" ".join(command)] = run("-m", "jobs.cli", *command, cwd=work, code=code)
    # The server of the tests takes no session: what it says to one is an error.
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    said["session"] = run("-m", "jobs.cli", "status", *lake, cwd=work, code=1)
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    said["traceback"] = run("-c", TRACEBACK, address, cwd=work, code=1)
    assert b"FileNotFoundError" in said["traceback"]
    left = {**said, **files_below(tmp_path), **objects_of(bucket)}
    assert any(bucket.url.encode() in content for name, content in left.items() if name.endswith("_origin.json"))
    canaries = {
        "access key": bucket.keys.access, "secret": bucket.keys.secret, "token": TOKEN, "password": PASSWORD, **OTHER
    }  # fmt: skip
    found = {
        (what, name if name not in said else "output of " + name.split()[0])
        for what, canary in canaries.items()
        for name, content in left.items()
        if canary.encode() in content
    }
    assert found == set()


def run(*command: str, cwd: Path, code: int) -> bytes:
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == code, (command, done.stdout[-500:], done.stderr[-1500:])
    return done.stdout + done.stderr


def files_below(folder: Path) -> Mapping[str, bytes]:
    return {str(path): readable(path.name, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def objects_of(bucket) -> Mapping[str, bytes]:
    store = bucket.store()
    return {key: readable(key, bytes(store.get(key).bytes())) for key in bucket.list_keys()}


def readable(name: str, content: bytes) -> bytes:
    """Return what is in a file; of Parquet also the rows, which may be compressed."""
    import pyarrow as pa

    if not name.endswith(".parquet"):
        return content
    return content + str(pq.read_table(pa.BufferReader(content)).to_pylist()).encode()
