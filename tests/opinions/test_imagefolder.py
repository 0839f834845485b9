"""ImageFolder: the folder is the label."""

from __future__ import annotations

import os

import pytest

from lakehouse.errors import ConfigError, IngestError
from lakehouse.opinions.reading.answer import Note
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.query import fetch
from tests.making import entity_id
from tests.opinions.making import answers, counts, csv_source, items, land, rules


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


def notes(path, **options):
    """Rule -> text of what is told about a folder."""
    return {each.rule: each.text for each in items("imagefolder", path, **options) if isinstance(each, Note)}


def test_other_files_are_not_read_and_that_is_said_and_hidden_ones_never(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg", "cat/readme.txt", "cat/.hidden.jpg", ".git/x.jpg", "__MACOSX/cat/._1.jpg")
    found = items("imagefolder", tmp_path)
    assert [each.subject_key for each in found[:2]] == ["cat/1.jpg", "dog/1.jpg"]
    assert notes(tmp_path) == {
        "not_read": "1 files are not read: they are no image by their ending and first bytes, such as 'cat/readme.txt'"
    }


def test_every_ending_of_an_image_that_the_lake_takes_counts_and_without_one_the_first_bytes_do(tmp_path):
    names = ["1.jpg", "2.JPEG", "3.jfif", "4.jpe", "5.Png", "6.webp", "7.apng", "8.dib", "9.pnm", "10.ico"]
    touch(tmp_path, *(f"cat/{name}" for name in names), "cat/Thumbs.db", "cat/11", "cat/12.scan", "cat/13.scan")
    for name in ("11", "12.scan"):
        (tmp_path / "cat" / name).write_bytes(b"\x89PNG\r\n\x1a\n and more")
    keys = {each.subject_key.rpartition("/")[2] for each in answers("imagefolder", tmp_path)}
    assert keys == {*names, "11", "12.scan"}
    assert notes(tmp_path)["not_read"].startswith("2 files are not read")


def test_stated_endings_and_other_kinds_of_media_are_taken_as_told(tmp_path):
    touch(tmp_path, "cat/1.jpg", "cat/2.WAV", "cat/3.flac", "cat/4.xyz")
    assert [each.subject_key for each in answers("imagefolder", tmp_path, subject_kind="audio")] == [
        "cat/2.WAV", "cat/3.flac",
    ]
    assert [each.subject_key for each in answers("imagefolder", tmp_path, extensions=[".XYZ"])] == ["cat/4.xyz"]
    assert len(answers("imagefolder", tmp_path, subject_kind="text")) == 4


@pytest.mark.parametrize("names", [[], ["cat/1.wav", "cat/2.wav"]])
def test_a_folder_without_anything_to_label_is_an_error_and_not_an_empty_import(tmp_path, names):
    touch(tmp_path, *names)
    with pytest.raises(IngestError, match=f"no image in it, {len(names)} other files.*subject_kind"):
        items("imagefolder", tmp_path)


@pytest.mark.parametrize(
    "splits",
    [("train", "val"), ("Train", "TEST", "valid"), ("training_set", "test_set"), ("train2017", "val2017"), ("dev",)],
)
def test_first_folders_called_as_splits_are_splits_and_the_classes_lie_below_and_that_is_said(tmp_path, splits):
    touch(tmp_path, *(f"{split}/{label}/1.jpg" for split in splits for label in ("cat", "dog", "frog")))
    found = answers("imagefolder", tmp_path)
    assert {each.value for each in found} == {"cat", "dog", "frog"}
    assert found[0].subject_key == f"{sorted(splits)[0]}/cat/1.jpg"
    told = notes(tmp_path)
    assert list(told) == ["depth_guessed"]
    assert f"folders {', '.join(sorted(splits))} are taken for splits" in told["depth_guessed"]
    assert 'official = "folder:0"' in told["depth_guessed"]


def test_a_stated_depth_is_no_guess(tmp_path):
    touch(tmp_path, "train/cat/1.jpg", "val/dog/2.jpg")
    assert {each.value for each in answers("imagefolder", tmp_path, depth=0)} == {"train", "val"}
    assert {each.value for each in answers("imagefolder", tmp_path, depth=1)} == {"cat", "dog"}
    assert notes(tmp_path, depth=1) == {}
    with pytest.raises(ConfigError, match="depth must be 0"):
        items("imagefolder", tmp_path, depth=-1)


def test_splits_without_classes_in_them_are_a_question_back(tmp_path):
    touch(tmp_path, "train/1.jpg", "val/2.jpg")
    with pytest.raises(IngestError, match=r"train, val are called as splits are .* set depth = 0 if they"):
        items("imagefolder", tmp_path)
    assert len(answers("imagefolder", tmp_path, depth=0)) == 2


def test_a_file_of_a_split_without_a_class_is_rejected(tmp_path):
    touch(tmp_path, "train/cat/1.jpg", "val/dog/2.jpg", "val/3.jpg", "4.jpg")
    assert rules("imagefolder", tmp_path) == [("4.jpg", "no_class_folder"), ("val/3.jpg", "no_class_folder")]


def test_what_looks_odd_about_the_folders_is_said(tmp_path):
    touch(tmp_path / "a", "train/1.jpg", "cat/1.jpg")
    assert notes(tmp_path / "a") == {"looks_like_split": "labels train look like splits among classes"}
    touch(tmp_path / "b", "data/cat/1.jpg", "data/dog/1.jpg")
    assert set(notes(tmp_path / "b")) == {"one_label", "folders_below"}
    touch(tmp_path / "c", "cat /1.jpg", "cat/2.jpg", "dog/1.jpg")
    assert list(notes(tmp_path / "c")) == ["blanks_stripped"]
    assert {each.value for each in answers("imagefolder", tmp_path / "c")} == {"cat", "dog"}
    touch(tmp_path / "d", "v1.0/1.jpg", "class 10/2.jpg")
    assert (notes(tmp_path / "d"), len(answers("imagefolder", tmp_path / "d"))) == ({}, 2)


def test_the_same_bytes_in_two_classes_are_a_tie_until_a_folder_lets_go_of_them(photos, tmp_path):
    benign, malignant = tmp_path / "img" / "benign", tmp_path / "img" / "malignant"
    touch(tmp_path / "img", "benign/b.jpg", "benign/x.jpg", "malignant/m.jpg", "malignant/x2.jpg")
    bytes_at = {"benign/b.jpg": "b", "malignant/m.jpg": "m", "benign/x.jpg": "x", "malignant/x2.jpg": "x"}
    land(photos, bytes_at, source="scans")
    source = csv_source(tmp_path / "img", format="imagefolder", source="scans")

    def shares():
        rows = fetch(
            photos,
            "select label, share, tied_with from labels where subject_id = $id order by label",
            params={"id": entity_id("x")},
        )
        return [(row["label"], row["share"], row["tied_with"]) for row in rows]

    receipt = import_opinions(photos, source)
    assert shares() == [("benign", 0.5, 1), ("malignant", 0.5, 1)]
    assert [(note.rule, note.count) for note in receipt.notes] == [("contradicting_labels", 2)]
    assert "'benign/x.jpg' and 'malignant/x2.jpg'" in receipt.notes[0].example
    # Again, in any order, nothing is new.
    touch(tmp_path / "img", "benign/readme.txt")
    assert import_opinions(photos, source).counts == counts(read=4, same=4)
    # Taken out of one class it is the other's alone.
    (malignant / "x2.jpg").unlink()
    assert import_opinions(photos, source).counts == counts(read=3, new=1, same=2)
    assert shares() == [("benign", 1.0, 0)]
    # Moved it is a correction, and no contradiction.
    (benign / "x.jpg").rename(malignant / "x2.jpg")
    assert import_opinions(photos, source).counts == counts(read=3, new=1, same=2)
    assert shares() == [("malignant", 1.0, 0)]
    # And put into the second class again, a tie.
    touch(tmp_path / "img", "benign/x.jpg")
    assert import_opinions(photos, source).counts == counts(read=4, new=2, same=2)
    assert shares() == [("benign", 0.5, 1), ("malignant", 0.5, 1)]


def test_labels_that_differ_only_in_case_stay_apart_and_are_told(tmp_path):
    touch(tmp_path, "Cat/1.jpg", "cat/2.jpg")
    if len(os.listdir(tmp_path)) < 2:
        pytest.skip("this disk does not tell Cat from cat")
    assert [each.value for each in answers("imagefolder", tmp_path)] == ["Cat", "cat"]
    assert notes(tmp_path) == {"labels_differ_in_case": "labels differ only in case and stay apart: Cat, cat"}


def test_links_are_not_followed(tmp_path):
    touch(tmp_path, "cat/1.jpg")
    (tmp_path / "cat" / "2.jpg").symlink_to("1.jpg")
    (tmp_path / "dog").symlink_to("cat")
    assert [each.subject_key for each in answers("imagefolder", tmp_path)] == ["cat/1.jpg"]
    assert notes(tmp_path)["links_not_followed"] == "2 files are links, which are not followed, such as 'cat/2.jpg'"


def test_a_folder_name_in_decomposed_unicode_gives_the_composed_label(tmp_path):
    touch(tmp_path, "cafe\u0301/1.jpg")
    assert [each.value for each in answers("imagefolder", tmp_path)] == ["caf\u00e9"]


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(IngestError, match="not a folder"):
        items("imagefolder", tmp_path / "missing")


def test_an_unknown_option_is_named_with_the_nearest_one(tmp_path):
    with pytest.raises(ConfigError, match="unknown option `dept`; did you mean `depth`"):
        items("imagefolder", tmp_path, dept=1)
