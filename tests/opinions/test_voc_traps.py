"""Pascal VOC on its way in, to COCO and back: counted from 1, one pixel wide, beyond the frame, moved."""

from __future__ import annotations

import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

import lakehouse as lh
from lakehouse.query import fetch
from lakehouse.views.opinions import current_opinions_sql
from tests.opinions.making import answers, counts, land_pictures

BCCD_0 = (260, 177, 491, 376)
"""The first box of BCCD's BloodImage_00000, as it stands in its file."""


def xml(*boxes: tuple[float, ...], order: str = "xmin ymin xmax ymax", name: str = "a.jpg", more: str = "") -> str:
    sides = ("xmin", "ymin", "xmax", "ymax")
    objects = ""
    for box in boxes:
        stated = dict(zip(sides, box, strict=True))
        corners = "".join(f"<{side}>{stated[side]}</{side}>" for side in order.split())
        objects += f"<object><name>WBC</name>{more}<bndbox>{corners}</bndbox></object>"
    size = "<size><width>640</width><height>480</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}</filename>{size}{objects}</annotation>"


def boxes_in(file: Path) -> list[tuple[str, ...]]:
    found = ElementTree.parse(file).getroot().iter("bndbox")
    return [tuple(str(box.findtext(side)) for side in ("xmin", "ymin", "xmax", "ymax")) for box in found]


def source(path: Path, **changes: object) -> lh.OpinionSource:
    about = {"format": "voc", "question": "cells", "actor": "human:ada", "source": "pictures"}
    return lh.OpinionSource(path=str(path), **{**about, **changes})


def export(lake: lh.Lake, path: Path, form: str, **options: object) -> Path:
    lh.export_opinions(lake, format=form, path=path, question="cells", **options)
    return path


@pytest.fixture
def pictures(lake):
    land_pictures(lake, ["a.jpg"])
    return lake


def test_f1_voc_counts_from_one_and_includes_the_maxima_on_both_ways(pictures, tmp_path):
    (tmp_path / "a.xml").write_text(xml(BCCD_0))
    lh.opinions(pictures, source(tmp_path / "a.xml"))
    coco = json.loads(export(pictures, tmp_path / "coco.json", "coco").read_text())
    assert coco["annotations"][0]["bbox"] == [259, 176, 232, 200]
    lh.opinions(pictures, source(tmp_path / "coco.json", format="coco", actor="human:bob"))
    export(pictures, tmp_path / "voc", "voc", actor="human:bob")
    assert boxes_in(tmp_path / "voc/a.xml") == [("260", "177", "491", "376")]
    export(pictures, tmp_path / "zero", "voc", actor="human:bob", options={"voc_origin": 0})
    assert boxes_in(tmp_path / "zero/a.xml") == [("259", "176", "491", "376")]


def test_f2_a_box_of_one_pixel_survives_with_area_one(pictures, tmp_path):
    (tmp_path / "a.xml").write_text(xml((504, 337, 504, 337)))
    lh.opinions(pictures, source(tmp_path / "a.xml"))
    record = json.loads(export(pictures, tmp_path / "coco.json", "coco").read_text())["annotations"][0]
    assert (record["bbox"], record["area"]) == ([503, 336, 1, 1], 1)
    assert boxes_in(export(pictures, tmp_path / "voc", "voc") / "a.xml") == [("504", "337", "504", "337")]


@pytest.mark.parametrize("text", [
    xml(BCCD_0, order="xmax ymax xmin ymin"),
    xml((260.0, 177.0, 491.0, 376.0)),
    "\ufeff" + xml(BCCD_0),
    xml(BCCD_0, more="<difficult>0</difficult><pose>Left</pose>"),
])  # fmt: skip
def test_f3_order_of_tags_floats_marks_and_missing_tags_change_no_box(tmp_path, text):
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    (region,) = answers("voc", tmp_path / "a.xml")[0].value
    assert [region.x, region.y, region.w, region.h] == [259, 176, 232, 200]


