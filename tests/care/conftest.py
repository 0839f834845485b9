"""A lake with everything that a lake can have, and places to copy it to."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.cli import main
from tests.buckets.lakes import use
from tests.jobs.conftest import write_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake of six copied and two linked files and a published dataset; one linked file was landed by
    copy as well.
    """
    folder = tmp_path_factory.mktemp("cared")
    pipeline = write_world(folder)
    linked = folder / "linked"
    linked.mkdir()
    for number in range(2):
        shutil.copyfile(folder / f"shapes/circle/circle_{number}.png", linked / f"linked_{number}.png")
        with (linked / f"linked_{number}.png").open("ab") as file:
            file.write(b"\0")
    shutil.copytree(linked, folder / "copied")
    (folder / "copied/linked_1.png").unlink()
    lake = str(folder / "lake")
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["land", "--lake", lake, "--source", "linked", "--folder", str(linked), "--mode", "link"]) == 0
        assert main(["run", "--lake", lake, "--pipeline", str(pipeline)]) == 0
        assert main(["land", "--lake", lake, "--source", "copied", "--folder", str(folder / "copied")]) == 0
        assert main(["maintain", "--lake", lake, "--pin", "paper", "--table", "silver.entities"]) == 0
    return folder


@pytest.fixture
def sources(world: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder with the folders that the lake's files came from; what a test removes there comes back."""
    names = ("shapes", "linked", "copied")
    for name in names:
        shutil.copytree(world / name, tmp_path / "kept" / name)
    yield world
    for name in names:
        shutil.copytree(tmp_path / "kept" / name, world / name, dirs_exist_ok=True)


@pytest.fixture
def lake(world: Path, tmp_path: Path) -> Path:
    """A copy of that lake, to be changed."""
    return Path(shutil.copytree(world / "lake", tmp_path / "lake"))


@pytest.fixture
def there(bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address in a bucket at which there is nothing."""
    return use(bucket, tmp_path, monkeypatch)
