"""Both engines make the same opinions, row for row, and go on where the other one stopped."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

import pytest
from PIL import Image

from lakehouse.config import load_config
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land as land_drop
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.opening import open_lake
from lakehouse.opinions.imports import find_imports
from lakehouse.opinions.retract import retract_import
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.opinions.step import record_opinions, resolve_parked
from lakehouse.query import fetch
from lakehouse.tables.read import digest_at, head
from schemas.tables import ACTORS, BATCHES, LABEL_SETS, OPINIONS, PARKED_OPINIONS, QUESTIONS, REJECTED
from tests.lanes import examples
from tests.making import Clock, entity_id, small_lake
from tests.opinions.conftest import SETTINGS
from tests.opinions.making import counts, csv_source, jsonl_source, land, land_pictures

MIXES = examples(
    {"mixed": "ssseseseeese"},
    long={"mixed": "sssssesessse", "embedded first": "eeesssssssss", "spark first": "ssseeeeeeeee"},
)
"""Lake -> the engine of each step. Spark takes each kind of step, after steps of either engine; every day it leaves
files that were read before, and boxes, which it meets below, to the other one."""

FORMATS: tuple[str, ...] = examples(("yolo", "ids"), long=("coco", "studio", "yolo", "ids"))
"""What is read on both engines: one whose shares become pixels, one that names pictures by ids; the other two are read
by the same SQL as the first."""

WRITTEN = (ACTORS, QUESTIONS, LABEL_SETS, OPINIONS, PARKED_OPINIONS, REJECTED, BATCHES)

BOX = (
    '{"subject": "%s", "question": "cells", '
    '"regions": [{"kind": "box", "label": "x", "x": 1, "y": 2, "w": 3, "h": 4}]}\n'
)
FIRST = "subject,label\n1.jpg,cat\n3.jpg,dog\n9.jpg,cat\n1.jpg,\n"
SECOND = "subject,label\n1.jpg,lynx\n3.jpg,dog\n2.jpg,a\n2.jpg,b\n"
THIRD = "subject,label\n1.jpg,cat\n3.jpg,dog\n"
VOTES = "subject,label\n1.jpg,cat\n1.jpg,cat\n1.jpg,dog\n"
PREDICTED = [{"entity_id": entity_id("dog/3.jpg"), "probabilities": {"dog": 0.75, "cat": 0.25}}]


def everything(folder: Path) -> list[Callable[[Lake], object]]:
    """Answers of every kind, in steps: votes, corrections, contradictions, boxes, parked ones, predictions."""
    labels, boxes = folder / "a.csv", BOX % "4.jpg" + BOX % "3.jpg"
    return [
        lambda lake: import_opinions(lake, csv_source(labels, FIRST)),
        lambda lake: import_opinions(lake, csv_source(labels, SECOND)),
        lambda lake: import_opinions(lake, csv_source(folder / "v.csv", VOTES, repeat="votes", actor="pool:p")),
        lambda lake: import_opinions(lake, jsonl_source(folder / "b.jsonl", boxes, name="boxes", question="cells")),
        lambda lake: record_opinions(lake, PREDICTED, source="cnn", question="animal", actor="model:cnn@1"),
        lambda lake: land(lake, ["9.jpg"]),
        lambda lake: resolve_parked(lake),
        lambda lake: import_opinions(lake, csv_source(labels, THIRD)),
        lambda lake: import_opinions(lake, csv_source(folder / "fix.csv", SECOND)),
        lambda lake: import_opinions(lake, csv_source(labels, THIRD)),
        lambda lake: retract_import(lake, find_imports(lake, "fix.csv")[0]),
        lambda lake: import_opinions(lake, csv_source(folder / "fix.csv", SECOND)),
    ]


def voc_file(path: Path, name: str, folder: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
    path.write_text(
        f"<annotation><folder>{folder}</folder><filename>{name}</filename><size><width>48</width><height>64</height>"
        f"</size><object><name>x</name>{box}{box}</object><weather>rain</weather></annotation>"
    )


def land_boxes(lake: Lake, folder: Path) -> None:
    """What boxes are told about: a picture that is turned, two of one name."""
    pictures = folder / "pictures"
    exif = Image.Exif()
    exif[274] = 6
    pictures.mkdir()
    Image.new("L", (64, 48)).save(pictures / "turned.jpg", exif=exif)
    land(lake, ["img/a/same.jpg", "img/b/same.jpg"])
    land_drop(lake, Source(name="photos", folder=str(pictures), drop="pictures"))
    entities(lake)


def tell_boxes(lake: Lake, folder: Path) -> list[object]:
    """Boxes about names that are near, of several folders, unknown, and of a picture that is turned."""
    voc_file(folder / "x" / "a.xml", "turned.png")
    voc_file(folder / "x" / "b.xml", "CAT/1.JPG")
    voc_file(folder / "x" / "c.xml", "same.jpg", "a")
    voc_file(folder / "x" / "b" / "c.xml", "same.jpg")
    voc_file(folder / "x" / "d.xml", "same.jpg")
    voc_file(folder / "x" / "e.xml", "dog%2F3.jpg")
    voc_file(folder / "x" / "f.xml", "4")
    voc_file(folder / "x" / "g.xml", "4.png")
    voc_file(folder / "x" / "h.xml", "nothing.png")
    source = csv_source(folder / "x", format="voc")
    receipts = [import_opinions(lake, source), resolve_parked(lake)]
    return [(receipt.counts, receipt.notes, receipt.details) for receipt in receipts]


def told_by_both(
    landed: Path, folder: Path, prepare: Callable[[Lake, Path], None], tell: Callable[[Lake, Path], list[object]]
) -> tuple[dict[str, list[object]], dict[str, dict[str, str]]]:
    """Return engine -> receipts, and engine -> contents of the lake; both work on a copy of what was prepared."""
    told, held = {}, {}
    shutil.copytree(landed, folder / "prepared")
    with small_lake(folder / "prepared", *SETTINGS) as lake:
        prepare(lake, folder)
    for engine in ("embedded", "spark"):
        root = Path(shutil.copytree(folder / "prepared", folder / engine))
        config = load_config(overrides=[f'lake.root="{root}"', *SETTINGS, "engine.driver_mb=0"], environ={})
        with open_lake(config, engine=engine, clock=Clock()) as lake:
            told[engine] = tell(lake, folder)
            held[engine] = contents(lake)
    return told, held


def contents(lake: Lake) -> dict[str, str]:
    return {table.name: str(digest_at(lake, table, head(lake.root, table))) for table in WRITTEN}


@pytest.mark.spark
def test_both_engines_and_a_mix_of_them_write_equal_rows(spark, landed, tmp_path):
    found = {}
    files = tmp_path / "files"
    files.mkdir()
    steps = everything(files)
    for name, engines in {"embedded": "e" * len(steps), "driver": "d" * len(steps), **MIXES}.items():
        root = tmp_path / name
        shutil.copytree(landed, root)
        clock = Clock()
        for engine, parts in itertools.groupby(zip(engines, steps, strict=True), itemgetter(0)):
            driver = f"engine.driver_mb={64 if engine == 'd' else 0}"
            config = load_config(overrides=[f'lake.root="{root}"', *SETTINGS, driver], environ={})
            clock.forward(days=1)
            with open_lake(config, engine="embedded" if engine == "e" else "spark", clock=clock) as lake:
                for _, step in parts:
                    step(lake)
                found[name] = contents(lake)
    assert found == dict.fromkeys(found, found["embedded"])
    with small_lake(tmp_path / "mixed", *SETTINGS) as lake:
        rows = fetch(lake, "select label, votes from current_opinions where value_kind = 'label' order by label, votes")
    assert [(row["label"], row["votes"]) for row in rows] == [
        ("b", 1), ("cat", 1), ("cat", 2), ("dog", 1), ("dog", 1), ("dog", 1), ("lynx", 1),
    ]


@pytest.mark.spark
def test_both_engines_match_names_that_are_near_and_turn_boxes_alike(spark, landed, tmp_path):
    told, held = told_by_both(landed, tmp_path, land_boxes, tell_boxes)
    assert told["spark"] == told["embedded"]
    assert held["spark"] == held["embedded"]
    counted, notes, _ = told["embedded"][0]
    assert counted == counts(read=9, new=5, unmatched=4)
    assert {note.rule: note.count for note in notes} == {
        "elements_not_read": 9, "matched_by_case": 1, "matched_by_folder": 2,
        "matched_by_stem": 1, "matched_unquoted": 1, "several_boxes": 9, "turned_by_exif": 1,
    }


def land_tools(lake: Lake, folder: Path) -> None:
    """Two pictures that tools name, and one with an id of its own."""
    land_pictures(lake, ["a.jpg", "b.jpg"])
    (folder / "drop").mkdir()
    Image.new("L", (4, 3)).save(folder / "drop" / "c.png")
    (folder / "drop" / "index.csv").write_text("path,id\nc.png,8\n")
    land_drop(lake, Source(name="numbered", folder=str(folder / "drop"), drop="drop", sidecar="index.csv"))
    entities(lake)


def tell_tools(lake: Lake, folder: Path) -> list[object]:
    """What COCO, Label Studio and YOLO say of the same pictures, and a list that names them by ids."""
    square = {"id": 1, "image_id": 7, "category_id": 90, "bbox": [1, 1, 4, 4], "iscrowd": 0, "area": 16,
              "segmentation": [[1, 1, 5, 1, 5, 5, 1, 5]]}  # fmt: skip
    (folder / "coco.json").write_text(json.dumps({
        "images": [{"id": 7, "file_name": "a.jpg", "width": 640, "height": 480}], "annotations": [square],
        "categories": [{"id": 90, "name": "é", "supercategory": "x"}],
    }))  # fmt: skip
    box = {"x": 40.5, "y": 36.7, "width": 36.25, "height": 41.7, "rotation": 30, "rectanglelabels": ["cell"]}
    drawn = {"id": "r1", "type": "rectanglelabels", "from_name": "box", "to_name": "image", "original_width": 640,
             "original_height": 480, "image_rotation": 0, "value": box}  # fmt: skip
    (folder / "studio.json").write_text(json.dumps([{
        "id": 1, "data": {"image": "/data/upload/1/0123abcd-b.jpg"}, "predictions": [],
        "annotations": [{"id": 2, "completed_by": 7, "result": [drawn], "was_cancelled": False,
                         "created_at": "2026-11-29T05:34:28.846772Z", "updated_at": "2026-11-29T05:40:00Z"}],
    }]))  # fmt: skip
    (folder / "yolo" / "labels").mkdir(parents=True, exist_ok=True)
    (folder / "yolo" / "data.yaml").write_text("nc: 2\nnames: [RBC, WBC]\n")
    (folder / "yolo" / "labels" / "a.txt").write_text("1 0.585938 0.575000 0.362500 0.416667\n")
    sources = {
        "coco": csv_source(folder / "coco.json", format="coco", source="pictures", question="things"),
        "studio": csv_source(folder / "studio.json", format="labelstudio", source="pictures", question="cells"),
        "yolo": csv_source(folder / "yolo", format="yolo", source="pictures", question="marks", match="stem",
                           options={"task": "detect"}),
        "ids": csv_source(folder / "ids.csv", "subject,label\n8,cat\n9,cat\n", match="id", source="numbered"),
    }  # fmt: skip
    receipts = [import_opinions(lake, sources[each]) for each in FORMATS]
    return [(receipt.counts, receipt.notes, receipt.details) for receipt in receipts]


@pytest.mark.spark
@pytest.mark.slow
def test_both_engines_take_files_of_tools_alike(spark, landed, tmp_path):
    told, held = told_by_both(landed, tmp_path, land_tools, tell_tools)
    assert told["spark"] == told["embedded"]
    assert held["spark"] == held["embedded"]
    expected = [counts(read=2, new=1, unmatched=1) if each == "ids" else counts(read=1, new=1) for each in FORMATS]
    assert [each for each, *_ in told["embedded"]] == expected
