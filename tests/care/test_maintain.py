"""maintain: fewer files and the same rows; nothing goes that somebody needs, and everything else does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from jobs.cli import main as petrel
from lakehouse.care.compact import compact
from lakehouse.care.maintain import maintain
from lakehouse.care.pins import live_pins, remove_pin, set_pin
from lakehouse.care.vacuum import vacuum
from lakehouse.datasets import build as build_module
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import ConcurrentWriteError, TableError, VersionUnavailableError
from lakehouse.home import home_of
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import digest_at, head, table_path
from lakehouse.verification.places import place_of
from lakehouse.verification.tables import live_files, problems
from schemas.tables import ACTORS, ENTITIES, TABLES
from tests.buckets.lakes import lake_at  # noqa: F401 - a fixture
from tests.making import Clock, add_entities, small_lake

NOW = timedelta(0)
COUNT = "select count(*) as n, count(distinct entity_id) as ids from silver.entities"


def grow(lake: Lake, commits: int, *, start: int = 0) -> None:
    for number in range(start, start + commits):
        add_entities(lake, [f"{number}-{each}" for each in range(3)])


def files_of(lake: Lake) -> list[str]:
    place = place_of(lake.home, ENTITIES)
    return [each.name for each in lake.files.list(place.folder_name) if "_delta_log" not in each.name]


def late(lake: Lake) -> timedelta:
    """Move the lake's clock far behind every file."""
    assert isinstance(lake.clock, Clock)
    lake.clock.forward(days=3650)
    return timedelta(days=1)


def test_small_files_become_one_with_the_same_rows_and_digest(lake_at):  # noqa: F811
    with small_lake(lake_at) as lake:
        grow(lake, 6)
        before = head(lake.home, ENTITIES)
        digest, rows = digest_at(lake, ENTITIES, before), fetch(lake, "from silver.entities order by entity_id")
        done = compact(lake, ENTITIES)
        assert (done.version, done.before, done.after) == (before + 1, 6, 1)
        assert digest_at(lake, ENTITIES, done.version) == digest
        assert fetch(lake, "from silver.entities order by entity_id") == rows
        assert compact(lake, ENTITIES) == type(done)(done.version, 1, 1, 0)
    with small_lake(lake_at) as lake:
        assert list(problems(place_of(lake.home, ENTITIES), anew=True)) == []
        grow(lake, 1, start=100)
        assert fetch(lake, COUNT) == [{"n": 21, "ids": 21}]


