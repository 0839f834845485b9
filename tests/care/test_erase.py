"""erase: what is asked for is gone from everywhere, what it was part of is told, and nothing else is touched."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tarfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.cli import main as petrel
from lakehouse.care.erase import erase
from lakehouse.care.erased_rows import Wanted, rules_of
from lakehouse.care.maintain import maintain
from lakehouse.changes.recording import add_change
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.erasures import erased_entities, erasures
from lakehouse.errors import IngestError, VersionUnavailableError
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.serving.capture import capture
from lakehouse.tables.read import head
from schemas.tables import BY_NAME, ENTITIES, TABLES
from tests.buckets.lakes import lake_at  # noqa: F401 - a fixture
from tests.ingestion.files import put
from tests.ingestion.packed import header, tar
from tests.making import add_dimension, add_entities, add_opinions, entity_id, opinion, small_lake

PATIENTS = {f"scan-{number}": {"patient": str(number % 3)} for number in range(9)}
MARK = "quite-a-special-name"


def filled(lake: Lake) -> list[str]:
    """Nine entities of three patients, measured and labelled, in two dataset versions; return these."""
    add_entities(lake, list(PATIENTS), groups=PATIENTS)
    for name in PATIENTS:
        lake.files.put(f"objects/{entity_id(name)[:2]}/{entity_id(name)}", name.encode())
    add_dimension(lake, "brightness", {name: number / 10 for number, name in enumerate(PATIENTS)})
    labels = ["dog", "cat"] * 5
    add_opinions(lake, [opinion(name, "human:di", label) for name, label in zip(PATIENTS, labels, strict=False)])
    record = {"name": "scans", "split": {"ratios": {"train": 1.0}}}
    whole = build(lake, parse_recipe({**record, "seed": 1}, where="r.toml"))
    some = {"select": {"sql": "select entity_id from entities where group_keys['patient'] = '2'"}}
    other = build(lake, parse_recipe({**record, **some, "name": "two", "seed": 1}, where="r.toml"))
    return [each.details["dataset_id"] for each in (whole, other)]


def all_rows(lake: Lake) -> str:
    return json.dumps([fetch(lake, f"from {table.name}") for table in TABLES], default=str)


def all_bytes(lake: Lake) -> bytes:
    names = [each.name for each in lake.files.list() if not each.name.startswith("_erasures/")]  # which keep ids
    there = b"".join(lake.files.read_whole(name) for name in names)
    copied = [path for path in Path(lake.root).rglob("*.parquet") if "_delta_log" not in str(path)]
    local = b"".join(path.read_bytes() for path in copied)
    return there if lake.home.is_local else there + local


def test_every_table_that_names_entities_has_its_rule():
    nobody = Wanted(*([frozenset(), ""] + [frozenset()] * 6))
    ruled = {table.name for table, _, _ in rules_of(nobody)}
    naming = {table.name for table in TABLES if {"entity_id", "subject_id"} & set(table.column_names)}
    assert naming | {table.name for table in TABLES if table.layer == "bronze"} <= ruled  # as it came: names, words


def test_a_patient_is_gone_and_every_version_that_had_him_is_told(lake_at):  # noqa: F811
    gone = [entity_id(name) for name, keys in PATIENTS.items() if keys["patient"] == "1"]
    with small_lake(lake_at) as lake:
        whole, other = filled(lake)
        before = {table.name: head(lake.home, table) for table in TABLES}
        receipt = erase(lake, group=("patient", "1"), reason="consent withdrawn")
        assert {name: receipt.counts[name] for name in ("entities", "objects", "datasets", "folders")} == {
            "entities": 3, "objects": 3, "datasets": 1, "folders": 0}  # fmt: skip
        assert receipt.counts["rows"] == 3 * 4
        told = [each.example for each in receipt.notes if each.rule.startswith("dataset")]
        assert told == [f"dataset scans ({whole}) loses 3 members; build it anew if it is still needed"]
        rows = all_rows(lake)
        assert not any(each in rows for each in gone)
        assert fetch(lake, "select count(*) as n from silver.opinions")[0]["n"] == 6
        assert fetch(lake, "select count(*) as n from gold.dataset_members where dataset_id = $id", params={"id": other}
                     )[0]["n"] == 3  # fmt: skip
        assert erased_entities(lake.home) == frozenset(gone)
        (record,) = erasures(lake.home)
        assert (record.asked_by, record.is_done, "1" in record.asked_by) == ("group key patient", True, False)
        assert all(head(lake.home, BY_NAME[name]) >= version for name, version in before.items())
        maintain(lake)
        left = all_bytes(lake)
        assert not any(each.encode() in left for each in gone)
        lake.verified.clear()
        with pytest.raises(VersionUnavailableError, match="rows of it were erased: read version"):
            fetch(lake, "from silver.entities", pins={ENTITIES.name: before[ENTITIES.name]})
    assert petrel(["verify", "--lake", lake_at, "--deep"]) == 0


def test_rows_that_a_compaction_had_moved_are_gone_from_the_files_of_before_too(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        for number in range(6):
            add_entities(lake, [f"{number}"], groups={f"{number}": {"patient": MARK if number == 3 else "x"}})
        build(lake, parse_recipe({"name": "all", "seed": 1, "split": {"ratios": {"train": 1.0}}}, where="r.toml"))
        maintain(lake, few=1)
        erase(lake, group=("patient", MARK), reason="asked")
        assert MARK.encode() in all_bytes(lake)
        maintain(lake)
        assert entity_id("3").encode() not in all_bytes(lake)
        assert fetch(lake, "select count(*) as n from silver.entities")[0]["n"] == 5


def test_no_name_stays_in_the_log(tmp_path):
    picture(tmp_path / "a" / f"{MARK}.png", 1)
    with small_lake(tmp_path / "lake") as lake:
        land(lake, Source(name="a", folder=str(tmp_path / "a")))
        entities(lake)
        (found,) = fetch(lake, "select entity_id from silver.entities")
        erase(lake, entities=[found["entity_id"]], reason="asked")
        maintain(lake)
        holding = [path for path in Path(lake.root).rglob("*") if path.is_file() and MARK.encode() in path.read_bytes()]
        assert holding == []


@pytest.mark.parametrize("others", [(), ("other.png",)])
def test_an_archive_of_one_who_goes_is_named_no_more_and_one_of_others_too_stays(others, tmp_path):
    picture(tmp_path / "own.png", 1)
    for name in others:
        picture(tmp_path / name, 2)
    files = [(name, (tmp_path / name).read_bytes()) for name in ("own.png", *others)]
    put(tmp_path / "a", f"{MARK}.tar", tar([*files, header("device", tarfile.CHRTYPE)]))
    with small_lake(tmp_path / "lake") as lake:
        land(lake, Source(name="a", folder=str(tmp_path / "a"), form="archives"))
        entities(lake)
        (found,) = fetch(lake, "select sha256 from bronze.landed_files where path like '%own.png'")
        erase(lake, entities=[found["sha256"]], reason="asked")
        kept = [fetch(lake, f"select count(*) as n from {name}")[0]["n"] for name in
                ("bronze.containers", "bronze.landed_files", "silver.entities")]  # fmt: skip
        assert kept == ([1, 2, 1] if others else [0, 0, 0])
        assert (MARK in all_rows(lake)) == bool(others)
        maintain(lake)
        assert (MARK.encode() in all_bytes(lake)) == bool(others)


def test_what_was_said_of_a_served_event_goes_with_its_input_and_does_not_come_back(tmp_path):
    for event, seed in ((MARK, 1), ("other", 2)):
        picture(tmp_path / "a" / "inputs" / f"{event}.png", seed)
    parts = [{"event_id": event, "part": "metadata", "spoken": f"said by {event}"} for event in (MARK, "other")]
    (tmp_path / "a" / "parts.jsonl").write_text("\n".join(map(json.dumps, parts)))
    source = Source(name="a", folder=str(tmp_path / "a"), form="capture", options={"question": "animal"})
    said = "select json_extract_string(payload, '$.event_id') as event from bronze.raw_records where kind = 'event'"
    with small_lake(tmp_path / "lake") as lake:
        list(capture(lake, source))
        (found,) = fetch(lake, "select entity_id from served_events where event_id = $mark", params={"mark": MARK})
        erase(lake, entities=[found["entity_id"]], reason="asked")
        assert MARK not in all_rows(lake)
        assert fetch(lake, said) == [{"event": "other"}]
        receipt = list(capture(lake, source))[-1]
        assert (receipt.counts["records"], receipt.counts["same"], receipt.counts["erased"]) == (2, 1, 1)
        assert fetch(lake, said) == [{"event": "other"}]


def test_what_was_derived_goes_with_it(tmp_path):
    from lakehouse.tables.insert import insert_rows

    with small_lake(tmp_path / "lake") as lake:
        add_entities(lake, ["a", "b"])
        row = {"media_type": "image/png", "size_bytes": 1, "storage": "none", "origin": "real", "group_keys": {},
               "operation": "crop", "parameters_json": "{}"}  # fmt: skip
        parents = {"crop": "a", "crop of crop": "crop", "other": "b"}
        derived = [{**row, "entity_id": entity_id(name), "parent_id": entity_id(parents[name])} for name in parents]
        insert_rows(lake, ENTITIES, derived, step="test")
        assert erase(lake, entities=[entity_id("a")], reason="asked").counts["entities"] == 3
        left = {each["entity_id"] for each in fetch(lake, "select entity_id from silver.entities")}
        assert left == {entity_id("b"), entity_id("other")}


def picture(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(path)


def test_a_source_goes_what_another_brought_too_stays_and_nothing_comes_back(tmp_path, lake_at):  # noqa: F811
    for value in range(4):
        picture(tmp_path / "a" / f"{MARK}-{value}.png", value)
    picture(tmp_path / "b" / "shared.png", 0)
    one, two = (Source(name=name, folder=str(tmp_path / name)) for name in "ab")
    with small_lake(lake_at) as lake:
        for source in (one, two):
            land(lake, source)
        entities(lake)
        receipt = erase(lake, source="a", reason="contract ended")
        assert (receipt.counts["entities"], receipt.counts["objects"]) == (3, 3)
        assert [each.count for each in receipt.notes if each.rule == "shared"] == [1]
        assert MARK not in all_rows(lake)
        assert fetch(lake, "select source, name from silver.entity_sources") == [{"source": "b", "name": "shared.png"}]
        again = land(lake, one)
        assert (again.counts["refused"], again.counts["stored"]) == (3, 0)
        assert [each.example.partition(": ")[2] for each in again.notes if each.rule == "erased"] == [
            "these bytes were erased or expired, and are not taken in again"
        ]
        entities(lake)
        assert fetch(lake, "select count(*) as n from silver.entities")[0]["n"] == 1
    assert petrel(["verify", "--lake", lake_at, "--deep"]) == 0


def test_published_folders_are_told_and_removed_where_that_is_asked_for(tmp_path):
    from lakehouse.materialise.step import materialise

    for value in range(3):
        picture(tmp_path / "a" / f"{value}.png", value)
    with small_lake(tmp_path / "lake") as lake:
        land(lake, Source(name="a", folder=str(tmp_path / "a")))
        entities(lake)
        build(lake, parse_recipe({"name": "all", "seed": 1, "split": {"ratios": {"train": 1.0}}}, where="r.toml"))
        folder = materialise(lake, "all").details["folder"]
        (first,) = fetch(lake, "select min(entity_id) as id from silver.entities")
        planned = erase(lake, entities=[first["id"]], reason="asked", dry_run=True)
        assert (planned.counts["folders"], planned.counts["rows"] > 0) == (1, True)
        assert fetch(lake, "select count(*) as n from silver.entities")[0]["n"] == 3
        assert any(each.rule == f"folder {folder}" for each in planned.notes)
        erase(lake, entities=[first["id"]], reason="asked", published=True)
        assert list(lake.files.list(folder)) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "an erasure needs a reason"),
        (["--reason", "x"], "name what to erase by one of"),
        (["--reason", "x", "--source", "a", "--subject-key", "p=1"], "name what to erase by one of"),
        (["--reason", "x", "--subject-key", "p"], "expected NAME=VALUE"),
        (["--reason", "x", "--subject-key", "p=1"], "nothing to erase"),
        (["--reason", "x", "--entity", "abc"], "no entity abc; give whole ids"),
    ],
)
def test_an_erasure_that_names_nothing_erases_nothing(arguments, expected, tmp_path, capsys):
    with small_lake(tmp_path / "lake") as lake:
        add_entities(lake, ["a"])
    assert petrel(["erase", "--lake", str(tmp_path / "lake"), *arguments]) == 1
    assert expected in capsys.readouterr().err
    with small_lake(tmp_path / "lake") as lake:
        assert erasures(lake.home) == []


KILLED = """
import os, signal, sys
from tests.making import small_lake
from lakehouse.care.erase import erase
from loaders.stores.local import LocalFiles
left = int(sys.argv[2])

