"""ImageFolder: the folder is the label."""

from __future__ import annotations

import os

import pytest

from lakehouse.errors import ConfigError, IngestError
from lakehouse.opinions.answer import Note
from tests.opinions.making import answers, items, rules


def touch(root, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_the_folder_of_a_file_is_its_label(tmp_path):
    touch(tmp_path, "dog/2.jpg", "cat/1.JPG", "cat/deep/3.png")
    found = answers("imagefolder", tmp_path)
    assert [(each.subject_key, each.value) for each in found] == [
        ("cat/1.JPG", "cat"), ("cat/deep/3.png", "cat"), ("dog/2.jpg", "dog"),
    ]


def test_the_label_can_stand_deeper(tmp_path):
    touch(tmp_path, "test/cat/1.jpg")
    assert [each.value for each in answers("imagefolder", tmp_path, depth=1)] == ["cat"]


def test_a_file_above_the_class_folders_is_rejected(tmp_path):
    touch(tmp_path, "1.jpg", "cat/2.jpg")
    assert rules("imagefolder", tmp_path) == [("1.jpg", "no_class_folder")]


def test_other_files_and_hidden_ones_are_not_read_and_that_is_said(tmp_path):
    touch(tmp_path, "cat/1.jpg", "cat/readme.txt", "cat/.hidden.jpg", ".git/x.jpg")
    found = items("imagefolder", tmp_path)
    assert [each.subject_key for each in found[:1]] == ["cat/1.jpg"]
    assert [each.text for each in found[1:] if isinstance(each, Note)] == [
        "1 files are not read: their names do not end as images do"
    ]


def test_labels_that_differ_only_in_case_stay_apart_and_are_told(tmp_path):
    touch(tmp_path, "Cat/1.jpg", "cat/2.jpg")
    if len(os.listdir(tmp_path)) < 2:
        pytest.skip("this disk does not tell Cat from cat")
    found = items("imagefolder", tmp_path)
    assert [each.value for each in found[:2]] == ["Cat", "cat"]
    assert found[2].text == "labels differ only in case and stay apart: Cat, cat"


def test_links_are_not_followed(tmp_path):
    touch(tmp_path, "cat/1.jpg")
    (tmp_path / "cat" / "2.jpg").symlink_to("1.jpg")
    (tmp_path / "dog").symlink_to("cat")
    assert [each.subject_key for each in answers("imagefolder", tmp_path)] == ["cat/1.jpg"]


def test_a_folder_name_in_decomposed_unicode_gives_the_composed_label(tmp_path):
    touch(tmp_path, "cafe\u0301/1.jpg")
    assert [each.value for each in answers("imagefolder", tmp_path)] == ["caf\u00e9"]


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(IngestError, match="not a folder"):
        items("imagefolder", tmp_path / "missing")


def test_an_unknown_option_is_named_with_the_nearest_one(tmp_path):
    with pytest.raises(ConfigError, match="unknown option `dept`; did you mean `depth`"):
        items("imagefolder", tmp_path, dept=1)
