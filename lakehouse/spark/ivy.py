"""Fetch Java archives with the Ivy that pyspark carries: no Maven, and no repository named by us.

One archive at a time and never its dependencies: those would put older copies of Spark's own libraries on the class
path. What came is for the caller to judge by its hash; see `lakehouse.spark.jars`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import quoteattr

from lakehouse.errors import EnvironmentProblemError
from lakehouse.spark.java import find_java

SETTINGS_VARIABLE = "PETREL_IVY_SETTINGS"
TIMEOUT_S = 900
INSTALL_SPARK = "pip install 'petrel-lakehouse[spark]'"


def ivy_settings() -> Path | None:
    """Return the `ivysettings.xml` to follow, where a company names its mirror; None means Ivy's default repository.

    `PETREL_IVY_SETTINGS` first, else `~/.config/petrel/ivysettings.xml` (`XDG_CONFIG_HOME` is honoured).

    Raises:
        EnvironmentProblemError: If `PETREL_IVY_SETTINGS` names a file that does not exist.
    """
    named = os.environ.get(SETTINGS_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise EnvironmentProblemError(
                f"{SETTINGS_VARIABLE}={named}: no such file; run: unset {SETTINGS_VARIABLE}"
            )
        return Path(named)
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    usual = config_home / "petrel" / "ivysettings.xml"
    return usual if usual.is_file() else None


def spark_package() -> Path:
    """Return the folder of the installed pyspark, found without importing it.

    Raises:
        EnvironmentProblemError: If pyspark is not installed.
    """
    spec = importlib.util.find_spec("pyspark")
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentProblemError(f"the Spark engine needs pyspark, which is not installed; run: {INSTALL_SPARK}")
    return Path(spec.submodule_search_locations[0])


def fetch(coordinates: Iterable[str], folder: Path, scratch: Path) -> str:
    """Try to put archives into a folder as `<artifact>-<version>.jar`.

    Args:
        coordinates: `group:artifact:version` of each.
        folder: Where they go; made by Ivy.
        scratch: Empty folder for Ivy's own files.

    Returns:
        Why it did not work, as far as Ivy says; empty when Ivy names no problem. The files tell whether it worked.

    Raises:
        EnvironmentProblemError: If Java or pyspark is missing.
    """
    found = sorted(spark_package().glob("jars/ivy-*.jar"))
    if not found:
        raise EnvironmentProblemError(f"{spark_package()} holds no jars/ivy-*.jar; run: {INSTALL_SPARK}")
    java = find_java()
    module = scratch / "ivy.xml"
    module.write_text(_module(coordinates), encoding="utf-8")
    command = [str(java.executable), "-jar", str(found[-1])]
    settings = ivy_settings()
    if settings is not None:
        command += ["-settings", str(settings)]
    command += ["-ivy", str(module), "-cache", str(scratch / "ivy"), "-types", "jar", "-warn"]
    command += ["-retrieve", f"{folder}/[artifact]-[revision].[ext]"]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"Ivy gave up after {TIMEOUT_S} s"
    return _reason(done.stdout)


def _module(coordinates: Iterable[str]) -> str:
    """Return an `ivy.xml` that depends on these archives and on nothing that they depend on."""
    lines = []
    for coordinate in coordinates:
        group, name, version = (quoteattr(part) for part in coordinate.split(":"))
        lines.append(f'<dependency org={group} name={name} rev={version} transitive="false"/>')
    return (
        '<ivy-module version="2.0"><info organisation="petrel" module="jars"/>'
        f"<dependencies>{''.join(lines)}</dependencies></ivy-module>"
    )


def _reason(output: str) -> str:
    """Return the line of Ivy's output that says most about what went wrong: a refused connection before its result."""
    lines = [line.strip() for line in output.splitlines()]
    for telling in ("Exception", "Host ", "not found"):
        for line in lines:
            if telling in line:
                return line
    return ""
