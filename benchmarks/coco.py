"""What importing and exporting a COCO file costs, beside a plain script that keeps nothing but arrays.

    python -m benchmarks.coco                              # 50,000 annotations with polygons in 7,000 pictures
    python -m benchmarks.coco --annotations 5000 --boxes

The file is made: per picture some boxes or polygons of 8 to 40 points, one crowd mask in a hundred. The script parses
the JSON, makes a numpy array of every polygon and a pandas frame of all annotations, and writes Parquet; back it reads
Parquet and writes JSON. Seconds of the clock, of the embedded engine with as many workers as there are cores, and
seconds of processor of this process and of all that it started.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import lakehouse as lh
from lakehouse.lake import Lake
from lakehouse.opinions.geometry import rle
from lakehouse.tables.insert import insert_rows
from schemas.canonical import content_id, sha256_text
from schemas.tables import DIMENSIONS, ENTITIES, ENTITY_SOURCES

WIDTH, HEIGHT = 640, 480
CATEGORIES = 80


def main(argv: Sequence[str] | None = None) -> None:
    """Make the file and a lake with its pictures; import, import again, export, and the same by hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=int, default=50_000)
    parser.add_argument("--boxes", action="store_true", help="boxes alone, no polygons")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        file, out = folder / "instances.json", folder / "out.json"
        document = made(arguments.annotations, polygons=not arguments.boxes)
        file.write_text(json.dumps(document))
        sys.stdout.write(f"{arguments.annotations:,} annotations, {len(document['images']):,} pictures, "
                         f"{file.stat().st_size >> 20} MiB of JSON\n")  # fmt: skip
        with lh.open_lake(lh.load_config(overrides=[f'lake.root="{folder / "lake"}"']), create=True) as lake:
            _pretend(lake, document["images"])
            source = lh.OpinionSource(format="coco", path=str(file), question="things", actor="import:coco")
            receipt = _timed("import", lambda: lh.opinions(lake, source))
            assert receipt.counts["new"] == len(document["images"]), receipt
            again = lh.OpinionSource(name="b", format="coco", path=str(file), question="things", actor="import:coco")
            receipt = _timed("import again, unnoted", lambda: lh.opinions(lake, again))
            assert receipt.counts["new"] == 0, receipt
            _timed("export", lambda: lh.export_opinions(lake, format="coco", path=out, question="things"))
            back = json.loads(out.read_text())
            assert len(back["annotations"]) == arguments.annotations
            assert [each["id"] for each in back["categories"]] == [each["id"] for each in document["categories"]]
        _timed("script, in", lambda: _script_in(file, folder / "plain.parquet"))
        _timed("script, out", lambda: _script_out(folder / "plain.parquet", folder / "plain.json"))


