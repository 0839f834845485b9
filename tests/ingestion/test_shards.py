"""Shards with files inside: WebDataset tars and Parquet; what describes a file is its sidecar record, untouched."""

from __future__ import annotations

import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.errors import ConfigError
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.opinions.step import OpinionSource, opinions
from tests.ingestion.files import landed, png, put, source
from tests.ingestion.packed import tar

ZERO = {"seen": 0, "stored": 0, "duplicate": 0, "refused": 0, "unchanged": 0}


def rows(lake, columns="path, status, rule, sidecar_json, group_keys"):
    return {row.pop("path"): row for row in landed(lake, f"path, {columns}")}


def test_files_of_one_key_are_one_sample_whatever_their_order(lake, tmp_path):
    said = '{"speaker": "ann", "score": 1.10, "taken": "2024-01-31T12:00:00Z"}'
    put(tmp_path / "drop", "0.tar", tar([
        ("a/001.json", said.encode()), ("a/001.left.png", png(1)), ("a/001.right.png", png(2)), ("a/001.cls", b"3"),
        ("a/002.png", png(3)), ("a/002.json", b'{"speaker": "bob"}'), ("003.txt", b"only words"),
    ]))  # fmt: skip
    chosen = source(tmp_path / "drop", form="webdataset", group_keys={"speaker": "speaker"}, captured_at="taken")
    assert land(lake, chosen).counts == ZERO | {"seen": 4, "stored": 4}
    found = rows(lake, "sidecar_json, group_keys, captured_at")
    assert list(found) == ["0.tar!/003.txt", "0.tar!/a/001.left.png", "0.tar!/a/001.right.png", "0.tar!/a/002.png"]
    left = found["0.tar!/a/001.left.png"]
    assert left == found["0.tar!/a/001.right.png"]
    assert said in left["sidecar_json"]  # to the letter: 1.10 stays 1.10
    assert json.loads(left["sidecar_json"]) == {"__key__": "a/001", "json": json.loads(said), "cls": "3"}
    assert (left["group_keys"], left["captured_at"].year) == ([("speaker", "ann")], 2024)
    assert found["0.tar!/a/002.png"]["group_keys"] == [("speaker", "bob")]
    assert entities(lake).counts["stored"] == 4


def test_what_describes_a_sample_and_cannot_is_refused_and_its_files_stay(lake, tmp_path):
    put(tmp_path / "drop", "0.tar", tar([("1.json", b"{no json"), ("1.png", png(1)), ("1.png", png(2)),
                                         ("../2.json", b"{}"), ("2.txt", b"\xff"), ("2.png", png(3))]))  # fmt: skip
    assert land(lake, source(tmp_path / "drop", form="webdataset")).counts == ZERO | {
        "seen": 6, "stored": 2, "refused": 4
    }
    assert {row["path"]: row["rule"] for row in landed(lake) if row["rule"]} == {
        "0.tar!/1.json": "bad_metadata", "0.tar!/1.png": "duplicate_name", "0.tar!/../2.json": "unsafe_name",
        "0.tar!/2.txt": "bad_metadata",
    }  # fmt: skip


def test_what_a_sample_says_before_its_shard_is_cut_is_kept(lake, tmp_path):
    data = tar([("1.png", png(1)), ("1.json", b'{"a": 1}'), ("2.png", png(2))])
    put(tmp_path / "drop", "0.tar", data[:2100])
    assert land(lake, source(tmp_path / "drop", form="webdataset")).counts == ZERO | {
        "seen": 2, "stored": 1, "refused": 1
    }
    assert json.loads(rows(lake)["0.tar!/1.png"]["sidecar_json"])["json"] == {"a": 1}


def shard(folder, name, table, **options):
    (folder).mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / name, **options)


def pictures(count):
    held = pa.array([{"bytes": png(number), "path": f"train/{number % 2}.png"} for number in range(count)],
                    pa.struct([("bytes", pa.binary()), ("path", pa.string())]))  # fmt: skip
    labels = pa.array([number % 2 for number in range(count)], pa.int64())
    speakers = [f"s{number}" for number in range(count)]
    table = pa.table({"image": held, "speaker": speakers, "score": [0.5] * count, "label": labels})
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def test_files_in_a_column_are_landed_and_labels_are_left_to_the_import(lake, tmp_path):
    shard(tmp_path / "drop", "0.parquet", pictures(5), row_group_size=2)
    chosen = source(tmp_path / "drop", form="parquet", group_keys={"speaker": "speaker"})
    first, again = land(lake, chosen), land(lake, chosen)
    assert (first.counts, again.counts) == (ZERO | {"seen": 5, "stored": 5}, ZERO | {"seen": 5, "unchanged": 5})
    found = rows(lake, "sidecar_json, group_keys, name, sha256")
    assert list(found) == [f"0.parquet!/{number}/image/{number % 2}.png" for number in range(5)]
    last = found["0.parquet!/4/image/0.png"]
    assert last["sha256"] == hashlib.sha256(png(4)).hexdigest()
    assert json.loads(last["sidecar_json"]) == {"speaker": "s4", "score": 0.5, "label": 0}
    assert (last["group_keys"], last["name"]) == ([("speaker", "s4")], "0.png")
    entities(lake)
    labels = OpinionSource(
        name="labels", format="parquet", path=str(tmp_path / "drop"), source="photos", question="animal",
        actor="import:food", options={"columns": {"label": "animal"}},
    )  # fmt: skip
    told = opinions(lake, labels)
    assert (told.counts["new"], told.counts["unmatched"]) == (5, 0)


def test_columns_of_bytes_and_a_column_of_names(lake, tmp_path):
    table = pa.table({"left": [png(1), None], "right": pa.array([png(2), png(3)], pa.large_binary()),
                      "file": ["a.png", "b.png"], "odd": [float("nan"), float("inf")]})  # fmt: skip
    shard(tmp_path / "drop", "0.parquet", table)
    receipt = land(lake, source(tmp_path / "drop", form="parquet", options={"name": "file"}))
    assert receipt.counts == ZERO | {"seen": 4, "stored": 3, "refused": 1}
    found = rows(lake)
    assert found["0.parquet!/1/left/b.png"]["rule"] == "no_bytes"
    assert json.loads(found["0.parquet!/1/right/b.png"]["sidecar_json"]) == {"file": "b.png", "odd": "Infinity"}


@pytest.mark.parametrize("options", [{"columns": ["image", "mask"]}, {"columns": ["score"]}, {"name": "file"}])
def test_another_layout_is_refused_with_what_was_expected_and_found(lake, tmp_path, options):
    shard(tmp_path / "drop", "0.parquet", pictures(1))
    assert land(lake, source(tmp_path / "drop", form="parquet", options=options)).counts["refused"] == 1
    reason = landed(lake, "rule, reason")[0]
    assert reason["rule"] == "no_file_column"
    assert "expected" in reason["reason"]
    assert "found image struct" in reason["reason"]


def test_a_damaged_shard_is_refused_and_an_unknown_option_is_named(lake, tmp_path):
    put(tmp_path / "drop", "0.parquet", b"PAR1 is not all that it takes PAR1")
    assert land(lake, source(tmp_path / "drop", form="parquet")).counts == ZERO | {"seen": 1, "refused": 1}
    with pytest.raises(ConfigError, match="unknown option `column`.*did you mean `columns`"):
        source(tmp_path / "drop", form="parquet", options={"column": ["image"]})
    with pytest.raises(ConfigError, match="unknown form `archive`.*archives"):
        source(tmp_path / "drop", form="archive")
