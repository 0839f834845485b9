"""What a folder looks like is said with the next command, and decides nothing."""

from __future__ import annotations

import pytest

from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.guess_layout import guess_layout
from tests.ingestion.files import png, put, source

COCO = b'{"info": {}, "images": [], "annotations": []}'


@pytest.mark.parametrize(("names", "looks_like", "command"), [
    (["cat/1.png", "cat/2.png", "dog/1.png"], "ImageFolder of 2 classes", "--format imagefolder"),
    (["train/cat/1.png", "train/dog/2.png", "val/cat/3.png"], "train/val folders of 2 classes", "--format imagefolder"),
    (["images/train/1.jpg", "labels/train/1.txt", "data.yaml"], "YOLO", "--format yolo"),
    (["images/1.jpg", "annotations/instances.json"], "COCO", "--format coco"),
    (["1.wav", "a/2.flac", "a/b/3.mp3"], "a folder of audio", "petrel entities"),
    (["1.png", "2.png"], "a flat folder", "petrel entities"),
    (["1.tar", "2.tar.gz", "3.zip"], "archives", "--form archives"),
    (["1.parquet", "2.parquet", "README.md"], "Parquet shards", "--form parquet"),
    (["train/1.png", "val/2.png"], None, ""), (["a/1.png"], None, ""), ([], None, ""),
    (["deep/a/b/1.png", "deep/c/2.png"], None, ""),
])  # fmt: skip
def test_layouts_are_known_by_their_names(tmp_path, names, looks_like, command):
    for name in names:
        put(tmp_path, name, COCO if name.endswith(".json") else b"x")
    guess = guess_layout(source(tmp_path))
    assert (guess and guess[0]) == looks_like
    assert command in (guess[1] if guess else "")


def test_a_wrong_guess_changes_nothing_that_is_landed(lake, tmp_path):
    put(tmp_path / "it's", "cat/1.png", png(1))
    put(tmp_path / "it's", "cat/2.png", png(2))
    put(tmp_path / "it's", "2024/x.png", png(3))
    receipt = land(lake, source(tmp_path / "it's"))
    assert receipt.details["looks_like"] == "ImageFolder of 2 classes"
    assert f"""--path '{tmp_path}/it'"'"'s'""" in receipt.details["next"]
    assert receipt.counts["stored"] == 3
