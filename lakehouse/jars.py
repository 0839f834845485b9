"""Delta's Java archives: fetched once, checked against `jars.lock`, kept in the user's cache.

    python -m lakehouse.jars                 # fetch if needed, print one path a line
    python -m lakehouse.jars --profile s3    # also what `s3a://` needs

The Ivy that pyspark carries does the fetching, one archive at a time and never its dependencies: those would
put older copies of Spark's own libraries on the class path. A company mirror is named in an `ivysettings.xml`
(`PETREL_IVY_SETTINGS`, else `conf/ivysettings.xml` here, else `~/.config/petrel/ivysettings.xml`).
A machine without network gets a copy of another machine's cache folder.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from lakehouse.errors import EnvironmentProblemError
from lakehouse.java import find_java

LOCK_FILE = Path(__file__).with_name("jars.lock")
PROFILES = ("delta", "s3")
FETCH_COMMAND = "python -m lakehouse.jars"
FETCH_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of `jars.lock`."""

    profile: str
    organisation: str
    name: str
    revision: str
    sha256: str
    """64 hex digits."""

    @property
    def coordinate(self) -> str:
        """`group:artifact:version`."""
        return f"{self.organisation}:{self.name}:{self.revision}"

    @property
    def file_name(self) -> str:
        """Name of the file in the cache."""
        return f"{self.name}-{self.revision}.jar"


def read_lock(path: Path = LOCK_FILE) -> tuple[Jar, ...]:
    """Return the archives of the lock file, in its order.

    Raises:
        EnvironmentProblemError: If a line is not `profile group:artifact:version sha256`.
    """
    jars = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        parts = fields[1].split(":") if len(fields) == 3 else []
        if len(parts) != 3 or fields[0] not in PROFILES or len(fields[2]) != 64:
            raise EnvironmentProblemError(
                f"{path}:{number}: expected `profile group:artifact:version sha256`, found {line!r};"
                " run: pip install --force-reinstall petrel-lakehouse"
            )
        organisation, name, revision = parts
        jars.append(Jar(fields[0], organisation, name, revision, sha256=fields[2]))
    return tuple(jars)


def cache_root() -> Path:
    """Return Petrel's folder in the user's cache (`XDG_CACHE_HOME`, else `~/.cache`); it may be missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "petrel"


def jar_paths(profile: str = "delta", *, lock: Path = LOCK_FILE) -> tuple[Path, ...]:
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
        folder = cache_root() / "jars" / _digest(jars)
        if _broken(folder, jars):
            _publish(folder, jars, command=f"{FETCH_COMMAND} --profile {profile}")
        paths += [folder / jar.file_name for jar in jars]
    return tuple(paths)


def ivy_settings() -> Path | None:
    """Return the `ivysettings.xml` to follow; None means Ivy's own default repository.

    Raises:
        EnvironmentProblemError: If `PETREL_IVY_SETTINGS` names a file that does not exist.
    """
    named = os.environ.get("PETREL_IVY_SETTINGS")
    if named:
        if not Path(named).is_file():
            raise EnvironmentProblemError(
                f"PETREL_IVY_SETTINGS={named}: no such file;"
                f" run: unset PETREL_IVY_SETTINGS && {FETCH_COMMAND}"
            )
        return Path(named)
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    places = (Path("conf/ivysettings.xml"), config_home / "petrel" / "ivysettings.xml")
    return next((place for place in places if place.is_file()), None)


def _digest(jars: Sequence[Jar]) -> str:
    text = "\n".join(f"{jar.coordinate} {jar.sha256}" for jar in jars)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _broken(folder: Path, jars: Sequence[Jar]) -> list[str]:
    """Return what is wrong with a folder of archives, one text for each missing or altered file."""
    problems = []
    for jar in jars:
        try:
            with (folder / jar.file_name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
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
            if not _broken(folder, jars):  # another process was faster
                return
            for left in folder.parent.glob(".fetch-*"):  # of a killed run: nobody else holds the lock
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
                fetched = Path(scratch) / "jars"
                output = _run_ivy(jars, fetched, Path(scratch))
                problems = _broken(fetched, jars)
                if problems:
                    raise EnvironmentProblemError(_explain(problems, output, command))
                if folder.exists():
                    folder.rename(Path(scratch) / "broken")
                fetched.rename(folder)
    except OSError as error:
        raise EnvironmentProblemError(
            f"{folder.parent}: cannot keep the Java archives here ({error});"
            f" run: XDG_CACHE_HOME=<writable folder> {command}"
        ) from error


def _run_ivy(jars: Sequence[Jar], folder: Path, scratch: Path) -> str:
    """Let Ivy put the archives into `folder`; return what it printed. Whether it worked, the hashes tell."""
    java = find_java()
    dependencies = "".join(
        f"<dependency org={quoteattr(jar.organisation)} name={quoteattr(jar.name)}"
        f' rev={quoteattr(jar.revision)} transitive="false"/>'
        for jar in jars
    )
    ivy_file = scratch / "ivy.xml"
    ivy_file.write_text(
        '<ivy-module version="2.0"><info organisation="petrel" module="jars"/>'
        f"<dependencies>{dependencies}</dependencies></ivy-module>",
        encoding="utf-8",
    )
    command = [str(java.executable), "-jar", str(_ivy_jar())]
    settings = ivy_settings()
    if settings is not None:
        command += ["-settings", str(settings)]
    pattern = f"{folder}/[artifact]-[revision].[ext]"
    command += ["-ivy", str(ivy_file), "-cache", str(scratch / "ivy"), "-retrieve", pattern]
    command += ["-types", "jar", "-warn"]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            stdin=subprocess.DEVNULL, timeout=FETCH_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"Ivy gave up after {FETCH_TIMEOUT_S} s"
    return done.stdout


def _explain(problems: Sequence[str], output: str, command: str) -> str:
    ivy_says = [line.strip() for line in output.splitlines() if line.strip(" .()kB0123456789")]
    reason = next((line for line in ivy_says if "Exception" in line or "not found" in line.lower()), "")
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return (
        f"Delta's Java archives could not be fetched: {problems[0]}{more}{f' ({reason})' if reason else ''};"
        " nothing was kept. With a network or a mirror (PETREL_IVY_SETTINGS=/path/to/ivysettings.xml),"
        f" run: {command}"
    )


def _ivy_jar() -> Path:
    spec = importlib.util.find_spec("pyspark")
    places = spec.submodule_search_locations if spec is not None else None
    found = sorted(Path(places[0]).glob("jars/ivy-*.jar")) if places else []
    if not found:
        raise EnvironmentProblemError(
            "pyspark is not installed, and its Ivy fetches the Java archives;"
            " run: pip install 'petrel-lakehouse[spark]'"
        )
    return found[-1]


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold an advisory lock; the system lets go of it when the process ends, however it ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch what is missing and print the class path; exit code 1 and the reason when that is impossible."""
    parser = argparse.ArgumentParser(prog=FETCH_COMMAND, description="Fetch Delta's archives, print their paths.")
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
