"""`petrel verify`: a whole lake is whole, every kind of damage is named, all of it at once, and nothing is changed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.cli import main
from lakehouse.audit.verify import verify
from lakehouse.verification.places import place_of
from lakehouse.verification.tables import newest
from schemas.tables import BY_NAME, ENTITIES, OPINIONS, TABLES
from tests.jobs.conftest import write_world
from tests.making import small_lake

Verdict = tuple[int, list[dict[str, Any]]]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake of six copied and two linked files, two datasets of which one is published."""
    folder = tmp_path_factory.mktemp("verified")
    pipeline = write_world(folder)
    linked = folder / "linked"
    linked.mkdir()
    for number in range(2):
        shutil.copyfile(folder / f"shapes/circle/circle_{number}.png", linked / f"linked_{number}.png")
        with (linked / f"linked_{number}.png").open("ab") as file:
            file.write(b"\0")
    (folder / "circles.toml").write_text(
        'name = "circles"\nquestion = "shape"\n[select]\n'
        "sql = \"select subject_id as entity_id from current_opinions where label = 'circle'\"\n"
        "[split.ratios]\ntrain = 1.0\n"
    )
    lake = str(folder / "lake")
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["land", "--lake", lake, "--source", "linked", "--folder", str(linked), "--mode", "link"]) == 0
        assert main(["run", "--lake", lake, "--pipeline", str(pipeline)]) == 0
        assert main(["build", "--lake", lake, "--recipe", str(folder / "circles.toml")]) == 0
    return folder


@pytest.fixture
def root(world: Path, tmp_path: Path) -> Path:
    """A copy of the lake, to be damaged."""
    return Path(shutil.copytree(world / "lake", tmp_path / "lake"))


@pytest.fixture
def verified(root: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Verdict]:
    """Return a function that verifies the copy: exit code, and what is damaged."""

    def run(*options: str) -> Verdict:
        capsys.readouterr()
        code = main(["verify", "--lake", str(root), "--json", *options])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        *damages, summary = [json.loads(line) for line in out.splitlines()]
        assert summary["damaged"] == len(damages)
        return code, damages

    return run


def flip(path: Path) -> None:
    """Change one bit and leave size and times as they are: what a disk does."""
    state, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def an_object(root: Path) -> Path:
    return min(path for path in (root / "objects").rglob("*") if path.is_file())


def a_part(root: Path) -> Path:
    return min((root / "datasets").rglob("part-*.parquet"))


def a_data_file(root: Path, table: str) -> Path:
    return min(place_of(root, BY_NAME[table]).folder.glob("*.parquet"))


def an_entry(root: Path, table: str) -> Path:
    return place_of(root, BY_NAME[table]).entry(1)