def test_other_readers_of_delta_read_what_was_put_together(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        grow(lake, 6)
        compact(lake, ENTITIES)
        table = DeltaTable(table_path(lake.root, ENTITIES))
        assert table.to_pyarrow_table().num_rows == 18
        assert pa.table(table.get_add_actions()).num_rows == 1
        assert [each["operation"] for each in table.history(2)] == ["OPTIMIZE", "WRITE"]


def test_replaced_files_stay_for_their_grace_and_go_then(lake_at):  # noqa: F811
    with small_lake(lake_at) as lake:
        grow(lake, 6)
        before = head(lake.home, ENTITIES)
        compact(lake, ENTITIES)
        place = place_of(lake.home, ENTITIES)
        kept = vacuum(lake, ENTITIES, list, grace=timedelta(days=36500), now=lake.clock())
        assert (kept.removed, kept.young, len(files_of(lake))) == (0, 6, 7)
        grace = late(lake)
        planned = vacuum(lake, ENTITIES, list, grace=grace, now=lake.clock(), dry_run=True)
        assert (planned.removed, planned.bytes > 0, len(files_of(lake))) == (6, True, 7)
        gone = vacuum(lake, ENTITIES, list, grace=grace, now=lake.clock())
        assert (gone.removed, gone.bytes) == (6, planned.bytes)
        assert files_of(lake) == [f"{place.folder_name}/{each.name}" for each in live_files(place, before + 1)]
        assert fetch(lake, COUNT) == [{"n": 18, "ids": 18}]
        assert list(problems(place, anew=True)) == []
        lake.verified.clear()
        with pytest.raises(VersionUnavailableError, match=rf"silver.entities@{before}: .* in version {before + 1} and"):
            fetch(lake, COUNT, pins={ENTITIES.name: before})


def test_a_file_that_no_commit_names_goes_after_its_grace(lake_at):  # noqa: F811
    with small_lake(lake_at) as lake:
        grow(lake, 1)
        place = place_of(lake.home, ENTITIES)
        lake.files.put(f"{place.folder_name}/part-00000-killed-c000.snappy.parquet", b"half")
        assert vacuum(lake, ENTITIES, list, grace=timedelta(days=36500), now=lake.clock()).young == 1
        assert vacuum(lake, ENTITIES, list, grace=late(lake), now=lake.clock()).removed == 1
        assert len(files_of(lake)) == 1


def test_what_a_dataset_version_stands_on_is_never_removed(lake_at):  # noqa: F811
    with small_lake(lake_at) as lake:
        built = []
        for number in range(3):
            grow(lake, 2, start=10 * number)
            recipe = parse_recipe({"name": "all", "seed": number, "split": {"ratios": {"train": 1.0}}}, where="r.toml")
            built.append(build(lake, recipe).details["dataset_id"])
        grow(lake, 2, start=90)
        grace = late(lake)
        receipt = maintain(lake, tables=[ENTITIES.name], grace=grace, few=1)
        assert (receipt.counts["files_before"], receipt.counts["files_after"]) == (8, 1)
        # The first two are kept by three versions and, as no step has brought entities since, by the newest commit.
        assert (receipt.counts["removed"], receipt.counts["pinned"]) == (2, 2 + 4 + 6 + 2)
        (note,) = [each for each in receipt.notes if each.rule == "pinned"]
        assert (
            note.example == f"silver.entities: 2 files stay because dataset all ({built[0]}) needs them"
            or "dataset all" in note.example
            or "newest commit of branch main" in note.example
        )  # which of the versions is first told depends on their ids
        lake.verified.clear()
        for pin in live_pins(lake):
            assert fetch(lake, COUNT, pins={ENTITIES.name: pin.tables[ENTITIES.name]})[0]["n"] in (6, 12, 18)


def test_ten_of_ten_pins_are_respected(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        versions = []
        for number in range(10):
            grow(lake, 1, start=number)
            versions.append(head(lake.home, ENTITIES))
            set_pin(lake, f"tag-{number}", {ENTITIES.name: None})
        grow(lake, 1, start=50)
        maintain(lake, grace=late(lake), few=1)
        lake.verified.clear()
        assert [fetch(lake, COUNT, pins={ENTITIES.name: each})[0]["n"] for each in versions] == [
            3 * (number + 1) for number in range(10)
        ]
        for number in range(10):
            remove_pin(lake, f"tag-{number}")
        assert maintain(lake, grace=NOW).counts["removed"] == 10
        assert len(files_of(lake)) == 1


def test_a_lease_for_reading_ends(tmp_path):
    clock = Clock()
    with small_lake(tmp_path / "lake", clock=clock) as lake:
        grow(lake, 1)
        set_pin(lake, "reader", {ENTITIES.name: None}, until=clock() + timedelta(hours=1))
        assert [pin.name for pin in live_pins(lake)] == ["pin reader"]
        clock.forward(hours=2)
        assert live_pins(lake) == []


def test_what_a_step_is_reading_stays_even_without_a_grace(lake_at, monkeypatch):  # noqa: F811
    clock = Clock()
    clock.forward(days=3650)  # far behind every file
    with small_lake(lake_at, clock=clock) as lake:
        grow(lake, 3)
        before, seen, begun = head(lake.home, ENTITIES), [], build_module._build

        def interrupted(lake, recipe, pins, record):
            with small_lake(lake_at, clock=clock) as other:
                receipt = maintain(other, tables=[ENTITIES.name], grace=NOW, few=1)
                seen.append((receipt.counts["files_after"], receipt.counts["removed"], receipt.counts["pinned"]))
            begun(lake, recipe, pins, record)

        monkeypatch.setattr(build_module, "_build", interrupted)
        recipe = parse_recipe({"name": "all", "split": {"ratios": {"train": 1.0}}}, where="r.toml")
        assert build(lake, recipe).counts["members"] == 9
        assert seen == [(1, 0, 3)]
        assert list(lake.files.list("_pins")) == []
        assert [pin.tables[ENTITIES.name] for pin in live_pins(lake)] == [before]  # the dataset's


def test_a_pin_that_cannot_be_read_stops_everything(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        lake.files.put("_pins/x.json", b"{")
        with pytest.raises(TableError, match=r"_pins/x.json: is no pin .*; remove it, or set it again"):
            maintain(lake)


def test_the_command_pins_shows_maintains_and_refuses_what_it_does_not_know(tmp_path, capsys, caplog):
    root = tmp_path / "lake"
    with small_lake(root) as lake:
        grow(lake, 6)
    at = ["--lake", str(root)]
    assert petrel(["maintain", *at, "--pin", "paper", "--table", "silver.entities=3", "--until", "2999-01-01"]) == 0
    assert capsys.readouterr().out == "pin paper: silver.entities@3; until 2999-01-01T00:00:00+00:00\n"
    assert petrel(["maintain", *at, "--grace-days", "0"]) == 0
    said = capsys.readouterr()
    assert f"{len(TABLES)} tables" in said.out or f"{len(TABLES) - 2} tables" in said.out
    assert "because pin paper needs them" in caplog.text
    assert petrel(["maintain", *at, "--pins"]) == 0
    assert "pin paper: silver.entities@3" in capsys.readouterr().out
    assert petrel(["maintain", *at, "--unpin", "papre"]) == 1
    assert "no pin `papre`; did you mean `paper`?" in capsys.readouterr().err
    assert petrel(["maintain", *at, "--unpin", "paper"]) == 0
    for wrong, expected in [
        (["--table", "silver.entitys"], "no such table; did you mean `silver.entities`?"),
        (["--table", "silver.entities=x"], "expected NAME or NAME=VERSION"),
        (["--table", "silver.entities=3"], "a version is for --pin"),
        (["--pin", "a/b", "--table", "silver.entities"], "expected a name of letters"),
        (["--pin", "a", "--table", "silver.entities=99"], "silver.entities"),
        (["--pin", "a", "--table", "silver.entities", "--until", "soon"], "expected a time like"),
        (["--until", "2999-01-01"], "--until is for --pin"),
        (["--grace-days", "-1"], "expected 0 or more days"),
        (["--grace-days", "inf"], "expected 0 or more days"),
        (["--grace-days", "nan", "--orphans"], "expected 0 or more days"),
        (["--dry-run", "--pin", "a", "--table", "silver.entities"], "--dry-run and --orphans go with no pin"),
        (["--dry-run", "--unpin", "a"], "--dry-run and --orphans go with no pin"),
        (["--orphans", "--table", "silver.entities"], "--table goes with maintaining and with --pin alone"),
        (["--pin", "a", "--table", "silver.entities", "--table", "silver.entities=0"], "a table is named twice"),
        (["--pin", "a", "--table", "silver.entities", "--until", "2001-01-01"], "is over already"),
        (["--table", "silver.entities=²"], "expected NAME or NAME=VERSION"),
    ]:
        assert petrel(["maintain", *at, *wrong]) == 1
        assert expected in capsys.readouterr().err


def test_old_receipts_go_and_marks_of_damage_stay(lake_at):  # noqa: F811
    with small_lake(lake_at) as lake:
        grow(lake, 1)
        maintain(lake)
        lake.files.put("_runs/damaged/abc", b"")
        late(lake)
        assert maintain(lake, keep_runs=timedelta(days=36500)).counts["expired"] == 0
        assert maintain(lake, keep_runs=timedelta(days=30)).counts["expired"] >= 2
        assert [each.name for each in lake.files.list("_runs/damaged")] == ["_runs/damaged/abc"]


def test_a_lock_never_expires_and_what_killed_processes_asked_does(bucket, tmp_path, monkeypatch):
    from lakehouse.tables.leases import lease, leases
    from tests.buckets.lakes import use

    with small_lake(use(bucket, tmp_path, monkeypatch)) as lake:
        lake.files.put("_locks/clock-of-a-killed-one", b"")
        with lease(lake.home, "a", timeout_s=5, lease_s=30) as held:
            assert [name for name, _, _ in leases(lake.files)] == ["a"]
            late(lake)
            maintain(lake, keep_runs=NOW)
            held.check()
            with pytest.raises(ConcurrentWriteError), lease(lake.home, "a", timeout_s=0.3, lease_s=30):
                pytest.fail("two hold it")
        assert not any("clock" in each.name for each in lake.files.list("_locks"))


def test_a_folder_of_somebody_else_in_a_table_is_left_alone(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        grow(lake, 1)
        lake.files.put(f"{place_of(lake.home, ENTITIES).folder_name}/mine/x.parquet", b"x")
        assert vacuum(lake, ENTITIES, list, grace=late(lake), now=lake.clock()).removed == 0


def test_a_writer_that_commits_meanwhile_loses_nothing(tmp_path, monkeypatch):
    with small_lake(tmp_path / "lake") as lake, small_lake(tmp_path / "lake") as other:
        grow(lake, 6)
        compact(lake, ENTITIES)
        grow(other, 1, start=70)
        vacuum(lake, ENTITIES, list, grace=late(lake), now=lake.clock())
        assert fetch(other, COUNT) == [{"n": 21, "ids": 21}]
        insert_rows(other, ACTORS, [{"actor_id": "human:a", "kind": "human", "name": "a"}], step="test")


def test_the_home_of_a_copy_is_its_bucket(bucket, tmp_path, monkeypatch):
    from tests.buckets.lakes import use

    address = use(bucket, tmp_path, monkeypatch)
    with small_lake(address) as lake:
        assert home_of(Path(lake.root)).address == address == str(lake.home)
