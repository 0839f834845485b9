"""Damage in tables: an error that names the file, or the very content that the clean lake has; never another one.

`PETREL_FLIPS=40` flips so many bits in every file (of the session's lake) instead of one.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.datasets.build import build
from lakehouse.datasets.versions.find import find_dataset, read_members
from lakehouse.errors import TableError
from lakehouse.query import fetch
from lakehouse.sql.contained import user_query
from lakehouse.steps.receipts import Receipt
from lakehouse.tables.finish import finish_row
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import head
from lakehouse.verification.entries import read_entry, versions_in
from lakehouse.verification.heads import read_head
from lakehouse.verification.places import Place, place_of
from lakehouse.verification.tables import newest, problems, verify_table
from schemas.model import Table
from schemas.tables import ACTORS, DATASET_MEMBERS, DATASETS, DIMENSIONS, ENTITIES, ENTITY_SOURCES, OPINIONS, TABLES
from tests.making import START, add_opinions, opinion, small_lake
from tests.verification.conftest import NAMES, RECIPE

FLIPS = int(os.environ.get("PETREL_FLIPS", "1"))

Copy = Callable[[Path], Path]
Built = tuple[Path, Receipt]


def table_files(root: Path) -> list[Path]:
    """Every file of every table, data and log, and the records of the heads; relative to the lake."""
    files = [path for folder in ("tables", "_heads") for path in (root / folder).rglob("*") if path.is_file()]
    return sorted(path.relative_to(root) for path in files)


def outcome(root: Path, clean: Receipt) -> str:
    """Return `error`, `same` or `OTHER`: what a build, and reading its members, make of a lake."""
    try:
        with small_lake(root) as lake:
            receipt = build(lake, RECIPE)
            found = find_dataset(lake, receipt.details["dataset_id"])
            members = lake.engine.arrow(read_members(lake, found.dataset_id)).num_rows
    except TableError:
        return "error"
    same = (receipt.details["dataset_id"], receipt.details["members_digest"], receipt.counts) == (
        clean.details["dataset_id"],
        clean.details["members_digest"],
        clean.counts,
    )
    return "same" if same and members == found.members == clean.counts["members"] else "OTHER"


def flip(path: Path, place: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[place.randrange(len(data))] ^= 1 << place.randrange(8)
    path.write_bytes(data)


@pytest.mark.parametrize("which", ["before the build", "after the build"])
def test_no_flipped_bit_in_any_table_gives_other_content(
    filled: Path, built: Built, tmp_path: Path, which: str
) -> None:
    source = filled if which == "before the build" else built[0]
    place = random.Random(f"{which} {FLIPS}")
    found: dict[str, list[str]] = {"error": [], "same": [], "OTHER": []}
    for name in table_files(source):
        for number in range(FLIPS if FLIPS > 1 or holds_rows(source, name) else 0):
            root = Path(shutil.copytree(source, tmp_path / "copy"))
            flip(root / name, place)
            found[outcome(root, built[1])].append(f"{name} {number}")
            shutil.rmtree(root)
    print({each: len(cases) for each, cases in found.items()})  # noqa: T201 - the figures of a long run
    assert found["OTHER"] == []
    assert len(found["error"]) > len(found["same"])


@pytest.mark.parametrize("harm", ["removed", "emptied", "cut", "misspelt"])
@pytest.mark.parametrize("table", [ENTITIES, OPINIONS, ACTORS, DIMENSIONS, ENTITY_SOURCES], ids=lambda each: each.name)
def test_a_lost_or_cut_commit_is_an_error_that_names_it(
    filled: Path, built: Built, copy_of: Copy, table: Table, harm: str
) -> None:
    root = copy_of(filled)
    place = place_of(root, table)
    for version in range(newest(place), 1, -1):
        entry = place.entry(version)
        whole = entry.read_bytes()
        spoil(entry, harm)
        with pytest.raises(TableError, match=rf"{table.name}: .*{version:020}\.json"), small_lake(root) as lake:
            build(lake, RECIPE)
        entry.write_bytes(whole)
    with small_lake(root) as lake:
        assert build(lake, RECIPE).counts == built[1].counts


@pytest.mark.parametrize("harm", ["removed", "emptied", "cut", "misspelt"])
@pytest.mark.parametrize("table", [DATASETS, DATASET_MEMBERS], ids=lambda each: each.name)
def test_a_lost_or_cut_commit_of_a_built_dataset_is_an_error_for_whoever_reads_it(
    built: Built, copy_of: Copy, table: Table, harm: str
) -> None:
    root = copy_of(built[0])
    spoil(place_of(root, table).entry(newest(place_of(root, table))), harm)
    with small_lake(root) as lake, pytest.raises(TableError, match=rf"{table.name}: .*\.json"):
        read_members(lake, find_dataset(lake, "zoo").dataset_id)
    with small_lake(root) as lake, pytest.raises(TableError, match=rf"{table.name}: .*\.json"):
        build(lake, RECIPE)


def spoil(entry: Path, harm: str) -> None:
    text = entry.read_text()
    if harm == "removed":
        entry.unlink()
    else:
        entry.write_text(
            {"emptied": "", "cut": text[: len(text) * 2 // 3], "misspelt": text.replace('"add"', '"adb"')}[harm]
        )


@pytest.mark.parametrize("harm", ["missing", "shorter", "longer", "other"])
def test_a_damaged_data_file_is_named_and_nothing_is_written(filled: Path, copy_of: Copy, harm: str) -> None:
    root = copy_of(filled)
    part = min(place_of(root, OPINIONS).folder.glob("*.parquet"))
    data = part.read_bytes()
    if harm == "missing":
        part.unlink()
    else:
        part.write_bytes({"shorter": data[:-1], "longer": data + b"x", "other": data[:100] + b"?" + data[101:]}[harm])
    with small_lake(root) as lake:
        before = heads(root)
        found = rf"silver\.opinions: .*{part.name} is damaged: expected .*found .*; `petrel mend --from"
        with pytest.raises(TableError, match=found):
            build(lake, RECIPE)
        with pytest.raises(TableError, match=part.name):
            user_query(root, "select count(*) from opinions")
        with pytest.raises(TableError, match=part.name):
            add_opinions(lake, [opinion(NAMES[0], "human:eve", "cat")])
        assert {name: each for name, each in heads(root).items() if name != "silver.actors"} == {
            name: each for name, each in before.items() if name != "silver.actors"
        }


def heads(root: Path) -> dict[str, int]:
    return {table.name: head(root, table) for table in TABLES}


def test_damage_behind_an_unchanged_build_is_no_secret(built: Built, copy_of: Copy) -> None:
    root = copy_of(built[0])
    with small_lake(root) as lake:
        assert build(lake, RECIPE).rows_new == 0
    flip(min(place_of(root, ENTITIES).folder.glob("*.parquet")), random.Random(1))
    with small_lake(root) as lake, pytest.raises(TableError, match=r"silver\.entities: .* is damaged"):
        build(lake, RECIPE)


def test_a_file_is_read_once_and_again_when_it_was_touched(filled: Path, copy_of: Copy) -> None:
    root = copy_of(filled)
    place = place_of(root, ENTITIES)
    verify_table(place)
    noted = place.notes.stat().st_size
    verify_table(place)
    assert place.notes.stat().st_size == noted
    part = min(place.folder.glob("*.parquet"))
    os.utime(part)
    verify_table(place)
    assert place.notes.stat().st_size > noted
    assert list(problems(place, anew=True)) == []


def test_notes_that_cannot_be_read_or_written_cost_only_time(filled: Path, copy_of: Copy) -> None:
    root = copy_of(filled)
    place = place_of(root, ENTITIES)
    verify_table(place)
    text = place.notes.read_text()
    place.notes.write_text(text.replace("sha256", "sha257")[:-9] + "\n\n{}\nno note")
    verify_table(place)
    place.notes.unlink()
    place.notes.mkdir()
    verify_table(place)


def test_a_run_killed_between_commit_and_record_is_continued(filled: Path, copy_of: Copy) -> None:
    root = copy_of(filled)
    place = place_of(root, ACTORS)
    behind = place.head.read_bytes()
    with small_lake(root) as lake:
        insert_rows(lake, ACTORS, [{"actor_id": "human:eve", "kind": "human", "name": "eve"}], step="test")
    place.head.write_bytes(behind)
    with small_lake(root) as lake:
        assert fetch(lake, "select count(*) as n from silver.actors") == [{"n": 3}]
        insert_rows(lake, ACTORS, [{"actor_id": "human:fay", "kind": "human", "name": "fay"}], step="test")
        assert fetch(lake, "select count(*) as n from silver.actors") == [{"n": 4}]
    assert read_head(place).version == newest(place)


def test_an_entry_past_the_record_must_name_the_one_that_the_record_tells(tmp_path: Path) -> None:
    place = many_commits(tmp_path / "lake", 3)
    extra = place.entry(newest(place) + 1)
    shutil.copy(place.entry(2), extra)
    with pytest.raises(TableError, match=rf"{extra.name} is damaged: .*or remove it"):
        verify_table(place)
    extra.unlink()
    verify_table(place)


def test_a_lake_without_the_records_of_its_heads_is_read_and_gets_them_with_the_next_write(
    filled: Path, built: Built, copy_of: Copy
) -> None:
    root = copy_of(filled)
    shutil.rmtree(root / "_heads")
    with small_lake(root) as lake:
        assert build(lake, RECIPE).details["members_digest"] == built[1].details["members_digest"]
    assert read_head(place_of(root, DATASETS)) is not None


def test_a_moved_lake_is_the_same(filled: Path, built: Built, copy_of: Copy, tmp_path: Path) -> None:
    root = copy_of(filled).rename(tmp_path / "moved")
    with small_lake(root) as lake:
        assert build(lake, RECIPE).details["dataset_id"] == built[1].details["dataset_id"]


def test_no_flipped_bit_in_the_record_of_a_head_gives_other_content(filled: Path, built: Built, copy_of: Copy) -> None:
    root = copy_of(filled)
    place = place_of(root, ENTITIES)
    whole = place.head.read_bytes()
    found = set()
    for at in range(5, len(whole) - 5, 23):
        for bit in (0, 1):
            place.head.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
            found.add(outcome(root, built[1]))
    assert found <= {"error", "same"}


def many_commits(root: Path, number: int) -> Place:
    with small_lake(root) as lake:
        for each in range(number):
            insert_rows(lake, ACTORS, [{"actor_id": f"human:{each}", "kind": "human", "name": str(each)}], step="test")
    return place_of(root, ACTORS)


def test_a_checkpoint_must_say_what_the_log_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.tables.insert.CHECKPOINT_EVERY", 5)
    place = many_commits(tmp_path / "lake", 7)
    (checkpoint,) = place.log.glob("*.checkpoint.parquet")
    hint = place.log / "_last_checkpoint"
    assert list(problems(place)) == []
    whole = checkpoint.read_bytes()
    for seed in range(40):
        flip(checkpoint, random.Random(seed))
        with pytest.raises(TableError, match=rf"{checkpoint.name} is damaged: .*; remove it"):
            verify_table(place)
        checkpoint.write_bytes(whole)
    for version in (3, 7):  # made by another, of fewer entries, or under a name that is not its own
        DeltaTable(place.folder, version=version).create_checkpoint()
    assert list(problems(place)) == []
    shutil.copy(place.log / f"{3:020}.checkpoint.parquet", place.log / f"{7:020}.checkpoint.parquet")
    with pytest.raises(TableError, match=rf"{7:020}.checkpoint.parquet is damaged: expected the files and settings"):
        verify_table(place)
    (place.log / f"{7:020}.checkpoint.parquet").unlink()
    for text in ("", "{}", "[]", '{"version": 6}'):
        hint.write_text(text)
        with pytest.raises(TableError, match="_last_checkpoint.*remove it"):
            verify_table(place)
    hint.unlink()
    verify_table(place)


def test_a_checkpoint_that_is_written_while_the_log_is_read_is_left_to_the_next_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.tables.insert.CHECKPOINT_EVERY", 5)
    place = many_commits(tmp_path / "lake", 5)
    assert list(place.log.glob("*.checkpoint.parquet"))
    listed = [version for version in versions_in(place.log) if version < 5]
    monkeypatch.setattr("lakehouse.verification.tables.versions_in", lambda log: listed)
    monkeypatch.setattr("lakehouse.verification.tables.read_head", lambda place: None)
    assert list(problems(place, 4)) == []


def test_what_another_writer_commits_is_taken_and_stands_in_the_chain(tmp_path: Path) -> None:
    place = many_commits(tmp_path / "lake", 1)
    row = finish_row({"actor_id": "human:eve", "kind": "human", "name": "eve"}, ACTORS, START)
    write_deltalake(place.folder, pa.Table.from_pylist([row], schema=ACTORS.arrow_schema), mode="append")
    with small_lake(tmp_path / "lake") as lake:
        insert_rows(lake, ACTORS, [{"actor_id": "human:fay", "kind": "human", "name": "fay"}], step="test")
        assert fetch(lake, "select count(*) as n from silver.actors") == [{"n": 3}]
    foreign = place.entry(newest(place) - 1)
    foreign.write_text(foreign.read_text() + "\n")
    with pytest.raises(TableError, match=foreign.name):
        verify_table(place)


def test_a_commit_without_a_chain_is_of_an_earlier_version(tmp_path: Path) -> None:
    place = many_commits(tmp_path / "lake", 1)
    entry = place.entry(newest(place))
    entry.write_text(re.sub(r'\\"previous\\": \\"[0-9a-f]+\\", ', "", entry.read_text()))
    place.head.unlink()
    with pytest.raises(TableError, match="earlier version of Petrel; make a new lake"):
        verify_table(place)


def test_table_files_carry_page_checksums_and_commits_their_hashes(filled: Path) -> None:
    place = place_of(filled, OPINIONS)
    for version in range(2, newest(place) + 1):
        for fact in read_entry(place, version).added:
            data = (place.folder / fact.name).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (fact.size, fact.sha256)
            flipped = pa.BufferReader(data[:200] + bytes([data[200] ^ 1]) + data[201:])
            with pytest.raises(OSError, match="CRC|could not verify page integrity"):
                pq.ParquetFile(flipped, page_checksum_verification=True).read()


def holds_rows(root: Path, name: Path) -> bool:
    """Whether a file belongs to a table with rows: all others look alike."""
    text = str(name)
    return any(
        f"tables/{table.name.replace('.', '/')}/" in text and any(place_of(root, table).folder.glob("*.parquet"))
        for table in TABLES
    )
