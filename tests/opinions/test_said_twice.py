"""One picture in two places of an import, and regions that a question does not take: counted, never left to chance."""

from __future__ import annotations

import json

import pytest

import lakehouse as lh
from lakehouse.query import fetch
from tests.opinions.making import counts, csv_source


def voc(name, left):
    size = "<size><width>640</width><height>480</height></size>"
    box = f"<bndbox><xmin>{left}</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
    return f"<annotation><filename>{name}</filename>{size}<object><name>cell</name>{box}</object></annotation>"


def cvat(left):
    box = f'<box label="cell" xtl="{left}" ytl="2" xbr="30" ybr="40"/>'
    return f'<image id="{left}" name="cat/1.jpg" width="640" height="480">{box}</image>'


def labelme(left):
    shape = {"label": "cell", "shape_type": "rectangle", "points": [[left, 2], [30, 40]]}
    return json.dumps({"imagePath": "1.jpg", "imageWidth": 640, "imageHeight": 480, "shapes": [shape]})


def files(form, folder):
    folder.mkdir()
    if form == "cvat":
        (folder / "a.xml").write_text(f"<annotations>{cvat(1)}{cvat(5)}</annotations>")
    for place, left in (("x", 1), ("y", 5)) if form != "cvat" else ():
        (folder / place).mkdir()
        text = voc("1.jpg", left) if form == "voc" else labelme(left)
        (folder / place / ("1.xml" if form == "voc" else "1.json")).write_text(text)
    return str(folder)


@pytest.mark.parametrize("form", ["voc", "cvat", "labelme"])
def test_of_two_answers_about_one_picture_in_one_import_the_second_is_rejected(photos, tmp_path, form):
    source = lh.OpinionSource(format=form, path=files(form, tmp_path / "in"), question="cells", actor="human:ann")
    receipt = lh.opinions(photos, source)
    assert receipt.counts == counts(read=2, new=1, rejected=1)
    assert [row["rule"] for row in fetch(photos, "select rule from silver.rejected")] == ["duplicate_subject"]
    (held,) = fetch(photos, "select regions from current_opinions")
    assert [each["x"] for each in held["regions"]] == [0.0 if form == "voc" else 1.0]
    # Once more, and the answer that holds stays the one that held.
    again = lh.OpinionSource(format=form, path=source.path, question="cells", actor="human:ann", options=source.options,
                             system="other")  # fmt: skip
    assert lh.opinions(photos, again).counts == counts(read=2, same=1, rejected=1)


def test_rows_of_a_person_who_changed_their_mind_are_no_contradiction(photos, tmp_path):
    rows = csv_source(tmp_path / "a.csv", "subject,label\ncat/1.jpg,cat\ncat/1.jpg,dog\n")
    assert lh.opinions(photos, rows).counts == counts(read=2, new=2)


BOX = {"kind": "box", "label": "cell", "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0}
LINE = {"kind": "polyline", "label": "cell", "points": [{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.0}]}


def test_a_region_of_a_kind_that_the_question_does_not_take_is_rejected_and_so_it_stays(photos, tmp_path):
    lines = [{"subject": name, "regions": [region]} for name, region in (("cat/1.jpg", BOX), ("cat/2.jpg", LINE))]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    said = {"format": "jsonl", "path": str(tmp_path / "a.jsonl"), "question": "cells", "actor": "human:ann"}
    stated = lh.OpinionSource(**said, geometry_kinds=("box",))
    assert lh.opinions(photos, stated).counts == counts(read=2, new=1, rejected=1)
    # The question knows, also where nobody says so again.
    assert lh.opinions(photos, lh.OpinionSource(**said, system="other")).counts == counts(read=2, same=1, rejected=1)
    rows = fetch(photos, "select distinct rule, reason from silver.rejected")
    assert [row["rule"] for row in rows] == ["kind_not_allowed"]
    assert "has a 'polyline', the question takes box" in rows[0]["reason"]
    other = lh.OpinionSource(**said | {"actor": "human:bob", "question": "others"})
    assert lh.opinions(photos, other).counts == counts(read=2, new=2)
