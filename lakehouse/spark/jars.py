"""Delta's Java archives: fetched once, checked against `jars.lock`, kept in the user's cache.

    python -m lakehouse.spark.jars                 # fetch if needed, print one path a line
    python -m lakehouse.spark.jars --profile s3    # also what `s3a://` needs

A company mirror is named in an `ivysettings.xml`, see `lakehouse.spark.ivy`. A machine without network gets a copy of
another machine's cache folder: `PETREL_CACHE`, else `petrel` in `XDG_CACHE_HOME`, else `~/.cache/petrel`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.resources
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from lakehouse.cache import cache_root
from lakehouse.errors import EnvironmentProblemError
from lakehouse.spark import ivy

LOCK_FILE = importlib.resources.files("lakehouse.spark") / "jars.lock"
PROFILES = ("delta", "s3")
FETCH_COMMAND = f"{sys.executable} -m lakehouse.spark.jars"
"""Fetches them beforehand; with this interpreter, since `python` may be another one."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of `jars.lock`."""

    profile: str
    """`delta` or `s3`."""
    coordinate: str
    """`group:artifact:version`."""
    sha256: str
    """64 hex digits."""

    @property
    def file_name(self) -> str:
        """Name of the file in the cache."""
        _, name, version = self.coordinate.split(":")
        return f"{name}-{version}.jar"


def read_lock(lock: Traversable = LOCK_FILE) -> tuple[Jar, ...]:
    """Return the archives of the lock file, in its order.

    Raises:
        EnvironmentProblemError: If a line is not `profile group:artifact:version sha256`.
    """
    jars = []
    line_of_lock = re.compile(rf"({'|'.join(PROFILES)})\s+([^\s:/]+:[^\s:/]+:[^\s:/]+)\s+([0-9a-f]{{64}})")
    for number, line in enumerate(lock.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = line_of_lock.fullmatch(line.strip())
        if match is None:
            raise EnvironmentProblemError(
                f"{lock}:{number}: expected `profile group:artifact:version sha256`, found {line!r};"
                " run: pip install --force-reinstall petrel-lakehouse"
            )
        jars.append(Jar(*match.groups()))
    return tuple(jars)


def jar_paths(profile: str = "delta", *, lock: Traversable = LOCK_FILE) -> tuple[Path, ...]:
    """Return the verified archives of a profile, fetching what the cache does not hold.

    Safe to call from any number of processes at once: one fetches, the others wait for it. A file in the
    cache that no longer has its hash is fetched again. Costs about 20 ms when everything is there.

    Args:
        profile: `delta`, or `s3` for both Delta and `s3a://`.
        lock: The list to follow.

    Raises:
        EnvironmentProblemError: If Java or pyspark is missing, nothing can be reached, or the bytes that came
            are not the locked ones.
    """
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}")
    wanted = read_lock(lock)
    paths: list[Path] = []
    for name in PROFILES[: PROFILES.index(profile) + 1]:
        jars = tuple(jar for jar in wanted if jar.profile == name)
        folder = _folder(jars)
        if _problems(folder, jars):
            _publish(folder, jars, command=f"{FETCH_COMMAND} --profile {profile}")
        paths += [folder / jar.file_name for jar in jars]
    return tuple(paths)


def missing_jars(profile: str = "delta") -> list[str]:
    """Return what the cache lacks for a profile, one text for each archive; fetches nothing."""
    names = PROFILES[: PROFILES.index(profile) + 1]
    wanted = read_lock()
    by_profile = [tuple(jar for jar in wanted if jar.profile == name) for name in names]
    return [problem for jars in by_profile for problem in _problems(_folder(jars), jars)]


def _folder(jars: Sequence[Jar]) -> Path:
    """Return the folder of a set of archives: another lock file means another folder, none is ever changed."""
    text = "\n".join(f"{jar.coordinate} {jar.sha256}" for jar in jars)
    return cache_root() / "jars" / hashlib.sha256(text.encode()).hexdigest()[:16]


def _problems(folder: Path, jars: Sequence[Jar]) -> list[str]:
    """Return what is wrong with a folder of archives, one text for each missing or altered file."""
    problems = []
    for jar in jars:
        try:
            with (folder / jar.file_name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except (FileNotFoundError, NotADirectoryError):
            problems.append(f"{jar.coordinate} is missing")
            continue
        if found != jar.sha256:
            problems.append(f"{jar.coordinate} has SHA-256 {found}, jars.lock says {jar.sha256}")
    return problems


def _publish(folder: Path, jars: Sequence[Jar], *, command: str) -> None:
    """Fetch into a folder beside the final one and rename: others see nothing or everything."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(folder.parent / ".lock"):
            if not _problems(folder, jars):  # another process was faster
                return
            for left in folder.parent.glob(".fetch-*"):  # of a killed run: nobody else holds the lock
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
                fetched = Path(scratch) / "jars"
                reason = ivy.fetch((jar.coordinate for jar in jars), fetched, Path(scratch))
                problems = _problems(fetched, jars)
                if problems:
                    raise EnvironmentProblemError(_explain(problems, reason, command))
                if folder.exists():
                    folder.rename(Path(scratch) / "broken")
                fetched.rename(folder)
    except OSError as error:
        raise EnvironmentProblemError(
            f"{folder.parent}: cannot keep the Java archives here ({error});"
            f" run: PETREL_CACHE=<writable folder> {command}"
        ) from error


def _explain(problems: Sequence[str], reason: str, command: str) -> str:
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return (
        f"Delta's Java archives could not be fetched: {problems[0]}{more}{f' ({reason})' if reason else ''};"
        f" nothing was kept. With a network or a mirror ({ivy.SETTINGS_VARIABLE}=/path/to/ivysettings.xml),"
        f" run: {command}"
    )


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold an advisory lock; the system lets go of it when the process ends, however it ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch what is missing and print the class path; exit code 1 and the reason when that is impossible."""
    parser = argparse.ArgumentParser(prog="python -m lakehouse.spark.jars", description="Fetch Delta's archives.")
    parser.add_argument("--profile", choices=PROFILES, default="delta", help="s3 adds what s3a:// needs")
    args = parser.parse_args(argv)
    try:
        paths = jar_paths(args.profile)
    except EnvironmentProblemError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.writelines(f"{path}\n" for path in paths)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
