"""The frame that an answer states beside the picture that the lake knows."""

from __future__ import annotations

import io
import itertools
import logging

import numpy as np
import pytest
from PIL import Image, ImageOps

from lakehouse.dimensions.step import dimensions as measure_dimensions
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.geometry.polygon import corners_of
from lakehouse.opinions.geometry.regions import mask_fields, mask_of_region
from lakehouse.opinions.matching.frames import Picture, fitted
from lakehouse.opinions.matching.turning import BACK, turned_back, turned_upright
from lakehouse.opinions.reading.answer import Answer, Frame, Region
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.query import fetch
from tests.making import small_lake
from tests.opinions.conftest import SETTINGS
from tests.opinions.making import csv_source

BOX = Region(kind="box", label="cat", x=9.0, y=49.0, w=11.0, h=13.0)


def answer(frame: Frame, *regions: Region) -> Answer:
    return Answer(
        actor_id="human:ann", question_id="cells", subject_key="1.jpg", value_kind="regions", value=regions, frame=frame
    )


@pytest.mark.parametrize(
    ("frame", "picture", "rules"),
    [
        (Frame(64, 48), Picture(64, 48, None), []),
        (Frame(64, 48), Picture(64, 48, 1), []),
        (Frame(64, 48), Picture(64, 48, 6), []),  # drawn as stored
        (Frame(), Picture(64, 48, None), []),
        (Frame(640, 480), Picture(64, 48, None), ["frame_differs"]),
        (Frame(48, 64), Picture(64, 48, None), ["frame_differs"]),
        (Frame(48, 64), Picture(64, 48, 3), ["frame_differs"]),
        (Frame(48, 64), Picture(64, 48, 6), ["turned_by_exif"]),
        (Frame(64, 48), Picture(64, 48, 3), ["turn_unknown"]),
        (Frame(64, 64), Picture(64, 64, 6), ["turn_unknown"]),
        (Frame(64, 48, 3), Picture(64, 48, 3), []),  # the source knows what it drew on
        (Frame(64, 48, 6), Picture(64, 48, 6), []),
        (Frame(64, 48), None, ["frame_not_checked"]),
    ],
)
def test_a_frame_that_is_not_the_pictures_is_noted(frame, picture, rules):
    found = fitted(answer(frame, Region(kind="box", label="cat", x=1.0, y=1.0, w=2.0, h=2.0)), picture)
    assert list(found.notes) == rules
    assert found.ext.get("flags", "") == " ".join(rules)


@pytest.mark.parametrize("frame", [Frame(), Frame(64, 48), Frame(640, 480)])
def test_a_box_outside_the_picture_is_noted_whatever_its_frame_says(frame):
    found = fitted(answer(frame, BOX), Picture(64, 48, None))
    assert found.notes["outside_picture"] == "1 regions reach beyond the picture of 64 x 48 px"
    assert found.value == (BOX,)


def test_an_answer_without_regions_and_frame_needs_no_picture():
    empty = answer(Frame())
    assert fitted(empty, None) is empty
    assert fitted(empty, Picture(64, 48, 3)) is empty


def test_regions_whose_mask_lies_elsewhere_are_not_turned_but_noted():
    region = Region(kind="mask", mask_ref="s3://b/m.png#1f", x=1.0, y=1.0, w=2.0, h=2.0)
    found = fitted(answer(Frame(48, 64), region), Picture(64, 48, 6))
    assert (list(found.notes), found.value) == (["frame_differs"], (region,))


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_f24_masks_and_turned_boxes_are_turned_as_pillow_turns_the_picture(orientation):
    stored = np.zeros((4, 6), bool)
    stored[1, 2:5] = stored[3, 0] = True
    exif = Image.Exif()
    exif[274] = orientation
    data = io.BytesIO()
    Image.fromarray(stored).save(data, format="PNG", exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(data)))
    region = Region(**mask_fields(rle.encode(upright), *upright.shape))
    found = fitted(answer(Frame(4, 6), region), Picture(6, 4, orientation)).value[0]
    assert (mask_of_region(found, 4, 6) == stored).all()
    assert turned_upright(found, 6, 4, orientation) == region
    # Corners of a turned box go where the points of the picture go.
    box = Region(kind="box", x=1.0, y=2.0, w=2.0, h=1.0, angle=30.0)
    turned = turned_back(box, 6, 4, orientation)
    corners = corners_of(1.0, 2.0, 2.0, 1.0, 30.0)
    moved = sorted(BACK[orientation](x, y, 6, 4) for x, y in corners)
    assert sorted(map(tuple, corners_of(turned.x, turned.y, turned.w, turned.h, turned.angle))) == [
        pytest.approx(each) for each in moved
    ]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_box_on_the_upright_picture_covers_the_same_pixels_of_the_stored_one(orientation):
    stored = Image.new("L", (6, 4))
    stored.putdata(list(range(24)))
    stored.getexif()[274] = orientation
    upright = ImageOps.exif_transpose(stored)
    assert upright.size == (4, 6)
    for left, top, width, height in itertools.product((0, 1), (0, 3), (1, 2), (1, 3)):
        region = Region(
            kind="box", x=float(left), y=float(top), w=float(width), h=float(height),
            points=({"x": left, "y": top, "v": 2}, {"x": left + width, "y": top + height, "v": None}),
        )
        back = turned_back(region, 6, 4, orientation)
        box = (int(back.x), int(back.y), int(back.x + back.w), int(back.y + back.h))
        shown = upright.crop((left, top, left + width, top + height))
        assert sorted(shown.tobytes()) == sorted(stored.crop(box).tobytes())
        # The points are corners of the box still.
        assert {back.points[0]["x"], back.points[1]["x"]} == {box[0], box[2]}
        assert {back.points[0]["y"], back.points[1]["y"]} == {box[1], box[3]}
        assert [point["v"] for point in back.points] == [2, None]


