"""fsck and mend: every damage that is planted is found, and the command that is printed with it mends it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.cli import main as petrel
from lakehouse.care.orphans import listed_objects
from lakehouse.config import load_config
from lakehouse.home import Home
from lakehouse.lake import Lake, utc_now
from lakehouse.opening import open_lake
from lakehouse.place import find_home
from lakehouse.tables.insert import write_checkpoint
from lakehouse.tables.locks import lake_lock
from lakehouse.tables.read import head
from lakehouse.verification.places import place_of
from loaders.stores.storage import Storage
from schemas.tables import OPINIONS
from tests.lanes import examples
from tests.making import add_entities, entity_id

STRANGER = "objects/ab/ab" + 62 * "0"


class Place:
    """A lake to be damaged, a copy of it, and the folders that its files came from."""

    def __init__(self, address: str, backup: Path, sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.address, self.backup, self.sources, self._capsys = address, backup, sources, capsys

    @property
    def home(self) -> Home:
        return find_home(load_config(overrides=[f'lake.root="{self.address}"'], environ={}))

    @property
    def files(self) -> Storage:
        return self.home.files

    def first(self, folder: str, end: str = "") -> str:
        return min(each.name for each in self.files.list(folder) if each.name.endswith(end))

    def flip(self, name: str) -> None:
        data = bytearray(self.files.read_whole(name))
        data[len(data) // 2] ^= 1
        self.files.put(name, bytes(data))

    def fsck(self, *options: str) -> tuple[int, list[dict[str, Any]]]:
        self._capsys.readouterr()
        code = petrel(["fsck", "--lake", self.address, "--json", "--all", *options])
        said = self._capsys.readouterr()
        *found, summary = [json.loads(line) for line in said.out.splitlines()]
        assert summary["found"] == len(found), said.err
        return code, found


    def fsck_quick(self) -> int:
        return petrel(["fsck", "--lake", self.address])


@pytest.fixture(params=["folder", "bucket"])
def place(
    request: pytest.FixtureRequest, lake: Path, sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Place:
    backup = tmp_path / "backup"
    assert petrel(["copy-lake", "--lake", str(lake), "--to", str(backup)]) == 0
    address = str(lake)
    if request.param == "bucket":
        address = request.getfixturevalue("there")
        assert petrel(["copy-lake", "--lake", str(lake), "--to", address]) == 0
    return Place(address, backup, sources, capsys)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a month have gone by for every lake that is opened."""
    make = Lake.__init__

    def in_a_month(self: Lake, *args: Any, **more: Any) -> None:
        make(self, *args, **(more | {"clock": lambda: utc_now() + timedelta(days=30)}))

    monkeypatch.setattr(Lake, "__init__", in_a_month)


def mended(place: Place, found: list[dict[str, Any]]) -> None:
    """Run what was printed, as it was printed; what is not to be mended by itself is found no more either."""
    for command in dict.fromkeys(each["command"] for each in found if each["kind"] != "unchecked"):
        assert command, found
        for part in command.split(" && "):
            program, *words = shlex.split(part)
            assert program == "petrel"
            # Processes that other tests of this one have started know nothing of this test's bucket.
            assert petrel([*words, "--set", "engine.workers=1"]) == 0, part
    assert place.fsck() == (0, [])


def an_object(place: Place) -> str:
    return place.first("objects")


def a_data_file(place: Place, table: str) -> str:
    return place.first(f"tables/{table}", ".snappy.parquet")


def cut(place: Place) -> None:
    place.files.put(an_object(place), place.files.read_whole(an_object(place))[:-1])


def damage_checkpoint(place: Place) -> None:
    with open_lake(load_config(overrides=[f'lake.root="{place.address}"'], environ={})) as lake:
        at = place_of(lake.home, OPINIONS)
        with lake_lock(lake, OPINIONS.name):
            write_checkpoint(at, head(lake.home, OPINIONS))
    place.flip(place.first("tables/silver/opinions/_delta_log", ".checkpoint.parquet"))


def leave_half_a_publication(place: Place) -> None:
    # In a folder a version gets its name last, in a bucket its `_dataset.json`.
    folder = ".staging-0123" if place.home.is_local else 32 * "0"
    place.files.put(f"datasets/shapes/{folder}/train/part-00000.parquet", b"half")


def lose_link(place: Place) -> None:
    (place.sources / "linked/linked_0.png").unlink()


