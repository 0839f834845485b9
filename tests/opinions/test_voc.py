"""Pascal VOC: pixels count from 1 and maxima are included, unless the source says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import ConfigError, IngestError
from lakehouse.opinions.reading.answer import Tally
from tests.opinions.making import answers, items, rules


def voc(*boxes: str, name: str = "1.jpg", head: str = "", size: str = "<width>640</width><height>480</height>") -> str:
    objects = "".join(f"<object><name>cell</name><bndbox>{box}</bndbox></object>" for box in boxes)
    return f"{head}<annotation><filename>{name}</filename><size>{size}</size>{objects}</annotation>"


def box(xmin: object, ymin: object, xmax: object, ymax: object) -> str:
    return f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"


def boxes_of(path: Path, **options: object) -> list[list[float]]:
    return [[r.x, r.y, r.w, r.h] for each in answers("voc", path, **options) for r in each.value]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "1.xml"


def test_a_box_counts_from_one_and_includes_its_last_pixel(file):
    file.write_text(voc(box(260, 177, 491, 376)))
    assert boxes_of(file) == [[259, 176, 232, 200]]


def test_a_box_of_one_pixel_has_area_one_and_is_kept(file):
    file.write_text(voc(box(504, 337, 504, 337)))
    assert boxes_of(file) == [[503, 336, 1, 1]]
    assert answers("voc", file)[0].value[0].area == 1


def test_files_of_tools_that_count_from_zero_are_read_as_they_are(file):
    file.write_text(voc(box(259, 176, 491, 376)))
    assert boxes_of(file, voc_origin=0) == [[259, 176, 232, 200]]


def test_order_of_tags_floats_and_byte_order_mark_do_not_matter(file):
    turned = "<xmax>491.0</xmax><ymax>376</ymax><xmin>260</xmin><ymin>177.0</ymin>"
    file.write_bytes(b"\xef\xbb\xbf" + voc(turned).encode())
    assert boxes_of(file) == [[259, 176, 232, 200]]


def test_an_image_without_objects_answers_nothing_there(file):
    file.write_text(voc())
    assert [each.value for each in answers("voc", file)] == [()]


def test_a_box_beyond_the_frame_is_kept_as_it_is(file):
    file.write_text(voc(box(600, 400, 700, 500)))
    assert boxes_of(file) == [[599, 399, 101, 101]]


def test_the_frame_and_the_attributes_of_an_object_are_kept(file):
    file.write_text(
        "<annotation><filename>1.jpg</filename><size><width>640</width><height>480</height></size><object>"
        f"<name>cell</name><truncated>1</truncated><difficult>0</difficult><bndbox>{box(1, 1, 2, 2)}</bndbox>"
        "</object></annotation>"
    )
    answer = answers("voc", file)[0]
    assert (answer.frame.width, answer.frame.height) == (640, 480)
    assert answer.value[0].attrs == {"truncated": "1", "difficult": "0"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("<annotation><filename>1.jpg</filename>", "malformed"),
        ("<kml/>", "not_voc"),
        (voc(box(10, 10, 5, 20)), "inverted_box"),
        (voc(box("nan", 10, 20, 20)), "not_a_number"),
        (voc(box("1e999", 10, 20, 20)), "not_finite"),
        (voc("<xmin>1</xmin>"), "no_box"),
        ("<annotation><object/></annotation>", "no_box"),
        ("<annotation/>", "no_filename"),
        (voc(head='<!DOCTYPE a [<!ENTITY b "b">]>'), "xml_dtd"),
        (
            '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
            "<annotation><filename>&c;</filename></annotation>",
            "xml_dtd",
        ),
        (
            '<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
            "<annotation><filename>&x;</filename></annotation>",
            "xml_dtd",
        ),
        ("<annotation>" + "<a>" * 100 + "</a>" * 100 + "</annotation>", "too_deep"),
    ],
)
def test_a_bad_file_is_rejected_with_its_rule(file, text, rule):
    file.write_text(text)
    assert rules("voc", file) == [("1.xml", rule)]


def test_one_bad_file_does_not_stop_the_others(tmp_path):
    (tmp_path / "a.xml").write_text("<annotation>")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.xml").write_text(voc(box(1, 1, 2, 2)))
    assert rules("voc", tmp_path) == [("a.xml", "malformed")]
    assert [getattr(each, "where", None) for each in items("voc", tmp_path)] == ["a.xml", None, "b/c.xml", None]


def test_the_name_of_the_file_can_name_the_subject(file):
    file.write_text("<annotation/>")
    assert [each.subject_key for each in answers("voc", file, subject="file")] == ["1"]


def test_every_file_tells_what_its_boxes_say_about_their_origin(file):
    file.write_text(voc(box(0, 5, 10, 10), box(1, 1, 640, 480)))
    tallies = [each.counts for each in items("voc", file) if isinstance(each, Tally)]
    assert tallies == [{"boxes": 2, "minima_at_0": 1, "minima_at_1": 1, "maxima_at_size": 1}]


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(IngestError, match=r"no \.xml file there"):
        items("voc", tmp_path)


def test_another_origin_than_one_or_zero_is_refused(file):
    with pytest.raises(ConfigError, match="voc_origin must be 1 or 0, found 2"):
        items("voc", file, voc_origin=2)
