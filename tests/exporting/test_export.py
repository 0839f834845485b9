"""What is selected goes out whole, counted and readable by programs that know no lake; a second run changes nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from datetime import date

import pyarrow.parquet as pq
import pytest

from lakehouse.care.erase import erase
from lakehouse.errors import (
    ConfigError,
    DamagedObjectError,
    EntityNotFoundError,
    QueryRefusedError,
    RecipeError,
    TableError,
)
from lakehouse.objects import object_uri
from lakehouse.steps.receipts import newest_first
from loaders.errors import AlreadyPublishedError
from tests.exporting.conftest import LABELS, OF_LABELS, SQL
from tests.ingestion.files import png
from tests.making import add_entities, entity_id, small_lake


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def record_of(folder):
    return json.loads((folder / "_export.json").read_text())


def test_an_imagefolder_has_a_file_each_by_label(pictures, ids, tmp_path):
    receipt = pictures.export(SQL, format="imagefolder", to=tmp_path / "out")
    assert receipt.counts == {"selected": 7, "exported": 6, "no_label": 1}
    assert receipt.bytes_written == sum(len(png(number)) for number in LABELS)
    found = files_of(tmp_path / "out")
    found.pop("_export.json")
    assert found == {f"{label}/{ids[number]}.png": png(number) for number, label in LABELS.items()}
    assert record_of(tmp_path / "out")["counts"] == receipt.counts
    assert record_of(tmp_path / "out")["folders"] == {"cat": "cat", "dog": "dog"}
    assert next(newest_first(pictures.files, step="export")).details["to"] == str(tmp_path / "out")


def test_a_dataset_goes_out_by_its_splits(pictures, tmp_path):
    members = pictures.read_table("gold.dataset_members").to_pylist()
    pictures.export("animals", format="imagefolder", to=tmp_path / "out")
    assert set(files_of(tmp_path / "out")) - {"_export.json"} == {
        f"{row['split']}/{row['label']}/{row['entity_id']}.png" for row in members
    }
    assert {row["split"] for row in members} == {"train", "test"}


def test_parquet_has_bytes_labels_and_columns_of_the_selection(pictures, ids, tmp_path):
    pictures.export(SQL + " order by 1 desc", format="parquet", to=tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "data-00000.parquet").to_pylist()
    assert rows == [
        {"entity_id": ids[number], "content": png(number), "media_type": "image/png", "size_bytes": len(png(number)),
         "label": LABELS.get(number), "width": 4, "name": f"{number}.png"}
        for number in sorted(ids, key=ids.__getitem__)
    ]  # fmt: skip


def test_parquet_of_a_dataset_numbers_its_classes(pictures, tmp_path):
    pictures.export("animals", format="parquet", to=tmp_path / "out")
    rows = pq.read_table(tmp_path / "out").to_pylist()
    assert {(row["label"], row["label_index"]) for row in rows} == {("cat", 0), ("dog", 1)}
    assert {path.name for path in (tmp_path / "out").glob("*.parquet")} == {"train-00000.parquet", "test-00000.parquet"}


def test_webdataset_has_bytes_and_a_sidecar_under_one_key_without_dots(pictures, ids, tmp_path):
    pictures.export(SQL, format="webdataset", to=tmp_path / "out", shard_bytes=3 * len(png(1)))
    shards = sorted((tmp_path / "out").glob("*.tar"))
    assert [path.name for path in shards] == ["data-00000.tar", "data-00001.tar", "data-00002.tar"]
    seen = {}
    for path in shards:
        with tarfile.open(path) as tar:
            entries = [(entry.name, tar.extractfile(entry).read()) for entry in tar]
        for (name, data), (sidecar, said) in zip(entries[::2], entries[1::2], strict=True):
            key = name.removesuffix(".png")
            assert ("." not in key, sidecar) == (True, f"{key}.json")
            seen[key] = data, json.loads(said)
    assert {key: data for key, (data, _) in seen.items()} == {ids[number]: png(number) for number in ids}
    assert seen[ids[1]][1] == {
        "entity_id": ids[1], "media_type": "image/png", "size_bytes": len(png(1)), "label": "cat",
        "fields": {"name": "1.png", "width": 4},
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves the file to the collector
def test_webdataset_itself_reads_what_was_exported(pictures, ids, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    pictures.export(SQL, format="webdataset", to=tmp_path / "out")
    found = list(webdataset.WebDataset(str(tmp_path / "out" / "data-00000.tar"), shardshuffle=False))
    assert {each["__key__"]: each["png"] for each in found} == {ids[number]: png(number) for number in ids}


def test_a_manifest_says_where_the_bytes_are(pictures, ids, tmp_path):
    pictures.export("animals", format="manifest", to=tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert {line["entity_id"] for line in lines} == {ids[number] for number in LABELS}
    for line in lines:
        data = (tmp_path / "lake" / object_uri(line["sha256"])).read_bytes()
        assert line["uri"] == f"file://{tmp_path}/lake/{object_uri(line['entity_id'])}"
        assert (line["size_bytes"], line["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert line["label"] in ("cat", "dog")
        assert line["fields"] == {"width": 4}


@pytest.mark.parametrize("format", OF_LABELS)
def test_a_second_run_writes_nothing_and_says_so(pictures, tmp_path, format):
    first = pictures.export(SQL, format=format, to=tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    again = pictures.export(SQL, format=format, to=tmp_path / "out")
    assert (again.counts, again.bytes_written) == (first.counts, 0)
    assert again.details["unchanged"] == "this was exported there before"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_the_same_selection_gives_the_same_bytes_anywhere(pictures, tmp_path):
    for name in ("one", "two"):
        pictures.export(SQL, format="webdataset", to=tmp_path / name)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_members_that_were_erased_since_are_counted_as_that(pictures, ids, tmp_path):
    erase(pictures, entities=[ids[1]], reason="asked to")
    receipt = pictures.export("animals", format="imagefolder", to=tmp_path / "out")
    assert receipt.counts == {"selected": 6, "exported": 5, "erased": 1}
    assert ids[1] not in str(list((tmp_path / "out").rglob("*")))
    with pytest.raises(EntityNotFoundError, match=f"entity {ids[1]} was erased"):
        pictures.read_object(ids[1])


def test_a_manifest_of_a_lake_that_was_moved_is_another_export(pictures, tmp_path):
    pictures.export("animals", format="manifest", to=tmp_path / "out")
    shutil.copytree(pictures.root, tmp_path / "moved")
    with small_lake(tmp_path / "moved") as moved:
        with pytest.raises(AlreadyPublishedError):
            moved.export("animals", format="manifest", to=tmp_path / "out")
        moved.export("animals", format="manifest", to=tmp_path / "again")
    assert f"file://{tmp_path}/moved/objects/" in (tmp_path / "again" / "manifest.jsonl").read_text()


def test_a_label_too_long_for_a_folder_is_told_before_anything_is_written(pictures, tmp_path):
    sql = "select entity_id, repeat('é', 200) as label from entities"
    with pytest.raises(ConfigError, match="is 400 bytes long as the name of a folder"):
        pictures.export(sql, format="imagefolder", to=tmp_path / "out")
    assert not (tmp_path / "out.exporting").exists()


def test_rows_that_are_left_out_are_counted_by_rule(pictures, ids, tmp_path):
    sql = f"""
    select * from (values ('{ids[1]}', 'train'), ('{ids[1]}', 'train'), ('{ids[2]}', null), (null, 'train'))
    as t(entity_id, split)
    """
    receipt = pictures.export(sql, format="parquet", to=tmp_path / "out")
    assert receipt.counts == {"selected": 4, "exported": 1, "no_entity_id": 1, "selected_again": 1, "no_split": 1}


def test_parameters_are_values(pictures, ids, tmp_path):
    sql = "select entity_id from entities where entity_id = $id"
    receipt = pictures.export(sql, format="manifest", to=tmp_path / "out", params={"id": ids[3]})
    assert receipt.counts == {"selected": 1, "exported": 1}


def test_dates_and_times_go_out_as_types_and_as_text(pictures, tmp_path):
    sql = "select entity_id, date '2026-01-02' as day from entities limit 1"
    pictures.export(sql, format="parquet", to=tmp_path / "parquet")
    assert pq.read_table(tmp_path / "parquet")["day"].to_pylist() == [date(2026, 1, 2)]
    pictures.export(sql, format="manifest", to=tmp_path / "manifest")
    assert json.loads((tmp_path / "manifest" / "manifest.jsonl").read_text())["fields"] == {"day": "2026-01-02"}


@pytest.mark.parametrize(
    ("selection", "error", "message"),
    [
        ("animls", RecipeError, "no dataset `animls`.*did you mean `animals`"),
        ("select width from entities_wide", ConfigError, "must return one entity_id"),
        ("select entity_id from entities where false", ConfigError, "selects no entity"),
        ("select 'abc' as entity_id", ConfigError, "1 of its ids, for example 'abc', are no entities"),
        ("select entity_id, 1 as label from entities", ConfigError, "label is of type int32; cast it to varchar"),
        ("select entity_id, 'a/b' as split from entities", ConfigError, "a split is called 'a/b'"),
        ("select entity_id, media_type from entities", RecipeError, "the selection: column `media_type`: every sample"),
        ("select entity_id, null as label from entities", ConfigError, "nothing is left to export.*7 no_label"),
        ("select entity_id from entities", ConfigError, "7 no_label; a folder is a label: select it as `label`"),
        ("drop table silver.entities", QueryRefusedError, "one read-only|not allowed|SELECT"),
        ("select entity_id, unnest(['a', 'b']) as label from entities", RecipeError, "selected with .* and with"),
    ],
)
def test_what_cannot_be_exported_is_told_before_anything_is_written(pictures, tmp_path, selection, error, message):
    with pytest.raises(error, match=message):
        pictures.export(selection, format="imagefolder", to=tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("out")]


def test_formats_and_sizes_that_cannot_be_are_refused(pictures, tmp_path):
    with pytest.raises(ConfigError, match="no format `imagefolders` to export; did you mean `imagefolder`"):
        pictures.export(SQL, format="imagefolders", to=tmp_path / "out")
    with pytest.raises(ConfigError, match="shard_bytes = 0"):
        pictures.export(SQL, format="parquet", to=tmp_path / "out", shard_bytes=0)


def test_damaged_bytes_do_not_go_out(pictures, ids, tmp_path):
    path = pictures.root / object_uri(ids[4])
    path.chmod(0o644)
    path.write_bytes(png(99))
    with pytest.raises(DamagedObjectError, match=ids[4]):
        pictures.export(SQL, format="imagefolder", to=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_table_is_noticed(pictures, tmp_path):
    file = next((pictures.root / "tables" / "gold" / "dataset_members").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(TableError, match=file.name):
        pictures.export("animals", format="manifest", to=tmp_path / "out")


def test_other_bytes_than_pictures_go_out_too(lake, tmp_path):
    add_entities(lake, ["some text"])
    path = lake.root / object_uri(entity_id("some text"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"some text")
    lake.export("select entity_id, 'a' as label from entities", format="imagefolder", to=tmp_path / "out")
    assert (tmp_path / "out" / "a" / f"{entity_id('some text')}.txt").read_bytes() == b"some text"
