"""Pascal VOC as files have it: several boxes, other layouts, other encodings; never another answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakehouse.opinions.reading.answer import Answer
from tests.opinions.making import answers, items, rules
from tests.opinions.test_voc import box, voc

OBJECT = f"<object><name>car</name><bndbox>{box(5, 5, 10, 15)}</bndbox></object>"
CASED = OBJECT.replace("object>", "Object>")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "1.xml"


def only(path: Path, **options: object) -> Answer:
    """The one answer of a file."""
    (found,) = answers("voc", path, **options)
    return found


def inside(text: str, *, of: str = "annotation") -> str:
    """A file with one more element: beside the object, or in it."""
    whole = f"<annotation><filename>1.jpg</filename>{OBJECT}</annotation>"
    return whole.replace(f"</{of}>", f"{text}</{of}>")


@pytest.mark.parametrize("number", [2, 3])
def test_an_object_with_several_boxes_is_as_many_regions_of_its_label_and_that_is_noted(file, number):
    boxes = "".join(f"<bndbox>{box(10 * place, 5, 10 * place + 4, 15)}</bndbox>" for place in range(1, number + 1))
    file.write_text(f"<annotation><filename>1.jpg</filename><object><name>car</name>{boxes}</object></annotation>")
    answer = only(file)
    assert [(each.label, each.x, each.w) for each in answer.value] == [
        ("car", 10 * place - 1, 5) for place in range(1, number + 1)
    ]
    assert answer.notes == {"several_boxes": "1 objects have several boxes, each of which is a region"}


def test_parts_are_regions_of_their_own_that_name_their_object(file):
    part = f"<part><name>head</name><bndbox>{box(6, 6, 8, 8)}</bndbox></part>"
    file.write_text(
        f"<annotation><filename>1.jpg</filename>{OBJECT.replace('</object>', part + '</object>')}</annotation>"
    )
    assert [(each.label, each.region_id, each.parent_region_id) for each in only(file).value] == [
        ("car", "1", None), ("head", "1.1", "1"),
    ]


STRASSE = inside("").replace("car", "Stra\u00dfe")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        # Objects where we do not look, or written otherwise, are not "nothing there".
        (f"<annotation><filename>1.jpg</filename><objects>{OBJECT}</objects></annotation>", "unknown_layout"),
        (f"<annotation><filename>1.jpg</filename>{CASED}</annotation>", "unknown_layout"),
        ("<annotation><filename>1.jpg</filename><regions><r><x>1</x></r></regions></annotation>", "unknown_layout"),
        ("<annotation><filename>1.jpg</filename><things><thing>car</thing></things></annotation>", "unknown_layout"),
        (inside("<polygon><x1>1</x1></polygon>"), "unknown_layout"),
        (inside(f"<n:object xmlns:n='urn:x'><bndbox>{box(1, 1, 2, 2)}</bndbox></n:object>"), "unknown_layout"),
        (inside("<Bndbox/>", of="object"), "unknown_layout"),
        (inside("<XMIN>4</XMIN>", of="bndbox"), "unknown_layout"),
        ("<annotation filename='1.jpg'><object/></annotation>", "unknown_layout"),
        ("<annotation filename='1.jpg'/>", "unknown_layout"),
        ("<annotation><filename>1.jpg</filename><object name='car'/></annotation>", "unknown_layout"),
        (inside("").replace(f"<bndbox>{box(5, 5, 10, 15)}</bndbox>", "<bndbox xmin='1' ymin='1'/>"), "unknown_layout"),
        ("<annotation><filename>1.jpg</filename><size width='3' height='4'/></annotation>", "unknown_layout"),
        # Other kinds of files.
        ("<annotations><version>1.1</version><image name='1.jpg'><box xtl='1'/></image></annotations>", "not_voc"),
        (f"<annotations><annotation>{OBJECT}</annotation></annotations>", "not_voc"),
        (f"<ANNOTATION>{OBJECT}</ANNOTATION>", "not_voc"),
        (f"<v:annotation xmlns:v='urn:voc'>{OBJECT}</v:annotation>", "not_voc"),
        # Said twice: nobody could say which one is meant.
        (inside("<filename>2.jpg</filename>"), "repeated_element"),
        (inside("<name>dog</name>", of="object"), "repeated_element"),
        (inside("<xmin>4</xmin>", of="bndbox"), "repeated_element"),
        (inside("<part><name>a</name><bndbox/><bndbox/></part>", of="object"), "repeated_element"),
        # Geometry that we do not read, and no box.
        (
            "<annotation><filename>1.jpg</filename><object><name>car</name><polygon><x1>1</x1></polygon></object>"
            "</annotation>",
            "no_box",
        ),
        (inside(f"<part><name>a</name></part><bndbox>{box(1, 1, 2, 2)}</bndbox>", of="object"), "several_boxes"),
        (inside("<part><name>a</name></part>", of="object"), "no_box"),
    ],
)
def test_a_file_in_another_layout_is_rejected_and_never_read_as_nothing_there(file, text, rule):
    file.write_text(text)
    assert rules("voc", file) == [("1.xml", rule)]


def test_a_file_of_cvat_is_told_as_such(file):
    file.write_text("<annotations><image name='1.jpg'/></annotations>")
    assert "looks like CVAT's" in items("voc", file)[0].reason


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (inside("<weather>rain</weather>"), "<weather>"),
        (inside("<polygon><x1>1</x1></polygon>", of="object"), "<polygon>"),
        (inside("<angle>30</angle>", of="bndbox"), "<angle>"),
        (inside("<size><width>9</width><unit>px</unit></size>"), "<unit>"),
    ],
)
def test_what_is_not_read_is_noted(file, text, shown):
    file.write_text(text)
    answer = only(file)
    assert len(answer.value) == 1
    assert answer.notes == {"elements_not_read": f"has {shown}, which are not read"}


def test_what_voc_and_its_tools_write_is_no_note(file):
    file.write_text(
        "<annotation verified='yes'><folder>VOC2007</folder><filename>1.jpg</filename><path>/home/me/1.jpg</path>"
        "<source><database>The VOC2007 Database</database><annotation>PASCAL VOC2007</annotation><image>flickr</image>"
        "</source><owner><flickrid>x</flickrid><name>y</name></owner><size><width>640</width><height>480</height>"
        f"<depth>3</depth></size><segmented>0</segmented>{OBJECT}</annotation>"
    )
    assert only(file).notes == {}


@pytest.mark.parametrize("size", ["", "<width>0</width><height>0</height>", "<width/><height/>"])
def test_a_size_that_nobody_knows_is_no_frame(file, size):
    file.write_text(voc(box(1, 1, 5, 5), size=size))
    assert (only(file).frame.width, only(file).frame.height) == (None, None)


@pytest.mark.parametrize("size", ["<width>-3</width>", "<width>3.5</width>", "<width>9e99</width>"])
def test_a_size_that_no_picture_has_is_rejected(file, size):
    file.write_text(voc(size=size))
    assert rules("voc", file) == [("1.xml", "bad_size")]


@pytest.mark.parametrize(
    ("encoding", "label"),
    [
        ("gb2312", "\u732b"), ("GBK", "\u8c93"), ("gb18030", "\u8c93"), ("Big5", "\u8c93"), ("Shift_JIS", "\u732b"),
        ("EUC-JP", "\u732b"), ("EUC-KR", "\uace0\uc591\uc774"), ("ISO-8859-1", "Stra\u00dfe"),
        ("windows-1252", "Stra\u00dfe"), ("koi8-r", "\u043a\u043e\u0442"), ("UTF-16", "Stra\u00dfe"),
        ("UTF-32", "\u732b"), ("utf-8-sig", "\u732b"), ("us-ascii", "cat"),
    ],
)
def test_a_declared_encoding_is_read_and_its_text_kept_readable(file, encoding, label):
    declared = "UTF-8" if encoding == "utf-8-sig" else encoding
    text = f"<?xml version='1.0' encoding='{declared}'?>" + inside("").replace("car", label)
    file.write_bytes(text.encode(encoding))
    answer = only(file)
    assert [each.label for each in answer.value] == [label]
    assert label in json.loads(answer.raw_json)["xml"]


def test_characters_beyond_a_declared_narrow_encoding_are_read_as_its_tools_write_them(file):
    file.write_bytes(("<?xml version='1.0' encoding='gb2312'?>" + inside("").replace("car", "\u8c93")).encode("gbk"))
    assert only(file).value[0].label == "\u8c93"


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf16_without_a_mark_is_seen_by_its_first_bytes(file, order):
    file.write_bytes(inside("").encode(f"utf-16-{order}"))
    assert only(file).value[0].label == "car"


@pytest.mark.parametrize(
    "data",
    [
        STRASSE.encode("latin-1"),
        f"<?xml version='1.0' encoding='utf-16'?>{inside('')}".encode(),
        f"<?xml version='1.0' encoding='us-ascii'?>{STRASSE}".encode(),
        f"<?xml version='1.0' encoding='klingon'?>{inside('')}".encode(),
        f"<?xml version='1.0' encoding='rot13'?>{inside('')}".encode(),
        f"<?xml version='1.0' encoding='utf-7'?>{inside('')}".encode(),
        f"<?xml version='1.0' encoding='unicode_escape'?>{inside('')}".encode(),
        b"\xff\xfe<\x00a",
    ],
)
def test_bytes_that_are_not_in_the_declared_encoding_are_rejected_and_never_guessed(file, data):
    file.write_bytes(data)
    assert rules("voc", file) == [("1.xml", "wrong_encoding")]


def test_a_file_says_in_which_folders_its_image_may_lie(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "1.xml").write_text(inside("<folder>VOC2007</folder>"))
    (tmp_path / "2.xml").write_text(inside(""))
    assert [each.folders for each in answers("voc", tmp_path)] == [(), ("VOC2007", "a/b")]


def test_every_xml_file_is_read_whatever_the_case_of_its_ending_and_hidden_ones_are_not(tmp_path):
    for name in ("1.xml", "2.XML", "a/3.Xml", "._1.xml", ".ipynb_checkpoints/1.xml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(inside(""))
    assert [each.where for each in answers("voc", tmp_path)] == ["1.xml", "2.XML", "a/3.Xml"]