def test_attributes_and_fractions_of_a_pixel_come_back_as_they_were(pictures, tmp_path):
    stated = "<pose>Left</pose><truncated>1</truncated><difficult>0</difficult><occluded>1</occluded>"
    extra = "<attributes><attribute><name>stain &amp; tint</name><value>b&lt;c</value></attribute></attributes>"
    (tmp_path / "a.xml").write_text(xml((1.5, 2.25, 10.125, 20), more=stated + extra))
    lh.opinions(pictures, source(tmp_path / "a.xml"))
    out = export(pictures, tmp_path / "voc", "voc") / "a.xml"
    assert boxes_in(out) == [("1.5", "2.25", "10.125", "20")]
    assert answers("voc", out)[0].value == answers("voc", tmp_path / "a.xml")[0].value


def test_f29_a_box_beyond_the_frame_is_kept_flagged_and_never_clipped(pictures, tmp_path):
    (tmp_path / "a.xml").write_text(xml((600, 400, 700, 500)))
    notes = {note.rule for note in lh.opinions(pictures, source(tmp_path / "a.xml")).notes}
    assert notes >= {"outside_frame"}
    flags = dict(fetch(pictures, "select ext from silver.opinions")[0]["ext"])["flags"]
    assert "outside_frame" in flags
    record = json.loads(export(pictures, tmp_path / "coco.json", "coco").read_text())["annotations"][0]
    assert record["bbox"] == [599, 399, 101, 101]
    assert boxes_in(export(pictures, tmp_path / "voc", "voc") / "a.xml") == [("600", "400", "700", "500")]


def test_f31_a_file_again_adds_nothing_and_a_moved_box_supersedes_one(lake, tmp_path):
    land_pictures(lake, ["a.jpg", "b.jpg"])
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.xml").write_text(xml(BCCD_0))
    (folder / "b.xml").write_text(xml((504, 337, 504, 337), name="b.jpg"))
    assert lh.opinions(lake, source(folder)).counts == counts(read=2, new=2)
    known = fetch(lake, "select max(ingest_time) as at from silver.opinions")[0]["at"]
    assert lh.opinions(lake, source(folder)).counts["new"] == 0
    lake.clock.forward(days=1)
    (folder / "a.xml").write_text(xml((261, *BCCD_0[1:])))
    assert lh.opinions(lake, source(folder)).counts == counts(read=2, new=1, same=1)
    said = "select opinion_id, regions[1].x as x, supersedes from silver.opinions order by ingest_seq"
    first, _, moved = fetch(lake, said)
    assert (first["x"], moved["x"], moved["supersedes"]) == (259, 260, [first["opinion_id"]])
    now = fetch(lake, "select regions[1].x as x from current_opinions order by x")
    then = fetch(lake, f"select regions[1].x as x from ({current_opinions_sql(known_at=True)}) c order by x",
                 params={"known_at": known.astimezone(UTC) if isinstance(known, datetime) else known})  # fmt: skip
    assert ([row["x"] for row in now], [row["x"] for row in then]) == ([260, 503], [259, 503])
    export(lake, tmp_path / "then", "voc", known_at=known)
    assert boxes_in(tmp_path / "then/a.xml") == [("260", "177", "491", "376")]


@pytest.mark.skipif(importlib.util.find_spec("supervision") is None, reason="needs the extra `oracles`")
@pytest.mark.filterwarnings("ignore")
def test_supervision_reads_the_same_boxes_of_voc_and_coco(pictures, tmp_path):
    from PIL import Image

    supervision = pytest.importorskip("supervision")
    (tmp_path / "a.xml").write_text(xml(BCCD_0, (504, 337, 504, 337)))
    lh.opinions(pictures, source(tmp_path / "a.xml"))
    export(pictures, tmp_path / "voc", "voc")
    export(pictures, tmp_path / "coco.json", "coco")
    (tmp_path / "images").mkdir()
    Image.new("RGB", (640, 480)).save(tmp_path / "images/a.jpg")
    for found in (
        supervision.DetectionDataset.from_pascal_voc(str(tmp_path / "images"), str(tmp_path / "voc")),
        supervision.DetectionDataset.from_coco(str(tmp_path / "images"), str(tmp_path / "coco.json")),
    ):
        ((_, _, detections),) = found
        assert detections.xyxy.tolist() == [[259, 176, 491, 376], [503, 336, 504, 337]]
