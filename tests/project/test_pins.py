"""pyproject.toml, requirements.lock and jars.lock say the same."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lakehouse.spark import submit
from lakehouse.spark.jars import read_lock

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCK_TEXT = (REPOSITORY / "requirements.lock").read_text()
LOCKED_EXTRAS = re.findall(r"\w+", LOCK_TEXT.splitlines()[0].partition("[")[2].partition("]")[0])


def locked() -> dict[str, set[str]]:
    """Return the locked versions of each name; several where Python versions differ."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", LOCK_TEXT, re.MULTILINE):
        versions.setdefault(name, set()).add(version)
    return versions


def requirements(extras: list[str]) -> list[Requirement]:
    """Return what the project asks for with these extras."""
    texts = PROJECT["dependencies"] + [text for extra in extras for text in EXTRAS[extra]]
    return [Requirement(text) for text in texts]


def closure(extra: str) -> set[str]:
    """Return the names of everything that `petrel-lakehouse[extra]` brings, by what the installed packages declare."""
    found: set[str] = set()
    todo = requirements([extra])
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if name in found:
            continue
        found.add(name)
        extras = ["", *wanted.extras]
        for text in importlib.metadata.requires(name) or []:
            below = Requirement(text)
            if below.marker is None or any(below.marker.evaluate({"extra": one}) for one in extras):
                todo.append(below)
    return found


def test_everything_that_make_installs_is_locked_within_the_limits_of_pyproject() -> None:
    versions = locked()
    assert LOCKED_EXTRAS == ["spark", "train", "demo", "notebooks", "dev"]

    outside = [
        f"{wanted}: locked {sorted(versions.get(canonicalize_name(wanted.name), set()))}"
        for wanted in requirements(LOCKED_EXTRAS)
        if not versions.get(canonicalize_name(wanted.name))
        or not all(wanted.specifier.contains(one) for one in versions[canonicalize_name(wanted.name)])
    ]

    assert outside == []


def test_every_locked_package_carries_hashes_and_no_index_is_named() -> None:
    entries = re.split(r"^(?=[a-z])", LOCK_TEXT, flags=re.MULTILINE)[1:]

    assert len(entries) > 100
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in LOCK_TEXT


@pytest.mark.parametrize("extra", ["spark", "s3", "audio", "video"])
def test_what_an_engine_needs_is_pinned_exactly(extra: str) -> None:
    assert [text for text in EXTRAS[extra] if "==" not in text] == []


def test_jars_pyspark_and_the_submit_script_agree_on_the_versions() -> None:
    versions = {Requirement(text).name: Requirement(text).specifier for text in EXTRAS["spark"]}
    delta = {jar.coordinate.rpartition(":")[2] for jar in read_lock() if jar.coordinate.startswith("io.delta:")}

    assert delta == {"4.4.0"}
    assert str(versions["delta-spark"]) == "==4.4.0"
    assert str(versions["pyspark"]) == f"=={submit.SPARK_VERSION}"


def test_a_training_machine_installs_no_spark_and_a_pipeline_machine_no_torch() -> None:
    train, spark = closure("train"), closure("spark")

    assert {"torch", "pyarrow"} <= train
    assert train & {"pyspark", "py4j", "delta-spark", "pandas"} == set()
    assert {"pyspark", "delta-spark", "pandas"} <= spark
    assert "torch" not in spark


def test_the_plain_installation_has_neither() -> None:
    names = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}

    assert names & {"pyspark", "delta-spark", "torch", "pandas", "scikit-learn"} == set()
