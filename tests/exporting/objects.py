"""A lake of four pictures with boxes, outlines, masks and poses, a dataset of each; readers of what is exported."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import numpy as np
from PIL import Image

import lakehouse as lh
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.labels.changes import set_export_ids
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.questions import Question
from tests.datasets.pictures import say

WIDTH, HEIGHT = 20, 10
PIXELS = np.zeros((HEIGHT, WIDTH), bool)
PIXELS[2:5, 3:9] = True

SQUARE = [{"x": x, "y": y} for x, y in ((1.0, 1.0), (5.0, 1.0), (5.0, 5.0), (1.0, 5.0))]
FAR = [{"x": x, "y": y} for x, y in ((10.0, 6.0), (14.0, 6.0), (14.0, 9.0))]

SAID = {
    "boxes": {
        "a": [{"kind": "box", "label": "red", "x": 1.0, "y": 2.0, "w": 4.0, "h": 5.0, "score": 0.5},
              {"kind": "box", "label": "white", "x": 0.0, "y": 0.0, "w": 20.0, "h": 10.0, "iscrowd": True}],
        "b": [{"kind": "box", "label": "red", "x": 18.0, "y": 2.5, "w": 4.0, "h": 5.0, "attrs": {"difficult": "1"}}],
        "c": [], "d": [],
    },
    "polygons": {
        "a": [{"kind": "polygon", "label": "red", "points": SQUARE + FAR, "part_sizes": [4, 3], "closed": True},
              {"kind": "polygon", "label": "white", "points": FAR, "closed": True}],
        "b": [],
    },
    "masks": {
        "a": [{"kind": "mask", "label": "red", "mask_encoding": "coco_rle", "mask_h": HEIGHT, "mask_w": WIDTH,
               "mask_counts": rle.compress(rle.encode(PIXELS))}],
        "b": [],
    },
    "keypoints": {
        "a": [{"kind": "keypoints", "label": "red",
               "points": [{"x": 5.0, "y": 6.0, "v": 2}, {"x": 0.0, "y": 0.0, "v": 0}]}],
        "b": [],
    },
}  # fmt: skip
"""Question -> picture -> its objects."""

ASKED = {"boxes": "box", "polygons": "polygon", "masks": "mask", "keypoints": "keypoints"}


def make_objects(lake, folder):
    """Bring the pictures, what is said of them, and the datasets; return name of a picture -> entity."""
    (folder / "drop").mkdir(parents=True)
    for name in "abcd":
        kind = "jpg" if name == "d" else "png"
        Image.new("RGB", (WIDTH, HEIGHT), (ord(name), 5, 0)).save(folder / "drop" / f"{name}.{kind}")
    lh.land(lake, lh.Source(name="drop", folder=str(folder / "drop")))
    lh.entities(lake)
    for question, said in SAID.items():
        asked = Question(question_id=question, answer_kind="regions", geometry_kinds=(ASKED[question],))
        if question == "keypoints":
            asked = replace(asked, keypoints=("left_eye", "right_eye"), skeleton=((0, 1),))
        say(lake, asked, "human:ann", {name: {"regions": regions} for name, regions in said.items()})
    set_export_ids(lake, "boxes", "white", {"coco": "17"})
    for question in SAID:
        lh.build(lake, parse_recipe({
            "name": question, "question": question, "seed": 3, "label": {"policy": "single"},
            "split": {"ratios": {"train": 0.5, "val": 0.5}},
            "select": {"sql": "select entity_id, size_bytes as file_bytes from entities"},
        }, where="test"))  # fmt: skip
    rows = lh.fetch(lake, "select entity_id, name from silver.entity_sources")
    return {row["name"].partition(".")[0]: row["entity_id"] for row in rows}


def splits_of(lake, dataset):
    """Entity -> its split."""
    version = lh.find_dataset(lake, dataset)
    rows = lh.fetch(lake, "select entity_id, split from gold.dataset_members where dataset_id = $id",
                    params={"id": version.dataset_id})  # fmt: skip
    return {row["entity_id"]: row["split"] for row in rows}


def read_yolo(folder):
    """Split -> entity -> lines of numbers; each has its picture."""
    found = {}
    for path in sorted((folder / "labels").rglob("*.txt")):
        split = path.parent.name
        [_picture] = (folder / "images" / split).glob(f"{path.stem}.*")
        rows = path.read_text().splitlines()
        found.setdefault(split, {})[path.stem] = [[float(each) for each in row.split()] for row in rows]
    return found


DECODE = {
    "str": bytes.decode, "json": json.loads, "int": lambda data: struct.unpack("<q", data)[0], "jpeg": bytes,
    "png": bytes, "bytes": bytes, "float64": lambda data: struct.unpack("<d", data)[0],
}  # fmt: skip


def read_mds(folder):
    """Yield the samples of a split, by its index."""
    index = json.loads((folder / "index.json").read_text())
    assert index["version"] == 2
    for shard in index["shards"]:
        data = (folder / shard["raw_data"]["basename"]).read_bytes()
        assert len(data) == shard["raw_data"]["bytes"]
        count = struct.unpack_from("<I", data)[0]
        places = struct.unpack_from(f"<{count + 1}I", data, 4)
        config = json.loads(data[4 * (count + 2) : places[0]])
        assert (count, places[-1]) == (shard["samples"], len(data))
        assert config.items() <= shard.items()
        for place in places[:-1]:
            yield _sample(data, place, shard)


def _sample(data, place, shard):
    sizes = list(shard["column_sizes"])
    varying = [number for number, size in enumerate(sizes) if size is None]
    for number, size in zip(varying, struct.unpack_from(f"<{len(varying)}I", data, place), strict=True):
        sizes[number] = size
    place += 4 * len(varying)
    found = {}
    for name, encoding, size in zip(shard["column_names"], shard["column_encodings"], sizes, strict=True):
        found[name] = DECODE[encoding](data[place : place + size])
        place += size
    return found
