"""Find the Java that Spark will use, and say what to do when there is none or an old one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import EnvironmentProblemError

OLDEST_MAJOR = 17
"""Spark 4.2 is compiled for Java 17."""

INSTALL_COMMANDS = {
    "apt-get": "sudo apt-get install --yes openjdk-17-jre-headless",
    "dnf": "sudo dnf install --assumeyes java-17-openjdk-headless",
    "zypper": "sudo zypper --non-interactive install java-17-openjdk-headless",
    "apk": "sudo apk add openjdk17-jre-headless",
    "pacman": "sudo pacman --sync --noconfirm jre17-openjdk-headless",
    "brew": "brew install openjdk@17",
}


@dataclass(frozen=True, slots=True)
class Java:
    """One Java installation."""

    executable: Path
    version: str
    """As Java writes it: `17.0.15`, `1.8.0_412`, `21-ea`."""

    @property
    def major(self) -> int:
        """8, 11, 17 ..."""
        return parse_major(self.version)


def parse_major(version: str) -> int:
    """Return the major version of a Java version text.

    Java 8 and older call themselves 1.8; from 9 on the first number counts.

    Raises:
        ValueError: If the text does not begin with a number.
    """
    numbers = re.match(r"(\d+)(?:\.(\d+))?", version)
    if numbers is None:
        raise ValueError(f"not a Java version: {version!r}; expected a text like 17.0.15")
    first, second = numbers.groups()
    return int(second) if first == "1" and second else int(first)


def install_command() -> str:
    """Return the one command that installs Java on this machine."""
    for tool, command in INSTALL_COMMANDS.items():
        if shutil.which(tool):
            return command
    return INSTALL_COMMANDS["apt-get"]


def find_java(environ: Mapping[str, str] | None = None) -> Java:
    """Return the Java that Spark's own scripts would start: JAVA_HOME's, else the one on PATH.

    Args:
        environ: Environment to look in; None means the process's own.

    Raises:
        EnvironmentProblemError: If there is none, it cannot be run, or it is older than 17.
    """
    environ = os.environ if environ is None else environ
    home = environ.get("JAVA_HOME")
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    if home:
        executable = Path(home) / "bin" / "java"
        origin = f"JAVA_HOME={home}"
        if not os.access(executable, os.X_OK):
            fix = "unset JAVA_HOME" if on_path else f"unset JAVA_HOME && {install_command()}"
            raise EnvironmentProblemError(f"{origin} has no bin/java, and Spark looks there first; run: {fix}")
    elif on_path:
        executable, origin = Path(on_path), f"{on_path} on PATH"
    else:
        raise EnvironmentProblemError(
            f"Spark needs Java {OLDEST_MAJOR} or newer; JAVA_HOME is not set and there is no java on PATH"
            f" (the embedded engine needs none); run: {install_command()}"
        )
    java = Java(executable, read_version(executable))
    if java.major < OLDEST_MAJOR:
        unset = "unset JAVA_HOME && " if home else ""
        raise EnvironmentProblemError(
            f"Spark needs Java {OLDEST_MAJOR} or newer; {origin} is {java.version};"
            f" run: {unset}{install_command()}"
        )
    return java


def read_version(executable: Path) -> str:
    """Return the version of a java executable: from its `release` file, else by running it (about 0.1 s).

    Raises:
        EnvironmentProblemError: If it cannot be run or does not tell its version.
    """
    release = executable.resolve().parent.parent / "release"
    try:
        found = re.search(r'^JAVA_VERSION="([^"]+)"', release.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    if found is None:
        try:
            answer = subprocess.run(
                [executable, "-version"], capture_output=True, text=True, timeout=60, check=True
            ).stderr
        except (OSError, subprocess.SubprocessError) as error:
            problem = f"{executable} does not run: {error}; run: {install_command()}"
            raise EnvironmentProblemError(problem) from error
        found = re.search(r'version "([^"]+)"', answer)
    if found is None:
        raise EnvironmentProblemError(f"{executable} does not tell its version; run: {install_command()}")
    return found.group(1)


def main() -> int:
    """Print the Java in use, or the problem; exit code 1 when there is none that Spark can use."""
    try:
        java = find_java()
    except EnvironmentProblemError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write(f"java {java.version} {java.executable}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
