"""The demo's digits: the same bytes everywhere, written once."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.demo.annotators import PEOPLE, answer_of, votes_of_crowd
from examples.demo.digits import NUM_DIGITS, load_digits, write_digits
from examples.demo.png import encode_grey

pytest.importorskip("sklearn")

GOLDEN = {
    "images/0/0000.png": "54e8cecc11e5ebd5a38d4455e5c667c15db27726cac17973cdf2baa238f7a609",
    "labels/annotators.csv": "6249dc2552ad89304fff263613ae2a1628e608e15aa45acafce4eaab07cb1b89",
    "labels/apprentice.jsonl": "fbe0a5aac89ca7217c3c777d59a5beeffb4db8f41256a381a16c995e4b41ad16",
    "labels/crowd.csv": "a483f1222c6c6c743281012a56040fe594a2d4e489af503b09f788aa3f8a6703",
}
"""SHA-256 of some files: they decide the version id of the demo's dataset."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    assert write_digits(folder)
    return folder


def test_files_have_the_same_bytes_on_every_machine(folder: Path) -> None:
    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in GOLDEN}
    assert found == GOLDEN


def test_there_are_1797_distinct_images_and_four_leftovers(folder: Path) -> None:
    images = list((folder / "images").glob("*/*.png"))
    assert len(images) == NUM_DIGITS
    assert len({path.read_bytes() for path in images}) == NUM_DIGITS
    assert len(list((folder / "leftovers").iterdir())) == 4


def test_an_image_decodes_to_the_pixels_of_its_digit(folder: Path) -> None:
    digit = load_digits(5)[4]
    with Image.open(folder / "images" / digit.path) as image:
        assert (image.mode, image.size) == ("L", (8, 8))
        np.testing.assert_array_equal(np.asarray(image), digit.pixels)


def test_second_write_touches_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert not write_digits(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_lost_image_is_written_again_and_no_other(tmp_path: Path) -> None:
    write_digits(tmp_path, limit=5)
    kept, lost = tmp_path / "images/0/0000.png", tmp_path / "images/1/0001.png"
    content, time = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    assert write_digits(tmp_path, limit=5)
    assert lost.read_bytes() == content
    assert kept.stat().st_mtime_ns == time


def test_annotators_err_about_as_often_as_stated() -> None:
    digits = load_digits()
    for person in PEOPLE:
        answers = [(answer_of(person, digit.index, digit.label), digit.label) for digit in digits]
        given = [(said.answer, str(label)) for said, label in answers if said is not None and said.answer != "?"]
        wrong = sum(answer != label for answer, label in given) / len(given)
        assert abs(wrong - person.errors) < 0.015, person


def test_the_crowd_gives_five_votes_on_every_third_image() -> None:
    assert sum(votes_of_crowd(3, 7).values()) == 5
    assert votes_of_crowd(4, 7) == {}


def test_apprentice_lines_are_json_with_a_time_and_a_confidence(folder: Path) -> None:
    lines = (folder / "labels/apprentice.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert {record["actor"] for record in records} == {"human:dora"}
    assert all(record["event_time"].endswith("+00:00") and 0 < record["confidence"] <= 1 for record in records)


def test_png_of_any_size_reads_back() -> None:
    pixels = np.arange(6 * 11, dtype=np.uint8).reshape(6, 11)
    with Image.open(io.BytesIO(encode_grey(pixels))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
