"""What `--data FOLDER` makes of a folder."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from examples.demo.detect import ImageFolder, OpinionsCsv, Voc, detect
from examples.demo.prepare import name_of, prepare_folder
from lakehouse.errors import ConfigError, IngestError


def make(folder: Path, *names: str, **texts: str) -> Path:
    """Create empty files and, by keyword, `<name>.csv` files with a text."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_class_folders_are_an_image_folder(tmp_path: Path) -> None:
    make(tmp_path, "cat/1.jpg", "cat/2.JPG", "dog/1.png", "README.md")
    assert detect(tmp_path) == ImageFolder(images=3, depth=0, classes=("cat", "dog"))


def test_class_folders_below_split_folders_are_found(tmp_path: Path) -> None:
    make(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/cat/2.jpg")
    assert detect(tmp_path) == ImageFolder(images=3, depth=1, classes=("cat", "dog"))


def test_a_csv_about_the_images_goes_before_folder_names(tmp_path: Path) -> None:
    make(tmp_path, "cat/1.jpg", "dog/2.jpg", votes="image,label,count\ncat/1.jpg,dog,3\n")
    columns = {"subject": "image", "label": "label", "votes": "count"}
    folders = ImageFolder(images=2, depth=0, classes=("cat", "dog"))
    assert detect(tmp_path) == OpinionsCsv(2, "votes.csv", columns, folders)


def test_columns_are_found_in_any_case_and_subjects_by_file_name(tmp_path: Path) -> None:
    make(tmp_path, "images/1.jpg", labels="Annotator,FileName,Class,Time\nann,1.jpg,cat,2024-05-01\n")
    columns = {"subject": "FileName", "label": "Class", "actor": "Annotator", "time": "Time"}
    assert detect(tmp_path) == OpinionsCsv(1, "labels.csv", columns, None)


def test_a_csv_about_other_things_is_not_taken_for_opinions(tmp_path: Path) -> None:
    make(tmp_path, "cat/1.jpg", "dog/2.jpg", prices="name,label\nbread,cheap\n")
    assert isinstance(detect(tmp_path), ImageFolder)


def test_annotations_in_xml_are_pascal_voc(tmp_path: Path) -> None:
    make(tmp_path, "JPEGImages/1.jpg", "Annotations/1.xml", "ImageSets/Main/train.txt")
    assert detect(tmp_path) == Voc(images=1, annotations="Annotations", files=1)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "0 files and none of them is an image"),
        (["a.wav", "b.wav"], "2 files and none of them is an image"),
        (["1.jpg", "2.jpg"], "nothing says what they show"),
        (["cat/1.jpg", "cat/2.jpg"], "nothing says what they show"),
        (["cat/1.jpg", "dog/a/b/2.jpg"], "nothing says what they show"),
    ],
)
def test_a_folder_that_says_nothing_is_refused_with_what_was_expected(
    tmp_path: Path, names: list[str], message: str
) -> None:
    with pytest.raises(IngestError, match=message):
        detect(make(tmp_path, *names))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="no such folder"):
        detect(tmp_path / "nowhere")


def test_counted_votes_become_one_pool_with_a_place_for_every_label(tmp_path: Path) -> None:
    data = make(tmp_path / "Käfer 1", "a/1.jpg", "b/2.jpg", votes="image,label,count\na/1.jpg,b,3\n")
    plan = prepare_folder(data, tmp_path / "home", name=name_of(data))
    pipeline = tomllib.loads(plan.pipeline.read_text(encoding="utf-8"))
    votes, folders = pipeline["opinions"]
    assert plan.name == "k-fer-1"
    assert votes["actor"] == "pool:k-fer-1"
    assert votes["columns"] == {"subject": "image", "label": "label", "votes": "count", "slot": "label"}
    assert folders["actor"] == "import:k-fer-1-folders"
    recipe = tomllib.loads((tmp_path / "home/dataset.toml").read_text(encoding="utf-8"))
    assert recipe["label"]["kinds"] == ["human", "pool"]


def test_plain_labels_in_a_csv_decide_and_folder_names_do_not(tmp_path: Path) -> None:
    data = make(tmp_path / "data", "a/1.jpg", "b/2.jpg", labels="image,label\na/1.jpg,cat\n")
    prepare_folder(data, tmp_path / "home", name="data")
    recipe = tomllib.loads((tmp_path / "home/dataset.toml").read_text(encoding="utf-8"))
    assert recipe["label"]["actors"] == ["import:data"]


def test_boxes_ask_no_question_of_the_dataset(tmp_path: Path) -> None:
    data = make(tmp_path / "data", "JPEGImages/1.jpg", "Annotations/1.xml")
    plan = prepare_folder(data, tmp_path / "home", name="data")
    assert plan.question == ""
    assert "question" not in tomllib.loads((tmp_path / "home/dataset.toml").read_text(encoding="utf-8"))


def test_a_second_folder_of_the_same_name_is_refused(tmp_path: Path) -> None:
    first = make(tmp_path / "one/photos", "a/1.jpg", "b/2.jpg")
    second = make(tmp_path / "two/photos", "a/1.jpg", "b/2.jpg")
    prepare_folder(first, tmp_path / "home", name="photos")
    with pytest.raises(ConfigError, match="has the same name"):
        prepare_folder(second, tmp_path / "home", name="photos")


def test_names_with_quotes_and_backslashes_survive_in_the_pipeline(tmp_path: Path) -> None:
    data = make(tmp_path / 'odd "name" \\ \x7f', "a/1.jpg", "b/2.jpg")
    plan = prepare_folder(data, tmp_path / "home", name=name_of(data))
    assert tomllib.loads(plan.pipeline.read_text(encoding="utf-8"))["sources"][0]["folder"] == str(data)