def made(annotations: int, *, polygons: bool) -> dict[str, Any]:
    """Return a COCO document of so many annotations, seven a picture; the same each time."""
    random = np.random.default_rng(6)
    images = [
        {"id": 7 * number + 1, "file_name": f"{number:012d}.jpg", "width": WIDTH, "height": HEIGHT}
        for number in range(max(1, annotations // 7))
    ]
    crowd = np.zeros((HEIGHT, WIDTH), bool)
    crowd[100:300, 50:600:3] = True
    mask = {"size": [HEIGHT, WIDTH], "counts": rle.encode(crowd).tolist()}
    found = []
    for number in range(annotations):
        x, y = random.random(2) * (WIDTH - 120, HEIGHT - 120)
        w, h = 10 + random.random(2) * 100
        box = [round(float(each), 2) for each in (x, y, w, h)]
        record = {"id": number + 1, "image_id": images[number % len(images)]["id"], "bbox": box, "iscrowd": 0,
                  "category_id": 2 * int(random.integers(CATEGORIES)) + 3, "area": box[2] * box[3],
                  "segmentation": []}  # fmt: skip
        if polygons and number % 100 == 99:
            record |= {"iscrowd": 1, "segmentation": mask}
        elif polygons:
            turns = np.sort(random.random(int(random.integers(8, 41)))) * 2 * np.pi
            points = np.stack([x + w / 2 * (1 + np.cos(turns)), y + h / 2 * (1 + np.sin(turns))], axis=1)
            record["segmentation"] = [points.round(2).ravel().tolist()]
        found.append(record)
    categories = [{"id": 2 * each + 3, "name": f"class {each}", "supercategory": ""} for each in range(CATEGORIES)]
    return {"images": images, "annotations": found, "categories": categories}


def _pretend(lake: Lake, images: Sequence[dict[str, Any]]) -> None:
    """Have pictures of these names in the lake, as if they had landed and been measured."""
    ids = {each["file_name"]: sha256_text(each["file_name"]) for each in images}
    entities = [
        {"entity_id": found, "media_type": "image/jpeg", "size_bytes": 1, "object_uri": f"objects/{found[:2]}/{found}",
         "storage": "copy", "group_keys": {}, "origin": "real"} for found in ids.values()
    ]  # fmt: skip
    sources = [
        {"entity_id": found, "landed_id": content_id(["coco", name]), "source": "coco", "drop_name": "main",
         "uri": f"file:///drops/{name}", "path": name, "name": name, "group_keys": {}} for name, found in ids.items()
    ]  # fmt: skip
    sides = [
        {"entity_id": found, "dimension": name, "extractor": "image_header", "extractor_version": 1,
         "value_kind": "number", "number": float(size)}
        for found in ids.values() for name, size in (("width", WIDTH), ("height", HEIGHT))
    ]  # fmt: skip
    for table, rows in ((ENTITIES, entities), (ENTITY_SOURCES, sources), (DIMENSIONS, sides)):
        insert_rows(lake, table, rows, step="benchmark")


def _script_in(file: Path, out: Path) -> None:
    document = json.loads(file.read_text())
    rows = [
        {**each, "segmentation": json.dumps(each["segmentation"]), "points": [
            np.array(part).reshape(-1, 2) for part in each["segmentation"] if isinstance(part, list)
        ]} for each in document["annotations"]
    ]  # fmt: skip
    frame = pd.DataFrame(rows).merge(pd.DataFrame(document["images"]).rename(columns={"id": "image_id"}), on="image_id")
    frame.drop(columns="points").to_parquet(out)


def _script_out(file: Path, out: Path) -> None:
    frame = pd.read_parquet(file)
    records = frame[["id", "image_id", "category_id", "area", "iscrowd"]].to_dict("records")
    boxes, shapes = frame["bbox"].map(list), frame["segmentation"].map(json.loads)
    for record, box, shape in zip(records, boxes, shapes, strict=True):
        record |= {"bbox": box, "segmentation": shape}
    out.write_text(json.dumps({"annotations": records}))


def _timed(what: str, work: Callable[[], Any]) -> Any:
    began, before = time.perf_counter(), _processor()
    found = work()
    spent = time.perf_counter() - began
    used = _processor() - before
    sys.stdout.write(f"{what}: {spent:.2f} s, {used:.2f} s of processor; load {os.getloadavg()[0]:.0f}\n")
    sys.stdout.flush()
    return found


def _processor() -> float:
    """Return the seconds that this process and those below it have run; workers stay as long as their lake is open."""
    found: dict[int, tuple[int, float]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # Behind the name: state, parent, ..., and from the twelfth on ticks of its own and of its ended children.
            values = stat.read_text().rpartition(")")[2].split()
            found[int(stat.parent.name)] = int(values[1]), sum(map(int, values[11:15])) / os.sysconf("SC_CLK_TCK")
    ours = {os.getpid()}
    while more := {number for number, (parent, _) in found.items() if parent in ours} - ours:
        ours |= more
    return sum(found[number][1] for number in ours)


if __name__ == "__main__":
    main()