DAMAGES: dict[str, tuple[str, Callable[[Place], object]]] = {
    "missing object": ("object", lambda place: place.files.delete(an_object(place))),
    "flipped bit in object": ("object", lambda place: place.flip(an_object(place))),
    "wrong size": ("object", cut),
    "flipped bit in table file": ("table", lambda place: place.flip(a_data_file(place, "silver/entities"))),
    "missing table file": ("table", lambda place: place.files.delete(a_data_file(place, "silver/opinions"))),
    "lost log entry": ("table", lambda place: place.files.delete(
        f"tables/silver/entities/_delta_log/{1:020}.json")),
    "lost newest log entry": ("table", lambda place: place.files.delete(
        max(each.name for each in place.files.list("tables/silver/entities/_delta_log") if each.name[-5:] == ".json"))),
    "damaged log entry": ("table", lambda place: place.files.put(
        f"tables/silver/entities/_delta_log/{2:020}.json", b"{")),
    "damaged record of a head": ("table", lambda place: place.files.put("_heads/silver.entities.json", b"{")),
    "lost table": ("table", lambda place: [place.files.delete(each.name)
                                           for each in list(place.files.list("tables/silver/actors"))]),
    "damaged checkpoint": ("table", damage_checkpoint),
    "dangling link": ("linked", lose_link),
    "publishing that was killed": ("orphan", leave_half_a_publication),
    "orphan": ("orphan", lambda place: place.files.put(STRANGER, b"nobody's")),
    "half upload": ("leftover", lambda place: place.files.put(
        "tables/silver/entities/part-00000-killed-c000.snappy.parquet", b"half")),
}  # fmt: skip


@pytest.mark.usefixtures("later")
def test_each_planted_damage_is_found_and_its_command_mends_it(place):
    assert place.fsck() == (0, [])
    # Every day a bucket has every other one: what finds and mends them is the same in both.
    every = examples(2 if "://" in place.address else 1, long=1)
    for name, (kind, plant) in list(DAMAGES.items())[::every]:
        plant(place)
        code, found = place.fsck("--from", str(place.backup))
        kinds = {each["kind"] for each in found} - {"unchecked"}
        assert (name, code, kinds) == (name, 1, {kind})
        mended(place, found)


@pytest.mark.usefixtures("later")
def test_damage_of_a_published_version_is_mended_from_a_copy_and_by_publishing_again(place):
    plants: list[Callable[[], None]] = [
        lambda: place.flip(place.first("datasets", ".parquet")),
        lambda: place.files.delete(place.first("datasets", "_manifest.json")),
        lambda: place.files.put(place.first("datasets", "_dataset.json"), b"{"),
        lambda: place.files.put(f"{place.first('datasets', '.parquet')}.bak", b"x"),
    ]
    ways = (["--from", str(place.backup)], [])
    turn = int("://" in place.address)
    # Every day a folder is mended in one of the two ways, and a bucket in the other.
    for number, plant in enumerate(plants):
        for options in examples([ways[(number + turn) % 2]], long=ways):
            plant()
            code, found = place.fsck(*options)
            assert (code, {each["kind"] for each in found}) == (1, {"published"})
            mended(place, found)


def test_a_published_version_is_not_taken_away_while_it_cannot_be_published_again(place, capsys):
    for each in (place.sources / "shapes").rglob("*.png"):
        each.unlink()
    part, what = place.first("datasets", ".parquet"), "/".join(place.first("datasets").split("/")[1:3])
    place.files.delete(part)
    place.flip(an_object(place))
    before = [each.name for each in place.files.list("datasets")]
    assert petrel(["mend", "--lake", place.address, "--only", what]) == 1
    assert f"{what}: cannot be published again before this is mended: entity " in capsys.readouterr().err
    assert [each.name for each in place.files.list("datasets")] == before


@pytest.mark.usefixtures("later")
def test_without_a_copy_objects_come_from_where_they_were_landed(place):
    place.files.delete(an_object(place))
    code, found = place.fsck()
    assert (code, found[0]["command"]) == (
        1, f"petrel mend --lake {shlex.quote(place.address)} --only {an_object_id(found)}",
    )  # fmt: skip
    mended(place, found)


def an_object_id(found):
    return found[0]["what"]


def test_what_has_no_source_is_said_to_need_a_copy_and_nothing_is_made_worse(place, capsys):
    for each in (place.sources / "shapes").rglob("*.png"):
        each.unlink()
    entry = f"tables/silver/entities/_delta_log/{2:020}.json"
    for name in (an_object(place), entry):
        whole = place.files.read_whole(name)
        place.files.delete(name)
        _, found = place.fsck()
        capsys.readouterr()
        assert petrel(shlex.split(found[0]["command"])[1:]) == 1
        assert "not mended: " in (said := capsys.readouterr().out)
        assert "give a copy of the lake with --from" in said
        place.files.put(name, whole)
    assert place.fsck() == (0, [])