def picture(path, shade, *, orientation=None):
    exif = Image.Exif()
    if orientation:
        exif[274] = orientation
    Image.new("L", (64, 48), shade).save(path, exif=exif)


def voc(path, name, size, box="<xmin>10</xmin><ymin>50</ymin><xmax>20</xmax><ymax>62</ymax>"):
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    path.write_text(
        f"<annotation><filename>{name}</filename>{sides}"
        f"<object><name>cat</name><bndbox>{box}</bndbox></object></annotation>"
    )


@pytest.mark.parametrize("measured", [False, True])
def test_an_import_of_boxes_compares_their_frames_with_the_pictures(tmp_path, caplog, measured):
    (tmp_path / "img").mkdir()
    (tmp_path / "ann").mkdir()
    for shade, (name, orientation) in enumerate(
        (("swap.jpg", None), ("exif.jpg", 6), ("big.png", None), ("good.png", None))
    ):
        picture(tmp_path / "img" / name, shade, orientation=orientation)
    small = "<xmin>5</xmin><ymin>5</ymin><xmax>10</xmax><ymax>15</ymax>"
    voc(tmp_path / "ann" / "1.xml", "swap.jpg", (48, 64))
    voc(tmp_path / "ann" / "2.xml", "exif.jpg", (48, 64))
    voc(tmp_path / "ann" / "3.xml", "big.png", (640, 480), small)
    voc(tmp_path / "ann" / "4.xml", "good.png", (64, 48), small)
    with small_lake(tmp_path / "lake", *SETTINGS) as lake:
        land(lake, Source(name="photos", folder=str(tmp_path / "img")))
        entities(lake)
        if measured:
            measure_dimensions(lake)
        source = csv_source(tmp_path / "ann", format="voc")
        with caplog.at_level(logging.WARNING):
            receipt = import_opinions(lake, source)
        assert [(note.rule, note.count) for note in receipt.notes] == [
            ("frame_differs", 2), ("outside_picture", 1), ("turned_by_exif", 1),
        ]
        assert "note frame_differs (2): 1.xml: says that its picture has 48 x 64 px, it has 64 x 48 px" in caplog.text
        rows = fetch(
            lake,
            "select s.path, o.frame_w, o.frame_h, o.exif_orientation, o.regions, o.ext['flags'] as flags "
            "from opinions o join silver.entity_sources s on s.entity_id = o.subject_id order by s.path",
        )
        found = {
            row["path"]: (
                row["frame_w"], row["frame_h"], row["exif_orientation"],
                *(row["regions"][0][side] for side in "xywh"), row["flags"],
            )
            for row in rows
        }
        assert found == {
            "swap.jpg": (48, 64, None, 9, 49, 11, 13, "frame_differs outside_picture"),
            "exif.jpg": (64, 48, 6, 49, 28, 13, 11, "turned_by_exif"),
            "big.png": (640, 480, None, 4, 4, 6, 11, "frame_differs"),
            "good.png": (64, 48, None, 4, 4, 6, 11, None),
        }
        # The same boxes again, in other words, are nothing new.
        voc(tmp_path / "ann" / "4.xml", "good.png", (64, 48), small + "\n")
        assert import_opinions(lake, source).counts["new"] == 0
