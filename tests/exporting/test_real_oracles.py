"""Cells, pictures and spoken digits as people have them, exported and read by the very tools the forms are for.

What is compared with is the folder itself: ids are the hashes of its files, labels those that its own files state.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import lakehouse as lh
from lakehouse.datasets.recipes.recipe import parse_recipe
from tests.exporting.objects import splits_of
from tests.lanes import examples
from tests.making import small_lake

pytestmark = [pytest.mark.filterwarnings("ignore")]

FILES = examples(24, long=None)
"""Files of each folder; None: all."""

RATIOS = {"split": {"ratios": {"train": 0.6, "val": 0.2, "test": 0.2}}}
SPLITS = ("train", "val", "test")


# First of the arguments of a test: without the tool nothing is brought in.


@pytest.fixture(scope="module")
def coco():
    return pytest.importorskip("pycocotools.coco")


@pytest.fixture(scope="module")
def datasets():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield pytest.importorskip("datasets", reason="needs the extra `oracles`")


@pytest.fixture(scope="module")
def webdataset():
    return pytest.importorskip("webdataset", reason="needs the extra `oracles`")


@pytest.fixture(scope="module")
def streaming():
    return pytest.importorskip("streaming", reason="needs mosaicml-streaming")


@pytest.fixture(scope="module")
def ultralytics(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("settings")))
        patch.setenv("YOLO_OFFLINE", "true")
        yield pytest.importorskip("ultralytics", reason="needs ultralytics")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def some(paths):
    """As many of the files as this lane takes, from all over the folder."""
    found = sorted(paths)
    return found if FILES is None else found[:: len(found) // FILES][:FILES]


def copied(paths, folder):
    folder.mkdir(parents=True)
    return [shutil.copy(path, folder / path.name) for path in paths]


@pytest.fixture(scope="module")
def cells(real_data, tmp_path_factory):
    """A lake of blood cells, and id -> boxes as (label, x, y, w, h), px from 0."""
    folder, data = tmp_path_factory.mktemp("cells"), real_data("bccd")
    pictures = copied(some((data / "JPEGImages").glob("*.jpg")), folder / "pictures")
    copied([data / "Annotations" / f"{path.stem}.xml" for path in pictures], folder / "said")
    with small_lake(folder / "lake") as lake:
        lh.land(lake, lh.Source(name="bccd", folder=str(folder / "pictures")))
        lh.entities(lake)
        lh.opinions(lake, lh.OpinionSource(
            format="voc", path=str(folder / "said"), source="bccd", question="cells", actor="import:bccd",
            options={"voc_origin": 1},
        ))  # fmt: skip
        lh.build(lake, parse_recipe({"name": "cells", "question": "cells", "label": {"policy": "single"}, **RATIOS},
                                    where="test"))  # fmt: skip
        yield lake, {sha256(path): boxes(folder / "said" / f"{path.stem}.xml") for path in pictures}


def boxes(path):
    found = []
    for each in ElementTree.parse(path).iter("object"):
        left, top, right, bottom = (int(each.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
        found.append((each.findtext("name"), left - 1, top - 1, right - left + 1, bottom - top + 1))
    return sorted(found)


@pytest.fixture(scope="module")
def pictures(real_data, tmp_path_factory):
    """A lake of small pictures, and id -> the folder that it lies in."""
    folder, data = tmp_path_factory.mktemp("pictures"), real_data("cifar10") / "test"
    chosen = some(data.glob("*/*.jpg"))
    for path in chosen:
        (folder / "drop" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / "drop" / path.parent.name / path.name)
    with small_lake(folder / "lake") as lake:
        lh.land(lake, lh.Source(name="cifar10", folder=str(folder / "drop")))
        lh.entities(lake)
        lh.opinions(lake, lh.OpinionSource(
            format="imagefolder", path=str(folder / "drop"), source="cifar10", question="class", actor="import:cifar10"
        ))  # fmt: skip
        lh.build(lake, parse_recipe({"name": "pictures", "question": "class", **RATIOS}, where="test"))
        yield lake, {sha256(path): path.parent.name for path in chosen}


@pytest.fixture(scope="module")
def digits(real_data, tmp_path_factory):
    """A lake of spoken digits, and id -> digit."""
    folder, data = tmp_path_factory.mktemp("digits"), real_data("fsdd")
    spoken = copied(some((data / "recordings").glob("*.wav")), folder / "recordings")
    said = {path.name: path.name.partition("_")[0] for path in spoken}
    with (folder / "said.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "digit"), *said.items()])
    with small_lake(folder / "lake") as lake:
        lh.land(lake, lh.Source(name="fsdd", folder=str(folder / "recordings")))
        lh.entities(lake)
        lh.dimensions(lake)
        lh.opinions(lake, lh.OpinionSource(
            format="csv", path=str(folder / "said.csv"), source="fsdd", question="digit", actor="import:fsdd",
            options={"columns": {"subject": "file", "label": "digit"}},
        ))  # fmt: skip
        lh.build(lake, parse_recipe({
            "name": "digits", "question": "digit", **RATIOS,
            "select": {"sql": "select entity_id, sample_rate_hz from entities_wide"},
        }, where="test"))  # fmt: skip
        yield lake, {sha256(path): said[path.name] for path in spoken}


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def same_pixels(lake, entity, found):
    return np.array_equal(np.asarray(found), pixels(lake.read_object(entity)))


def near(found, expected):
    """Whether boxes are the same to a hundredth of a pixel, in whatever order."""
    left = list(found)
    for label, *sides in expected:
        same = [each for each in left if each[0] == label and np.allclose(each[1:], sides, atol=0.01)]
        if not same:
            return False
        left.remove(same[0])
    return not left


def test_pycocotools_reads_the_cells(coco, cells, tmp_path):
    lake, said = cells
    lake.export("cells", format="coco", to=tmp_path / "out")
    found, splits = {}, splits_of(lake, "cells")
    for split in SPLITS:
        read = coco.COCO(str(tmp_path / "out" / "annotations" / f"instances_{split}.json"))
        names = {each["id"]: each["name"] for each in read.loadCats(read.getCatIds())}
        for image in read.loadImgs(read.getImgIds()):
            entity = image["entity_id"]
            assert splits[entity] == split
            assert same_pixels(lake, entity, Image.open(tmp_path / "out" / split / image["file_name"]))
            rows = read.loadAnns(read.getAnnIds(imgIds=image["id"]))
            found[entity] = sorted((names[each["category_id"]], *each["bbox"]) for each in rows)
            assert all(each["area"] == each["bbox"][2] * each["bbox"][3] for each in rows)
    assert found == said


def test_hugging_face_reads_the_cells_pictures_and_digits(datasets, cells, pictures, digits, tmp_path):
    for (lake, said), name in ((cells, "cells"), (pictures, "pictures"), (digits, "digits")):
        lake.export(name, format="hf", to=tmp_path / name, shard_bytes=1 << 20)
        read = datasets.load_dataset(str(tmp_path / name), cache_dir=str(tmp_path / "cache"))
        found, splits = {}, splits_of(lake, name)
        for split, rows in read.items():
            if name == "digits":
                rows = rows.cast_column("audio", datasets.Audio(decode=False))
            for row in rows:
                entity = row["entity_id"]
                assert splits[entity] == split
                if name == "digits":
                    assert row["audio"]["bytes"] == lake.read_object(entity)
                    assert row["sample_rate_hz"] == 8000
                else:
                    assert same_pixels(lake, entity, row["image"].convert("RGB"))
                if name == "cells":
                    objects = row["objects"]
                    assert rows.features["objects"]["category"].feature.int2str(objects["category"]) == objects["label"]
                    found[entity] = sorted((label, *box) for label, box in zip(
                        objects["label"], objects["bbox"], strict=True))  # fmt: skip
                else:
                    found[entity] = rows.features["label"].int2str(row["label"])
        assert {split: len(rows) for split, rows in read.items()} == counted(lake, name)
        assert found == said


def counted(lake, name):
    splits = list(splits_of(lake, name).values())
    return {split: splits.count(split) for split in SPLITS}


def test_webdataset_reads_the_pictures_and_digits(webdataset, pictures, digits, tmp_path):
    for (lake, said), name, ending in ((pictures, "pictures", "jpg"), (digits, "digits", "wav")):
        lake.export(name, format="webdataset", to=tmp_path / name, shard_bytes=1 << 19)
        found, splits = {}, splits_of(lake, name)
        for split in SPLITS:
            shards = sorted(map(str, (tmp_path / name).glob(f"{split}-*.tar")))
            for sample in webdataset.WebDataset(shards, shardshuffle=False, empty_check=False):
                entity = sample["__key__"]
                assert splits[entity] == split
                assert sample[ending] == lake.read_object(entity)
                row = json.loads(sample["json"])
                assert (row["entity_id"], row["split"]) == (entity, split)
                found[entity] = row["label"]
        assert found == said


def test_mosaic_streaming_reads_the_cells_pictures_and_digits(streaming, cells, pictures, digits, tmp_path):
    for (lake, said), name in ((cells, "cells"), (pictures, "pictures"), (digits, "digits")):
        lake.export(name, format="mds", to=tmp_path / name, shard_bytes=1 << 20)
        found, splits = {}, splits_of(lake, name)
        for split in SPLITS:
            read = streaming.StreamingDataset(local=str(tmp_path / name / split), shuffle=False, batch_size=1)
            for place in range(len(read)):
                row = read[place]
                entity = row["entity_id"]
                assert splits[entity] == split
                if name == "digits":
                    [data] = [value for value in row.values() if isinstance(value, bytes)]
                    assert data == lake.read_object(entity)
                else:
                    assert same_pixels(lake, entity, row["image"].convert("RGB"))
                if name == "cells":
                    objects = row["objects"]
                    found[entity] = sorted((label, *box) for label, box in zip(
                        objects["label"], objects["bbox"], strict=True))  # fmt: skip
                else:
                    found[entity] = row["label"]
        assert found == said


def test_ultralytics_reads_the_cells_from_any_working_folder(ultralytics, cells, tmp_path, monkeypatch):
    from ultralytics.data import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    lake, said = cells
    lake.export("cells", format="yolo", to=tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    asked = ((tmp_path / "elsewhere", "../out"), (tmp_path / "out", "."), (tmp_path, str(tmp_path / "out")))
    for folder, place in asked:
        monkeypatch.chdir(folder)
        about = check_det_dataset(f"{place}/data.yaml", autodownload=False)
        assert about["train"] == str(tmp_path / "out" / "images" / "train")
    found, splits = {}, splits_of(lake, "cells")
    for split in SPLITS:
        read = YOLODataset(img_path=about[split], data=about, task="detect", augment=False, imgsz=640, cache=False)
        assert len(read) == counted(lake, "cells")[split]
        for place, row in enumerate(read.labels):
            entity = row["im_file"].rpartition("/")[2].partition(".")[0]
            assert splits[entity] == split
            image, (height, width), _ = read.load_image(place)
            assert np.abs(image[:, :, ::-1].astype(int) - pixels(lake.read_object(entity))).mean() < 2
            names = [about["names"][int(number)] for [number] in row["cls"]]
            sides = row["bboxes"] * (width, height, width, height)
            found[entity] = sorted(
                (name, x - w / 2, y - h / 2, w, h) for name, (x, y, w, h) in zip(names, sides.tolist(), strict=True)
            )
    assert set(found) == set(said)
    assert [entity for entity, expected in said.items() if not near(found[entity], expected)] == []
