"""Delta's archives: what is locked, what is refused, what is said when nothing can be reached."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from lakehouse.errors import EnvironmentProblemError
from lakehouse.spark import ivy, jars
from lakehouse.spark.jars import Jar, jar_paths, missing_jars, read_lock

GOOD = b"bytes of an archive"
LOCKED = f"delta io.example:thing:1.0 {hashlib.sha256(GOOD).hexdigest()}\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setenv("PETREL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PETREL_IVY_SETTINGS", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock file with one archive."""
    path = tmp_path / "jars.lock"
    path.write_text(f"# profile, coordinate, hash\n\n{LOCKED}")
    return path


class FakeIvy:
    """Stands for the network: gives these bytes for every archive and counts how often it was asked."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content
        self.calls = 0

    def __call__(self, coordinates: Iterable[str], folder: Path, scratch: Path) -> str:
        self.calls += 1
        if self.content is None:
            return "java.net.UnknownHostException: repo"
        folder.mkdir()
        for coordinate in coordinates:
            _, name, version = coordinate.split(":")
            (folder / f"{name}-{version}.jar").write_bytes(self.content)
        return ""


def test_the_lock_pins_the_delta_that_pyproject_pins() -> None:
    coordinates = [jar.coordinate for jar in read_lock() if jar.profile == "delta"]

    assert len(coordinates) == 7
    assert "io.delta:delta-spark_4.2_2.13:4.4.0" in coordinates
    assert len([jar for jar in read_lock() if jar.profile == "s3"]) == 36


def test_an_archive_is_fetched_once(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = FakeIvy(GOOD)
    monkeypatch.setattr(ivy, "fetch", network)

    first, second = jar_paths(lock=lock), jar_paths(lock=lock)

    assert (first, network.calls) == (second, 1)
    assert first[0].read_bytes() == GOOD


def test_bytes_that_are_not_the_locked_ones_are_refused_and_not_kept(
    lock: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ivy, "fetch", FakeIvy(b"something else"))

    with pytest.raises(EnvironmentProblemError, match="io.example:thing:1.0 has SHA-256 .*, jars.lock says") as caught:
        jar_paths(lock=lock)

    assert str(caught.value).endswith(f"run: {sys.executable} -m lakehouse.spark.jars --profile delta")
    assert list(cache.rglob("*.jar")) == []


def test_an_archive_altered_in_the_cache_is_fetched_again(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = FakeIvy(GOOD)
    monkeypatch.setattr(ivy, "fetch", network)
    (path,) = jar_paths(lock=lock)
    path.write_bytes(b"altered")

    (again,) = jar_paths(lock=lock)

    assert (again.read_bytes(), network.calls) == (GOOD, 2)


def test_without_a_network_the_error_names_the_archive_the_cause_and_one_command(
    lock: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ivy, "fetch", FakeIvy(None))

    with pytest.raises(EnvironmentProblemError) as caught:
        jar_paths(lock=lock)

    assert str(caught.value) == (
        "Delta's Java archives could not be fetched: io.example:thing:1.0 is missing"
        " (java.net.UnknownHostException: repo); nothing was kept. With a network or a mirror"
        f" (PETREL_IVY_SETTINGS=/path/to/ivysettings.xml), run: {sys.executable} -m"
        " lakehouse.spark.jars --profile delta"
    )
    assert [path for path in cache.rglob("*") if path.name.startswith(".fetch-")] == []


def test_what_a_killed_fetch_left_is_removed(lock: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = cache / "jars" / ".fetch-killed"
    left.mkdir(parents=True)
    monkeypatch.setattr(ivy, "fetch", FakeIvy(GOOD))

    jar_paths(lock=lock)

    assert not left.exists()


def test_a_cache_that_cannot_be_written_gives_the_command_with_another_place(
    lock: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file where a folder should be")

    with pytest.raises(EnvironmentProblemError, match="run: PETREL_CACHE=<writable folder> .* -m lakehouse.spark.jars"):
        jar_paths(lock=lock)


@pytest.mark.parametrize(
    "line",
    [
        "delta io.example:thing:1.0",
        "delta io.example:thing 00",
        f"gpu io.example:thing:1.0 {'0' * 64}",
        f"delta io.example:../../thing:1.0 {'0' * 64}",
        f"delta io.example:thing:1.0 {'0' * 63}",
    ],
)
def test_a_line_that_is_no_archive_is_an_error_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "jars.lock"
    path.write_text(f"{LOCKED}{line}\n")

    with pytest.raises(EnvironmentProblemError, match="jars.lock:2: expected"):
        read_lock(path)


def test_missing_jars_are_told_without_fetching(monkeypatch: pytest.MonkeyPatch) -> None:
    network = FakeIvy(GOOD)
    monkeypatch.setattr(ivy, "fetch", network)

    assert missing_jars()[0] == "io.delta:delta-kernel-api:4.4.0 is missing"
    assert (len(missing_jars()), network.calls) == (7, 0)


def test_an_unknown_profile_is_a_value_error_that_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown profile 'gcs'; known: delta, s3"):
        jar_paths("gcs")


def test_named_ivy_settings_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PETREL_IVY_SETTINGS", "/nowhere/ivysettings.xml")

    with pytest.raises(EnvironmentProblemError, match="/nowhere/ivysettings.xml: no such file; run: unset"):
        ivy.ivy_settings()


def test_ivy_settings_come_from_the_variable_then_from_the_users_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = tmp_path / "config" / "petrel" / "ivysettings.xml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert ivy.ivy_settings() is None

    usual.parent.mkdir(parents=True)
    usual.write_text("<ivysettings/>")
    assert ivy.ivy_settings() == usual

    named = tmp_path / "mirror.xml"
    named.write_text("<ivysettings/>")
    monkeypatch.setenv("PETREL_IVY_SETTINGS", str(named))
    assert ivy.ivy_settings() == named


@pytest.mark.spark
def test_an_unreachable_repository_is_named_with_the_reason(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java_17: None
) -> None:
    settings = tmp_path / "ivysettings.xml"
    settings.write_text(
        '<ivysettings><settings defaultResolver="down"/><resolvers>'
        '<ibiblio name="down" m2compatible="true" root="http://127.0.0.1:9/maven"/></resolvers></ivysettings>'
    )
    monkeypatch.setenv("PETREL_IVY_SETTINGS", str(settings))

    with pytest.raises(EnvironmentProblemError, match=r"127.0.0.1:9/maven/.* \(java.net.ConnectException.* run: "):
        jar_paths(lock=lock)


@pytest.mark.spark
def test_a_mirror_of_the_company_is_used_and_an_unreachable_one_gives_the_command(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java_17: None
) -> None:
    mirror = tmp_path / "mirror" / "io.example" / "thing" / "1.0"
    settings = tmp_path / "ivysettings.xml"
    settings.write_text(
        '<ivysettings><settings defaultResolver="mirror"/><resolvers><filesystem name="mirror">'
        f'<artifact pattern="{tmp_path}/mirror/[organisation]/[module]/[revision]/[artifact].[ext]"/>'
        "</filesystem></resolvers></ivysettings>"
    )
    monkeypatch.setenv("PETREL_IVY_SETTINGS", str(settings))

    with pytest.raises(EnvironmentProblemError, match="thing:1.0 is missing .*not found.* run: "):
        jar_paths(lock=lock)

    mirror.mkdir(parents=True)
    (mirror / "thing.jar").write_bytes(GOOD)
    (path,) = jar_paths(lock=lock)
    assert path.read_bytes() == GOOD


def test_main_prints_the_paths_or_the_problem(
    lock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jars, "read_lock", lambda lock: (Jar("delta", "a:b:1", hashlib.sha256(GOOD).hexdigest()),))
    monkeypatch.setattr(ivy, "fetch", FakeIvy(None))
    assert jars.main([]) == 1
    assert capsys.readouterr().err.count("\n") == 1

    monkeypatch.setattr(ivy, "fetch", FakeIvy(GOOD))
    assert jars.main([]) == 0
    assert capsys.readouterr().out.endswith("b-1.jar\n")
