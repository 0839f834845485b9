"""Finding Java, and what to do without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import EnvironmentProblemError
from lakehouse.spark import java
from lakehouse.spark.java import find_java, install_command, parse_major


def fake_java(folder: Path, version: str) -> Path:
    """Write a `bin/java` that says this version, and return the Java home."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("version", "major"),
    [("17.0.15", 17), ("1.8.0_412", 8), ("11.0.2", 11), ("21-ea", 21), ("25", 25)],
)
def test_major_version_is_read_from_every_way_java_writes_it(version: str, major: int) -> None:
    assert parse_major(version) == major


def test_a_version_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a Java version: 'next'"):
        parse_major("next")


def test_java_home_wins_over_the_path(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "home", "21.0.1")
    other = fake_java(tmp_path / "other", "17.0.1")

    found = find_java({"JAVA_HOME": str(home), "PATH": str(other / "bin")})

    assert (found.executable, found.version, found.major) == (home / "bin" / "java", "21.0.1", 21)


def test_java_on_the_path_is_found_without_java_home(tmp_path: Path) -> None:
    home = fake_java(tmp_path, "17.0.15")

    assert find_java({"PATH": str(home / "bin")}).executable == home / "bin" / "java"


def test_the_release_file_spares_a_run_of_java(tmp_path: Path) -> None:
    home = fake_java(tmp_path, "does not count")
    (home / "release").write_text('IMPLEMENTOR="somebody"\nJAVA_VERSION="17.0.9"\n')

    assert find_java({"JAVA_HOME": str(home)}).version == "17.0.9"


def test_no_java_gives_the_command_that_installs_it() -> None:
    with pytest.raises(EnvironmentProblemError, match="JAVA_HOME is not set and there is no java on PATH") as caught:
        find_java({"PATH": "/nowhere"})

    assert str(caught.value).endswith(f"run: {install_command()}")


def test_an_old_java_is_named_with_its_version_and_place(tmp_path: Path) -> None:
    home = fake_java(tmp_path, "11.0.22")

    with pytest.raises(EnvironmentProblemError) as caught:
        find_java({"JAVA_HOME": str(home)})

    assert str(caught.value) == (
        f"Spark needs Java 17 or newer; JAVA_HOME={home} is 11.0.22;"
        f" run: unset JAVA_HOME && {install_command()}"
    )


def test_java_8_is_too_old_although_its_version_begins_with_1(tmp_path: Path) -> None:
    home = fake_java(tmp_path, "1.8.0_412")

    with pytest.raises(EnvironmentProblemError, match="is 1.8.0_412"):
        find_java({"PATH": str(home / "bin")})


def test_a_java_home_without_java_is_an_error_even_with_java_on_the_path(tmp_path: Path) -> None:
    on_path = fake_java(tmp_path / "good", "17.0.1")

    with pytest.raises(EnvironmentProblemError, match="has no bin/java, and Spark looks there first; run: "):
        find_java({"JAVA_HOME": str(tmp_path / "empty"), "PATH": str(on_path / "bin")})


def test_a_java_that_does_not_run_is_an_error(tmp_path: Path) -> None:
    home = fake_java(tmp_path, "17")
    (home / "bin" / "java").write_text("#!/bin/sh\nexit 3\n")

    with pytest.raises(EnvironmentProblemError, match="does not run: .* run: "):
        find_java({"JAVA_HOME": str(home)})


def test_the_install_command_is_that_of_the_package_manager_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java.shutil, "which", lambda tool: "/usr/bin/dnf" if tool == "dnf" else None)

    assert install_command() == "sudo dnf install --assumeyes java-17-openjdk-headless"
