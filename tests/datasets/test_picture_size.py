"""Pictures of one size come as one array in every batch, others as a list in every batch: a fact of the manifest."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import IngestError
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.materialise import picture_size
from lakehouse.materialise.step import materialise
from lakehouse.objects import object_uri
from loaders import CenterCrop, make_reader, read_manifest
from tests.ingestion.files import source


def encoded(number: int, *, size=(7, 5), mode="RGB", kind="PNG", head: int = 0) -> bytes:
    """A picture of its own; `head` bytes of a profile stand before its header where the format allows it."""
    stream = io.BytesIO()
    picture = Image.new("RGB", size, (number % 256, number // 256, 9)).convert(mode)
    picture.save(stream, kind, **({"icc_profile": bytes(head)} if head else {}))
    return stream.getvalue()


SAME = [
    encoded(1), encoded(2, kind="JPEG"), encoded(3, mode="L"), encoded(4, kind="WEBP"), encoded(5, kind="TIFF"),
    encoded(6, kind="JPEG", head=100_000), encoded(7, kind="BMP"), encoded(8, mode="RGBA"), encoded(9, kind="GIF"),
]  # fmt: skip


def published(lake, tmp_path, pictures, *, select: str = "select entity_id from entities"):
    (tmp_path / "drop").mkdir(exist_ok=True)
    for number, data in enumerate(pictures):
        (tmp_path / "drop" / f"{number}.bin").write_bytes(data)
    land(lake, source(tmp_path / "drop"))
    assert entities(lake).counts["rejected"] == 0
    record = {"name": "gallery", "select": {"sql": select}, "split": {"ratios": {"all": 1.0}}}
    dataset_id = build(lake, parse_recipe(record, where="gallery.toml")).details["dataset_id"]
    return lake.root / materialise(lake, dataset_id).details["folder"] / "all"


def shape_of(folder):
    return next(field.shape for field in read_manifest(folder).fields if field.name == "image")


@pytest.mark.parametrize("first", [1, 64])
def test_pictures_of_one_size_come_as_one_array_whatever_their_formats(lake, tmp_path, monkeypatch, first):
    monkeypatch.setattr(picture_size, "FIRST", first)
    folder = published(lake, tmp_path, SAME)
    assert shape_of(folder) == (5, 7, 3)
    with make_reader(folder, batch_size=4, columns=["image"]) as reader:
        batches = [batch["image"] for batch in reader]
    assert {(type(each), each.dtype.name, each.shape) for each in batches} == {(np.ndarray, "uint8", (4, 5, 7, 3))}
    with make_reader(folder, batch_size=9, columns=["image"], decoders={"image": CenterCrop(4)}) as reader:
        assert next(reader)["image"].shape == (9, 4, 4, 3)


@pytest.mark.parametrize("first", [1, 64])
def test_one_picture_of_another_size_makes_every_batch_a_list(lake, tmp_path, monkeypatch, first):
    monkeypatch.setattr(picture_size, "FIRST", first)
    folder = published(lake, tmp_path, [*SAME, encoded(10, size=(5, 7))])
    assert shape_of(folder) == (None, None, 3)
    with make_reader(folder, batch_size=2, columns=["image"]) as reader:
        assert {type(batch["image"]) for batch in reader} == {list}


def test_a_dataset_whose_selection_leaves_the_other_sizes_out_has_one_array(lake, tmp_path):
    others = [*SAME, encoded(10, size=(70, 50))]
    small = "select entity_id from entities where size_bytes <> " + str(len(others[-1]))
    assert shape_of(published(lake, tmp_path, others)) == (None, None, 3)
    assert shape_of(published(lake, tmp_path, others, select=small)) == (5, 7, 3)


def test_bytes_that_are_no_pictures_have_no_size_and_a_missing_object_is_an_error_that_names_it(lake, tmp_path):
    data = b"text" * 50_000
    place = object_uri(hashlib.sha256(data).hexdigest())
    (lake.root / place).parent.mkdir(parents=True)
    (lake.root / place).write_bytes(data)
    assert picture_size.common_size(lake, [f"{place}#x"]) is None
    with pytest.raises(IngestError, match=f"cannot read objects/bb/{'b' * 4}"):
        picture_size.common_size(lake, [f"objects/bb/{'b' * 64}#x"])