def test_a_copy_whose_bytes_are_others_mends_nothing(place, capsys):
    for each in (place.sources / "shapes").rglob("*.png"):
        each.unlink()
    name, entry = an_object(place), f"tables/silver/entities/_delta_log/{2:020}.json"
    place.files.delete(name)
    (place.backup / name).write_bytes(b"others")
    assert petrel(["mend", "--lake", place.address, "--from", str(place.backup), "--only", name[-64:]]) == 1
    assert "at none of the places that are known" in capsys.readouterr().out
    place.files.delete(entry)
    (place.backup / entry).write_bytes(b"{")
    assert petrel(["mend", "--lake", place.address, "--from", str(place.backup), "--only", "silver.entities"]) == 1
    assert "is damaged: it is no log entry" in capsys.readouterr().err
    assert not [each for each in place.files.list() if each.name in (name, entry)]


def test_everything_at_once_is_mended_by_one_command(place):
    for name in ("tables/silver/entities", "tables/silver/opinions", "tables/bronze/landed_files"):
        place.flip(place.first(name, ".parquet"))
    place.files.delete(f"tables/gold/datasets/_delta_log/{1:020}.json")
    place.files.delete(an_object(place))
    assert petrel(["mend", "--lake", place.address, "--from", str(place.backup)]) == 0
    assert place.fsck() == (0, [])


def test_what_is_young_is_nobodys_business(place):
    place.files.put(STRANGER, b"on its way")
    assert place.fsck() == (0, [])
    assert petrel(["maintain", "--lake", place.address, "--orphans", "--dry-run"]) == 0
    assert petrel(["maintain", "--lake", place.address, "--orphans"]) == 0
    assert STRANGER in [each.name for each in place.files.list("objects")]


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_orphans_go_only_after_they_were_shown_and_never_what_a_row_points_at(place, capsys):
    before = listed_objects(place.home).num_rows
    place.files.put(STRANGER, b"nobody's")
    (Path(place.address) / "objects/.tmp-killed").write_bytes(b"half")
    dataset = place.first("datasets", "_dataset.json")
    whole = place.files.read_whole(dataset)
    place.files.delete(dataset)  # damage of what is published, which is for `mend`
    at = ["maintain", "--lake", place.address, "--orphans"]
    assert petrel(at) == 1
    assert "run `petrel maintain --orphans --dry-run` first" in capsys.readouterr().err
    assert petrel([*at, "--grace-days", "0.5"]) == 1
    assert "at least 1 day" in capsys.readouterr().err
    assert petrel([*at, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert f"would remove {STRANGER} (8 bytes)" in said
    assert "would remove objects/.tmp-killed (4 bytes)" in said
    assert "datasets/" not in said
    place.files.put(dataset, whole)
    later_one = STRANGER[:-1] + "1"
    place.files.put(later_one, b"not shown")
    assert petrel(at) == 0
    assert listed_objects(place.home)["object_uri"].to_pylist().count(later_one) == 1
    assert listed_objects(place.home).num_rows == before + 1
    assert not (Path(place.address) / "objects/.tmp-killed").exists()


def test_a_sample_reads_so_many_objects_and_all_of_them_find_a_flipped_bit(place, capsys):
    def said(*options):
        capsys.readouterr()
        code = petrel(["fsck", "--lake", place.address, "--json", *options])
        *found, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return code, len(found), summary["checked"].get("bytes", 0)

    sizes = [each.size for each in place.files.list("objects")]
    assert said() == (0, 0, 0)
    code, found, read = said("--sample", "2")
    assert (code, found) == (0, 0)
    assert 2 * min(sizes) <= read <= 2 * max(sizes)
    place.flip(an_object(place))
    assert said()[:2] == (0, 0)
    assert said("--sample", "100")[:2] == (1, 1)


@pytest.mark.parametrize("place", ["bucket"], indirect=True)
def test_objects_of_a_bucket_are_listed_and_not_asked_for_one_by_one(place):
    def requests() -> int:
        before = place.files.counts.requests
        assert place.fsck_quick() == 0
        return place.files.counts.requests - before

    few = requests()
    with open_lake(load_config(overrides=[f'lake.root="{place.address}"'], environ={})) as lake:
        names = [f"name {number}" for number in range(200)]
        for name in names:
            place.files.put(f"objects/{entity_id(name)[:2]}/{entity_id(name)}", name.encode())
        add_entities(lake, names)
    assert requests() - few < 10, "one commit more to look at, and two hundred objects"
