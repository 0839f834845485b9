"""CVAT's XML 1.1: pictures with shapes and tags, videos with tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lakehouse.opinions.geometry.regions import mask_of_region
from lakehouse.opinions.reading.answer import Note, Region
from tests.opinions.making import answers, items, rules
from tests.opinions.writing import read, said, write
from tests.opinions.writing import regions as written


@pytest.fixture
def file(tmp_path: Path):
    """Return a function that writes a file of pictures or tracks."""

    def write(inside: str, meta: str = "") -> Path:
        path = tmp_path / "annotations.xml"
        path.write_text(f"<annotations><version>1.1</version><meta><task>{meta}</task></meta>{inside}</annotations>")
        return path

    return write


def image(shapes: str, name: str = "cat/1.jpg", size=(640, 480)) -> str:
    return f'<image id="0" name="{name}" width="{size[0]}" height="{size[1]}">{shapes}</image>'


def box(more: str = "", inside: str = "") -> str:
    return (f'<box label="cell" occluded="0" source="manual" xtl="259.00" ytl="176.00" xbr="491.00" ybr="376.00" '
            f'z_order="0" {more}>{inside}</box>')  # fmt: skip


def regions(path: Path, **options: object):
    return [region for each in answers("cvat", path, **options) for region in each.value]


def notes(path: Path) -> list[str]:
    return [each.rule for each in items("cvat", path) if isinstance(each, Note)]


def test_a_box_lies_where_it_is_stated_and_turns_about_its_centre(file):
    (plain, turned) = regions(file(image(box() + box('rotation="30.5"'))))
    assert (plain.kind, plain.label, plain.x, plain.y, plain.w, plain.h, plain.angle, plain.attrs) == (
        "box", "cell", 259, 176, 232, 200, None, None
    )  # fmt: skip
    assert (turned.x, turned.y, turned.w, turned.h, turned.angle) == (259, 176, 232, 200, 30.5)


def test_attributes_are_kept_and_those_of_the_tool_where_they_are_not_as_usual(file):
    inside = '<attribute name="age">old</attribute><attribute name="occluded">by a cell</attribute>'
    (found,) = regions(file(image(box(inside=inside).replace('occluded="0"', 'occluded="1"'))))
    assert found.attrs == {"occluded": "1", "age": "old", "attribute.occluded": "by a cell"}


def test_the_other_shapes(file):
    polygon, line, point, several, ellipse = regions(file(image(
        '<polygon label="a" points="0.5,0;10,0;10,10.25"/><polyline label="a" points="1,2;3,4"/>'
        '<points label="a" points="5,6"/><points label="a" points="5,6;7,9"/>'
        '<ellipse label="a" cx="50" cy="40" rx="10" ry="20" rotation="15"/>'
    )))  # fmt: skip
    assert [(p["x"], p["y"]) for p in polygon.points] == [(0.5, 0), (10, 0), (10, 10.25)]
    assert (polygon.closed, polygon.w, polygon.h, line.kind, line.closed) == (True, 9.5, 10.25, "polyline", False)
    assert (point.kind, point.x, point.y) == ("point", 5, 6)
    assert (several.kind, [p["v"] for p in several.points], several.w, several.h) == ("keypoints", [2, 2], 2, 3)
    assert (ellipse.x, ellipse.y, ellipse.w, ellipse.h, ellipse.angle) == (40, 20, 20, 40, 15)


def test_f19_a_mask_is_read_row_by_row_inside_its_box(file):
    # [[0, 1, 1], [0, 0, 1]] at (2, 1) of a picture of 6 x 4 px.
    mask = '<mask label="a" left="2" top="1" width="3" height="2" rle="1, 2, 2, 1"/>'
    (found,) = regions(file(image(mask, size=(6, 4))))
    whole = np.zeros((4, 6), bool)
    whole[1:3, 2:5] = [[0, 1, 1], [0, 0, 1]]
    assert (mask_of_region(found, 4, 6) == whole).all()
    assert (found.x, found.y, found.w, found.h, found.area, found.mask_w, found.mask_h) == (3, 1, 2, 2, 3, 6, 4)


def test_points_of_a_skeleton_come_in_the_order_of_the_task(file):
    meta = ("<labels><label><name>face</name><type>skeleton</type></label>"
            + "".join(f"<label><name>{each}</name><parent>face</parent></label>" for each in ("eye", "nose", "ear"))
            + "</labels>")  # fmt: skip
    skeleton = (
        '<skeleton label="face"><points label="nose" occluded="1" outside="0" points="5,6"/>'
        '<points label="eye" outside="0" points="1,2"><attribute name="colour">blue</attribute></points>'
        '<points label="ear" outside="1" points="9,9"/></skeleton>'
    )
    (found,) = regions(file(image(skeleton), meta))
    assert [(p["x"], p["y"], p["v"]) for p in found.points] == [(1, 2, 2), (5, 6, 1), (0, 0, 0)]
    assert found.attrs == {"eye.colour": "blue", "keypoints": '["eye", "nose", "ear"]'}
    assert (found.x, found.y, found.w, found.h) == (1, 2, 4, 4)


def test_tags_answer_a_question_of_their_own(file):
    path = file(image(box() + '<tag label="night"/><tag label="blurred"/>'))
    assert [(a.question_id, a.value_kind) for a in answers("cvat", path)] == [
        ("animal", "regions"), ("animal.tags", "labels")
    ]  # fmt: skip
    assert answers("cvat", path, tags="weather")[1].question_id == "weather"
    assert answers("cvat", path)[1].value == ("blurred", "night")


def test_a_picture_without_shapes_is_an_answer_and_noted_unless_told_otherwise(file):
    path = file(image("", name="a.jpg") + image(box(), name="b.jpg"))
    assert answers("cvat", path)[0].value == ()
    assert notes(path) == ["empty_pictures"]
    assert [a.subject_key for a in answers("cvat", path, empty=False)] == ["b.jpg"]


VIDEO = ("<source>street.mp4</source><size>20</size><original_size><width>100</width><height>80</height>"
         "</original_size>")  # fmt: skip


def shape(frame: int, x: float, more: str = "") -> str:
    return f'<box frame="{frame}" xtl="{x}" ytl="0" xbr="{x + 10}" ybr="10" {more}/>'


def tracked(path: Path) -> list[tuple]:
    return [(r.track_id, r.x, r.frame_start, r.frame_end, (r.attrs or {}).get("interpolation"))
            for r in regions(path)]  # fmt: skip


def test_f20_a_track_holds_between_key_frames_and_ends_where_it_is_outside(file):
    path = file(f'<track id="3" label="car">{shape(0, 0)}{shape(4, 40)}{shape(8, 40, "outside=&quot;1&quot;")}'
                f'{shape(12, 60)}</track>'.replace("&quot;", '"'), VIDEO)  # fmt: skip
    assert tracked(path) == [
        ("3", 0, 0, 3, "linear"), ("3", 40, 4, 7, None), ("3", 60, 12, 19, None),
    ]  # fmt: skip
    (found,) = answers("cvat", path)
    assert (found.subject_key, found.frame.width, found.frame.height) == ("street.mp4", 100, 80)


def test_f20_frames_between_key_frames_are_no_statements_unless_they_lie_elsewhere(file):
    between = "".join(shape(frame, x, 'keyframe="0"') for frame, x in ((1, 10), (2, 25), (3, 30)))
    path = file(f'<track id="3" label="car">{shape(0, 0)}{between}{shape(4, 40)}</track>', VIDEO)
    # Frame 2 should be at 20: somebody's tool moved it in another way.
    assert [each[1:4] for each in tracked(path)] == [(0, 0, 1), (25, 2, 3), (40, 4, 19)]


def test_f20_frames_count_from_zero(file):
    path = file(f'<track id="3" label="car">{shape(0, 0)}</track>', "<source>a.mp4</source>")
    assert tracked(path) == [("3", 0, 0, 0, None)]


@pytest.mark.parametrize(("inside", "rule"), [
    (image('<box label="a" xtl="1" ytl="1" xbr="0" ybr="2"/>'), "inverted_box"),
    (image('<box label="a" xtl="1" ytl="1" xbr="2"/>'), "no_coordinate"),
    (image('<box label="a" xtl="x" ytl="1" xbr="2" ybr="2"/>'), "not_a_number"),
    (image('<cuboid label="a"/>'), "unknown_shape"),
    (image('<polygon label="a" points="1;2"/>'), "no_coordinate"),
    (image('<mask label="a" left="639" top="0" width="3" height="1" rle="3"/>'), "bad_mask"),
    (image('<mask label="a" left="0" top="0" width="3" height="1" rle="9"/>'), "bad_mask"),
    ('<track id="1" label="a"><box frame="0" xtl="0" ytl="0" xbr="1" ybr="1"/></track>', "no_video"),
    (image(box(), size=("x", 4)), "not_an_integer"),
])  # fmt: skip
def test_what_cannot_be_read_is_rejected_with_a_rule(file, inside, rule):
    assert [found for _, found in rules("cvat", file(inside))] == [rule]


def test_files_that_are_no_cvat_are_rejected(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<annotation/>")
    assert rules("cvat", path) == [("a.xml", "not_cvat")]
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>')
    assert rules("cvat", path) == [("a.xml", "xml_dtd")]


def back(tmp_path: Path, held: list[Region], **changes) -> list[Region]:
    assert write("cvat", tmp_path / "out", said(*held, **changes)) == []
    return written("cvat", tmp_path / "out")


def test_shapes_of_a_picture_come_back_as_they_were(file, tmp_path):
    meta = ("<labels><label><name>face</name></label><label><name>eye</name><parent>face</parent></label>"
            "<label><name>nose</name><parent>face</parent></label></labels>")  # fmt: skip
    held = regions(file(image(
        box('rotation="30.5"', '<attribute name="age">&lt;old&gt; "one"</attribute>')
        + '<polygon label="a" occluded="1" z_order="3" source="auto" points="0.5,0;10,0;10,10.25"/>'
        '<polyline label="a" points="1,2;3,4"/><points label="a" points="5,6"/><points label="a" points="5,6;7,9"/>'
        '<ellipse label="a" cx="50" cy="40" rx="10" ry="20" rotation="15"/>'
        '<mask label="a" left="2" top="1" width="3" height="2" rle="1, 2, 2, 1"/>'
        '<skeleton label="face"><points label="nose" occluded="1" points="5,6"/>'
        '<points label="eye" points="1,2"><attribute name="colour">blue</attribute></points></skeleton>'
        + box(inside='<attribute name="occluded">by a cell</attribute>')), meta))  # fmt: skip
    assert back(tmp_path, held) == held


def test_f20_tracks_of_a_video_come_back_as_they_were(file, tmp_path):
    gone = shape(8, 40, 'outside="1"')
    held = regions(file(f'<track id="3" label="car">{shape(0, 0)}{shape(4, 40)}{gone}{shape(12, 60)}</track>'
                        f'<track id="5" label="car">{shape(1, 0)}</track>', VIDEO))  # fmt: skip
    assert back(tmp_path, held, name="street.mp4", size=(100, 80)) == held
    (answer,) = read("cvat", tmp_path / "out")
    assert (answer.subject_key, answer.frame.width, answer.frame.height) == ("street.mp4", 100, 80)


def test_what_cvat_cannot_hold_is_told(tmp_path):
    lost = write("cvat", tmp_path / "out", said(
        Region(kind="box", x=0, y=0, w=1, h=1, score=0.5), Region(kind="interval", label="a", t_start=0, t_end=1),
        size=None))  # fmt: skip
    assert lost == ["interval", "score", "t_start", "t_end", "no_label", "size"]


LABELS = "<labels><label><name>cell</name></label></labels>"


@pytest.mark.parametrize(("shape", "rule"), [
    ('<box xtl="1" ytl="2" xbr="3" ybr="4"/>', "no_label"),
    ('<box label="" xtl="1" ytl="2" xbr="3" ybr="4"/>', "no_label"),
    ('<cuboid label="cell" xtl1="1" ytl1="2" xbl1="1" ybl1="9"/>', "unknown_shape"),
    (box(inside='<attribute name="age">old</attribute><attribute name="age">new</attribute>'), "repeated_element"),
])  # fmt: skip
def test_a_shape_that_says_nothing_or_something_unknown_costs_its_picture_and_is_counted(file, shape, rule):
    path = file(image(shape) + image(box(), name="cat/2.jpg"), meta=LABELS)
    assert rules("cvat", path) == [("annotations.xml: image cat/1.jpg", rule)]


def test_a_label_that_the_task_does_not_list_is_kept_and_told(file):
    path = file(image(box() + '<tag label="night"/>'), meta=LABELS)
    assert (notes(path), rules("cvat", path)) == (["labels_not_of_task"], [])
    assert notes(file(image(box()), meta=LABELS)) == []


def test_a_tag_without_label_is_rejected_and_its_shapes_stay(file):
    path = file(image(box() + "<tag/>"))
    assert rules("cvat", path) == [("annotations.xml: image cat/1.jpg, tags", "no_label")]
    assert [each.value_kind for each in items("cvat", path) if hasattr(each, "value_kind")] == ["regions"]


def test_several_labels_of_a_picture_are_written_as_its_tags_and_read_back(tmp_path):
    ext = {"night.lamp": "on", "night.source": "auto", "flags": "odd"}
    tagged = said(value_kind="labels", value=("blurred", "night"), ext=ext)
    assert write("cvat", tmp_path / "out", tagged) == []
    found = read("cvat", tmp_path / "out", tags="weather", empty=False)
    assert [(each.question_id, each.value, each.ext) for each in found] == [
        ("weather", ("blurred", "night"), {"night.lamp": "on", "night.source": "auto"})
    ]


def test_a_shape_without_label_is_told_and_not_written(tmp_path):
    found = said(Region("box", x=1.0, y=2.0, w=3.0, h=4.0), Region("box", label="cell", x=1.0, y=2.0, w=3.0, h=4.0))
    assert write("cvat", tmp_path / "out", found) == ["no_label"]
    assert [each.label for each in written("cvat", tmp_path / "out")] == ["cell"]