def counted(method):
    def call(*arguments):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*arguments)
    return call

with small_lake(sys.argv[1]) as lake:
    for name in ("put", "put_if_absent", "delete"):
        setattr(LocalFiles, name, counted(getattr(LocalFiles, name)))
    erase(lake, group=("patient", "1"), reason="consent withdrawn")
"""


@pytest.mark.parametrize("writes", [2, 4, 8, 13])
def test_an_erasure_that_was_killed_is_carried_out_by_the_next(writes, tmp_path):
    gone = [entity_id(name) for name, keys in PATIENTS.items() if keys["patient"] == "1"]
    with small_lake(tmp_path / "lake") as lake:
        filled(lake)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "lake"), str(writes)], check=False)
    assert done.returncode == -signal.SIGKILL
    with small_lake(tmp_path / "lake") as lake:
        erase(lake, group=("patient", "2"), reason="consent withdrawn")
        rows = all_rows(lake)
        assert not any(each in rows for each in gone)
        maintain(lake, grace=timedelta(0))
        assert fetch(lake, "select count(*) as n from silver.entities")[0]["n"] == 3
        assert all(each.is_done for each in erasures(lake.home))
    assert petrel(["verify", "--lake", str(tmp_path / "lake")]) == 0


def landed(lake: Lake, folder: Path, *, source: str = "a") -> None:
    land(lake, Source(name=source, folder=str(folder)))


def test_a_virtual_dataset_forgets_who_was_in_it(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        filled(lake)
        add_change(lake, "task", sql="select entity_id from entities")
        erase(lake, entities=[entity_id("scan-1")], reason="asked for")
        assert entity_id("scan-1") not in all_rows(lake)
        assert len(fetch(lake, "from gold.changeset_entities")) == len(PATIENTS) - 1


def test_a_table_that_loses_its_last_row_is_whole(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        add_entities(lake, ["one"])
        add_opinions(lake, [opinion("one", "human:di", "cat")])
        erase(lake, entities=[entity_id("one")], reason="asked")
    with small_lake(tmp_path / "lake") as lake:
        assert fetch(lake, "select count(*) as n from silver.opinions") == [{"n": 0}]
        add_entities(lake, ["two"])
        lake.files.put(f"objects/{entity_id('two')[:2]}/{entity_id('two')}", b"two")
        add_opinions(lake, [opinion("two", "human:di", "cat")])
        maintain(lake)
    assert petrel(["verify", "--lake", str(tmp_path / "lake")]) == 0


def test_what_landed_and_is_no_entity_goes_too(tmp_path):
    picture(tmp_path / "a" / f"{MARK}.png", 1)
    (tmp_path / "a" / f"{MARK}-broken.png").write_bytes((tmp_path / "a" / f"{MARK}.png").read_bytes()[:40])
    with small_lake(tmp_path / "lake") as lake:
        landed(lake, tmp_path / "a")
        receipt = erase(lake, source="a", reason="asked")
        assert (receipt.counts["entities"], receipt.counts["objects"]) == (2, 2)
        assert list(lake.files.list("objects")) == []
        assert MARK not in all_rows(lake)
        landed(lake, tmp_path / "a")
        entities(lake)
        assert fetch(lake, "select count(*) as n from silver.entities") == [{"n": 0}]


def test_a_group_key_that_only_a_landed_file_has_is_found(tmp_path):
    picture(tmp_path / "a" / "seen.png", 1)
    (tmp_path / "a" / "records.csv").write_text("path,patient\nseen.png,17\nlate.png,17\n")
    source = Source(name="a", folder=str(tmp_path / "a"), sidecar="records.csv", group_keys={"patient": "patient"})
    with small_lake(tmp_path / "lake") as lake:
        land(lake, source)
        entities(lake)
        picture(tmp_path / "a" / "late.png", 2)
        land(lake, source)
        assert erase(lake, group=("patient", "17"), reason="asked").counts["entities"] == 2
        entities(lake)
        assert [fetch(lake, f"select count(*) as n from {table}")[0]["n"] for table in (
            "silver.entities", "bronze.landed_files", "bronze.raw_records")] == [0, 0, 0]  # fmt: skip


def test_the_copy_of_another_machine_forgets_too(bucket, tmp_path, monkeypatch):
    from tests.buckets.lakes import use

    address = use(bucket, tmp_path, monkeypatch)
    here, there = (f'lake.copies="{tmp_path / name}"' for name in ("here", "there"))
    with small_lake(address, here) as lake:
        for number in range(6):
            add_entities(lake, [f"{number}"], groups={f"{number}": {"patient": MARK if number == 3 else "x"}})
        version = head(lake.home, ENTITIES)
    with small_lake(address, there) as lake:
        assert fetch(lake, COUNTED)[0]["n"] == 6
    with small_lake(address, here) as lake:
        maintain(lake, few=1)
        erase(lake, group=("patient", MARK), reason="asked")
        maintain(lake)
    with small_lake(address, there) as lake:
        assert fetch(lake, COUNTED)[0]["n"] == 5
        kept = b"".join(path.read_bytes() for path in Path(lake.root).rglob("*.parquet"))
        assert MARK.encode() not in kept
        lake.verified.clear()
        with pytest.raises(VersionUnavailableError):
            fetch(lake, COUNTED, pins={ENTITIES.name: version})


COUNTED = "select count(*) as n from silver.entities"


def test_two_erasures_at_once_come_one_after_the_other(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        filled(lake)
    code = (
        "import sys; from tests.making import small_lake; from lakehouse.care.erase import erase\n"
        "with small_lake(sys.argv[1]) as lake: erase(lake, group=('patient', sys.argv[2]), reason='asked')"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lake"), patient]) for patient in "12"]
    assert [each.wait(120) for each in running] == [0, 0]
    with small_lake(tmp_path / "lake") as lake:
        assert fetch(lake, COUNTED) == [{"n": 3}]
        assert [(each.is_done, each.rows["silver.opinions"], each.pending) for each in erasures(lake.home)] == [
            (True, 3, {}), (True, 3, {})]  # fmt: skip
    assert petrel(["verify", "--lake", str(tmp_path / "lake")]) == 0


def test_a_source_whose_erasure_was_interrupted_goes_with_the_next(tmp_path, monkeypatch):
    picture(tmp_path / "a" / f"{MARK}.png", 0)
    picture(tmp_path / "b" / "shared.png", 0)
    with small_lake(tmp_path / "lake") as lake:
        landed(lake, tmp_path / "a")
        landed(lake, tmp_path / "b", source="b")
        entities(lake)
        add_entities(lake, ["other"])
        monkeypatch.setattr("lakehouse.care.erase.remove_rows", stopped)
        with pytest.raises(KeyboardInterrupt):
            erase(lake, source="a", reason="asked")
        monkeypatch.undo()
        receipt = erase(lake, entities=[entity_id("other")], reason="asked")
        assert "taken_up" in [each.rule for each in receipt.notes]
        assert MARK not in all_rows(lake)
        assert fetch(lake, "select source from silver.entity_sources") == [{"source": "b"}]


def stopped(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_land_that_was_running_brings_nothing_back(tmp_path, monkeypatch):
    picture(tmp_path / "a" / "one.png", 1)
    with small_lake(tmp_path / "lake") as lake, small_lake(tmp_path / "lake") as other:
        landed(lake, tmp_path / "a")
        (found,) = fetch(lake, "select sha256 from bronze.landed_files")
        plan = Source(name="again", folder=str(tmp_path / "a"))
        real = sys.modules["lakehouse.ingestion.land"].store_batches

        def meanwhile(*arguments: object, **named: object) -> object:
            erase(other, entities=[found["sha256"]], reason="asked")
            return real(*arguments, **named)

        monkeypatch.setattr("lakehouse.ingestion.land.store_batches", meanwhile)
        with pytest.raises(IngestError, match="1 of these entities were erased meanwhile; nothing was written"):
            land(lake, plan)
        monkeypatch.undo()
        assert list(lake.files.list("objects")) == []
        assert land(lake, plan).counts["refused"] == 1


def test_an_unknown_source_is_refused_with_the_nearest(tmp_path, capsys):
    picture(tmp_path / "a" / "one.png", 1)
    with small_lake(tmp_path / "lake") as lake:
        landed(lake, tmp_path / "a", source="clinic")
    assert petrel(["erase", "--lake", str(tmp_path / "lake"), "--source", "clinc", "--reason", "x"]) == 1
    assert "no source `clinc`; did you mean `clinic`?" in capsys.readouterr().err


def test_a_version_that_only_shares_files_with_what_was_erased_is_whole(tmp_path):
    with small_lake(tmp_path / "lake") as lake:
        _, other = filled(lake)
        erase(lake, group=("patient", "1"), reason="asked")
        maintain(lake)
    assert petrel(["verify", "--lake", str(tmp_path / "lake"), "--dataset", other]) == 0