def garbage(path: Path) -> None:
    path.write_bytes(b"\xff{not json")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def lose(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_whole_lake_is_whole_and_nothing_in_it_is_changed(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def state() -> dict[str, bytes]:
        files = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".notes")
        return {str(path): path.read_bytes() for path in files}

    before = state()
    assert main(["verify", "--lake", str(root), "--deep"]) == 0
    said = capsys.readouterr().out
    assert f"all whole; looked at {len(TABLES)} tables, 1 imports, 2 dataset versions" in said
    for count in ("6 objects", "2 linked files", "1 published folders"):
        assert f", {count}" in said
    assert state() == before


DAMAGES = {
    "object missing": (an_object, lose, "object", "expected .* bytes of SHA-256 .*, found no file", False),
    "object cut": (an_object, cut, "object", r"found \d+ bytes; .*source shapes, drop main, path .*\.png", False),
    "object flipped": (an_object, flip, "object", r"found SHA-256 .*; land the same files again", True),
    "data file flipped": (lambda root: a_data_file(root, "silver.dimensions"), flip, "table",
                          r"silver\.dimensions: .*parquet is damaged: expected .* SHA-256 .*, found SHA-256", False),
    "data file missing": (lambda root: a_data_file(root, "silver.entities"), lose, "table", "found no file", False),
    "commit flipped": (lambda root: an_entry(root, "silver.opinions"), flip, "table",
                       r"silver\.opinions: .*1\.json is damaged", False),
    "commit garbage": (lambda root: an_entry(root, "gold.datasets"), garbage, "table", "is no log entry", False),
    "commit emptied": (lambda root: an_entry(root, "silver.entities"), emptied, "table", "at least one action", False),
    "commit lost": (lambda root: an_entry(root, "gold.dataset_members"), lose, "table", "is missing", False),
    "table lost": (lambda root: root / "tables" / "silver" / "batches", lose, "table", "commits are lost", False),
    "head record garbage": (lambda root: root / "_heads" / "silver.entities.json", garbage, "table",
                            r"_heads/silver\.entities\.json is damaged", False),
    "marker garbage": (lambda root: root / "_lake.json", garbage, "lake", r"_lake\.json: cannot be read", False),
    "part flipped": (a_part, flip, "published", r"part-00000\.parquet is damaged: .*; remove the folder .* petrel "
                     "materialise --lake", True),
    "part missing": (a_part, lose, "published", "found no file", False),
    "part cut": (a_part, cut, "published", r"found \d+ bytes", False),
    "manifest flipped": (lambda root: a_part(root).parent / "_manifest.json", flip, "published", "SHA-256", False),
    "published list lost": (lambda root: a_part(root).parents[1] / "_dataset.json", lose, "published",
                            r"_dataset\.json is damaged", False),
    "published split lost": (lambda root: a_part(root).parent, lose, "published", "found no file", False),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_of_each_kind_is_named_with_what_to_do(
    root: Path, verified: Callable[..., Verdict], name: str
) -> None:
    find, harm, kind, message, needs_deep = DAMAGES[name]
    path = find(root)
    harm(path)
    code, damages = verified("--deep")
    assert code == 1
    assert any(each["kind"] == kind and re.search(message, each["message"]) for each in damages), damages
    assert any(str(path) in each["message"] or path.name in each["message"] for each in damages)
    # All that is told besides is what could not be looked at.
    assert len([each for each in damages if each["kind"] not in ("unchecked", "count")]) == 1, damages
    if needs_deep:
        assert verified() == (0, [])


def test_a_table_that_lost_its_newest_commit_and_all_memory_of_it_is_found_by_counts(
    root: Path, verified: Callable[..., Verdict]
) -> None:
    place = place_of(root, OPINIONS)
    place.entry(newest(place)).unlink()
    shutil.rmtree(root / "_heads")
    code, damages = verified()
    assert code == 1
    assert [each["kind"] for each in damages] == ["count", "count", "count"]
    assert "brought 6 rows" in damages[0]["message"]
    assert "was built from version 2, the newest is 1: commits are lost" in damages[1]["message"]


def test_a_lost_table_of_which_nothing_remembers_is_named(root: Path, verified: Callable[..., Verdict]) -> None:
    lose(root / "tables")
    lose(root / "_heads")
    code, damages = verified()
    assert code == 1
    assert len([each for each in damages if each["kind"] == "table" and "is gone" in each["message"]]) == len(BY_NAME)


@pytest.mark.parametrize(("harm", "found", "needs_deep"), [
    (flip, "found SHA-256", True), (cut, r"found \d+ bytes", False), (lose, "found no file", False)
])
def test_a_linked_file_that_was_changed_is_named(
    world: Path, verified: Callable[..., Verdict], harm: Callable[[Path], None], found: str, needs_deep: bool
) -> None:
    path = world / "linked" / "linked_1.png"
    whole = path.read_bytes()
    harm(path)
    try:
        code, damages = verified("--deep")
        assert (code, [each["kind"] for each in damages]) == (1, ["linked"])
        told = rf"linked_1\.png is not what was landed: expected .*, {found}.*source linked"
        assert re.search(told, damages[0]["message"])
        assert verified()[0] == (0 if needs_deep else 1)
    finally:
        path.write_bytes(whole)


def test_everything_that_is_damaged_is_told_at_once(root: Path, verified: Callable[..., Verdict]) -> None:
    objects = sorted(path for path in (root / "objects").rglob("*") if path.is_file())
    flip(objects[0])
    lose(objects[1])
    flip(a_part(root))
    flip(a_data_file(root, "silver.dimensions"))
    emptied(an_entry(root, "silver.actors"))
    lose(place_of(root, BY_NAME["silver.actors"]).entry(0))
    garbage(root / "_heads" / "silver.rejected.json")
    code, damages = verified("--deep")
    assert code == 1
    assert sorted(each["kind"] for each in damages) == ["object", "object", "published", *["table"] * 4]


def test_a_dataset_is_whole_while_what_it_does_not_stand_on_is_damaged(
    root: Path, verified: Callable[..., Verdict]
) -> None:
    with small_lake(root) as lake:
        rows = lake.engine.arrow(lake.engine.scan(place_of(root, ENTITIES).folder, newest(place_of(root, ENTITIES))))
    squares = [row["entity_id"] for row in rows.to_pylist()]
    flip(a_data_file(root, "silver.dimensions"))
    flip(a_part(root))
    code, damages = verified("--dataset", "circles", "--deep")
    assert (code, damages) == (0, [])
    code, damages = verified("--dataset", "shapes", "--deep")
    assert (code, [each["kind"] for each in damages]) == (1, ["published"])
    for entity_id in squares:
        path = root / "objects" / entity_id[:2] / entity_id
        if path.exists():
            flip(path)
    assert len([each for each in verified("--dataset", "circles", "--deep")[1] if each["kind"] == "object"]) == 3
    assert len([each for each in verified("--deep")[1] if each["kind"] == "object"]) == 6


def test_a_dataset_that_there_is_not_is_an_error_in_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--lake", str(root), "--dataset", "circels"]) == 1
    assert re.fullmatch("petrel: RecipeError: no dataset `circels` .*\n", capsys.readouterr().err)


def test_a_published_folder_that_was_removed_is_no_damage_and_is_told(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lose(a_part(root).parents[1])
    assert main(["verify", "--lake", str(root)]) == 0
    assert "was published and removed since, which is no damage" in capsys.readouterr().out


def test_the_library_yields_what_the_command_prints(root: Path) -> None:
    path = an_object(root)
    lose(path)
    with small_lake(root) as lake:
        (damage,) = verify(lake)
    assert (damage.kind, damage.what) == ("object", path.name)
    assert str(path) in str(damage)


@pytest.mark.parametrize("harm", [flip, cut, lose])
def test_an_object_that_was_found_damaged_is_whole_again_once_the_same_files_are_landed_again(
    world: Path, root: Path, verified: Callable[..., Verdict], harm: Callable[[Path], None]
) -> None:
    harm(an_object(root))
    assert verified("--deep")[0] == 1
    assert main(["land", "--lake", str(root), "--source", "shapes", "--folder", str(world / "shapes")]) == 0
    assert verified("--deep") == (0, [])
