"""Every form of export is read by the very tool that it is for: same count, ids, labels, bytes and pixels.

The tools are in the extra `oracles`, but for MosaicML Streaming, which wants an older numpy than Petrel: it is tried in
an environment of its own (docs/export.md).
"""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

import lakehouse as lh
from tests.exporting.conftest import LABELS
from tests.exporting.objects import SAID, make_objects, splits_of
from tests.making import small_lake

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """A lake of objects in pictures, and name of a picture -> entity."""
    folder = tmp_path_factory.mktemp("objects")
    with small_lake(folder / "lake") as lake:
        yield lake, make_objects(lake, folder)


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.fixture
def datasets(tmp_path, monkeypatch):
    """Hugging Face's package, with its cache in the test's folder and no network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("datasets", reason="needs the extra `oracles`")


def loaded(datasets, folder, tmp_path, config=None):
    return datasets.load_dataset(str(folder), config, cache_dir=str(tmp_path / "cache"))


@pytest.mark.parametrize("format", ["hf", "csv"])
def test_hugging_face_loads_a_folder_and_is_told_nothing(datasets, pictures, ids, tmp_path, format):
    pictures.export("animals", format=format, to=tmp_path / "out", shard_bytes=150)
    splits = splits_of(pictures, "animals")
    seen = {}
    for split, rows in loaded(datasets, tmp_path / "out", tmp_path).items():
        for row in rows:
            label = row["label"] if format == "csv" else rows.features["label"].int2str(row["label"])
            seen[row["entity_id"]] = label
            assert splits[row["entity_id"]] == split
            assert (np.asarray(row["image"].convert("RGB")) == pixels(pictures.read_object(row["entity_id"]))).all()
            assert row["width"] == 4
    assert seen == {ids[number]: label for number, label in LABELS.items()}


@pytest.mark.parametrize("format", ["hf", "csv"])
@pytest.mark.parametrize("question", SAID)
def test_hugging_face_gets_objects(datasets, objects, tmp_path, format, question):
    lake, ids = objects
    lake.export(question, format=format, to=tmp_path / "out")
    splits = splits_of(lake, question)
    configs = [None] if format == "hf" else sorted(set(splits.values()))
    parts = [part for config in configs for part in loaded(datasets, tmp_path / "out", tmp_path, config).values()]
    rows = {row["entity_id"]: row for part in parts for row in part}
    assert set(rows) == set(splits)
    for name, said in SAID[question].items():
        assert rows[ids[name]]["objects"]["label"] == [each["label"] for each in said]
        assert len(rows[ids[name]]["objects"]["bbox"]) == len(said)
    assert rows[ids["b"]]["image"].size == (20, 10)


def test_mosaic_streaming_reads_the_shards(objects, pictures, ids, tmp_path):
    streaming = pytest.importorskip("streaming", reason="needs mosaicml-streaming")
    lake, _ = objects
    for each, name in ((lake, "boxes"), (pictures, "animals")):
        each.export(name, format="mds", to=tmp_path / name, shard_bytes=200)
        rows = {}
        for folder in (path.parent for path in (tmp_path / name).glob("*/index.json")):
            found = streaming.StreamingDataset(local=str(folder), shuffle=False, batch_size=1)
            rows |= {found[place]["entity_id"]: (folder.name, found[place]) for place in range(len(found))}
        assert {entity: split for entity, (split, _) in rows.items()} == splits_of(each, name)
        for entity, (_, row) in rows.items():
            image = row["image"] if isinstance(row["image"], bytes) else np.asarray(row["image"].convert("RGB"))
            expected = each.read_object(entity)
            assert image == expected if isinstance(image, bytes) else (image == pixels(expected)).all()
    assert {entity: row["label"] for entity, (_, row) in rows.items()} == {ids[n]: label for n, label in LABELS.items()}


def test_supervision_reads_yolo_and_coco(objects, tmp_path):
    supervision = pytest.importorskip("supervision", reason="needs the extra `oracles`")
    lake, ids = objects
    splits = splits_of(lake, "boxes")
    split = splits[ids["a"]]
    lake.export("boxes", format="yolo", to=tmp_path / "yolo")
    lake.export("boxes", format="coco", to=tmp_path / "coco")
    yolo = supervision.DetectionDataset.from_yolo(
        *(str(tmp_path / "yolo" / part) for part in (f"images/{split}", f"labels/{split}", "data.yaml"))
    )
    coco = supervision.DetectionDataset.from_coco(
        str(tmp_path / "coco" / split), str(tmp_path / "coco" / "annotations" / f"instances_{split}.json")
    )
    for found in (yolo, coco):
        boxes = {path.rpartition("/")[2][:64]: said for path, _, said in found}
        assert set(boxes) == {entity for entity, each in splits.items() if each == split}
        assert boxes[ids["a"]].xyxy.tolist() == [pytest.approx([1, 2, 5, 7]), pytest.approx([0, 0, 20, 10])]
        assert [found.classes[each] for each in boxes[ids["a"]].class_id] == ["red", "white"]


def test_our_own_reader_of_yolo_finds_the_same_boxes(objects, tmp_path):
    lake, ids = objects
    lake.export("boxes", format="yolo", to=tmp_path / "out")
    with small_lake(tmp_path / "other") as other:
        lh.land(other, lh.Source(name="out", folder=str(tmp_path / "out" / "images")))
        lh.entities(other)
        lh.dimensions(other)
        lh.opinions(other, lh.OpinionSource(
            format="yolo", path=str(tmp_path / "out"), question="boxes", actor="import:yolo", source="out",
            options={"task": "detect"},
        ))  # fmt: skip
        rows = lh.fetch(other, "select subject_id, regions from current_opinions")
    found = {row["subject_id"]: [(r["label"], r["x"], r["y"], r["w"], r["h"]) for r in row["regions"]] for row in rows}
    assert set(found) == {ids[name] for name in "abcd"}
    for name, said in SAID["boxes"].items():
        expected = [(each["label"], *(pytest.approx(each[side]) for side in "xywh")) for each in said]
        assert found[ids[name]] == expected


def test_lines_of_json_beside_the_files_are_what_hugging_face_asks_for(objects, tmp_path):
    objects[0].export("boxes", format="csv", to=tmp_path / "out")
    for path in (tmp_path / "out").glob("*/metadata.jsonl"):
        for line in path.read_text().splitlines():
            assert (path.parent / json.loads(line)["file_name"]).is_file()
