"""A column `native_image`: every picture with the type and shape of its own, whoever reads it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from loaders import DecodeError, Field, FormatError, ReadOptions, make_reader, write_dataset
from tests.corpus import encoded

PICTURES = {
    "deep": (np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000, "PNG"),
    "floats": (np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2), "TIFF"),
    "grey": (np.arange(6, dtype=np.uint8).reshape(3, 2), "PNG"),
    "large": (np.array([[-(2**31), 2**31 - 1]], dtype=np.int32), "TIFF"),
}


@pytest.fixture
def folder(tmp_path):
    rows = [{"entity_id": name, "image": encoded(Image.fromarray(values), kind)} for name, (values, kind) in
            PICTURES.items()]  # fmt: skip
    write_dataset([*rows, {"entity_id": "none", "image": None}], [
        Field("entity_id", pa.string()), Field("image", pa.binary(), codec="native_image", nullable=True),
    ], tmp_path / "set")
    return tmp_path / "set" / "train"


@pytest.mark.parametrize("pool", ["threads", "inline", "processes"])
def test_each_picture_comes_with_its_own_type_and_values(folder, pool):
    with make_reader(folder, batch_size=5, options=ReadOptions(pool=pool, workers=1)) as reader:
        (batch,) = list(reader)
    found = dict(zip(batch["entity_id"], batch["image"], strict=True))
    assert found.pop("none") is None
    for name, values in found.items():
        wanted = PICTURES[name][0]
        wanted = np.repeat(wanted[..., None], 3, axis=2) if name == "grey" else wanted
        assert values.dtype == wanted.dtype
        np.testing.assert_array_equal(values, wanted)


def test_a_column_of_8_bits_refuses_deeper_pictures_and_says_what_to_do(tmp_path):
    values, kind = PICTURES["deep"]
    rows = [{"entity_id": "deep", "image": encoded(Image.fromarray(values), kind)}]
    image = Field("image", pa.binary(), codec="image", shape=(None, None, 3))
    write_dataset(rows, [Field("entity_id", pa.string()), image], tmp_path / "set")
    with (make_reader(tmp_path / "set" / "train", batch_size=1) as reader,
          pytest.raises(DecodeError, match=r"more than 8 bits.*native_image.*pixels = .native. under \[image\]")):
        next(iter(reader))


def test_pictures_as_they_are_stored_have_no_shape_in_common():
    with pytest.raises(FormatError, match="no shape in common"):
        Field("image", pa.binary(), codec="native_image", shape=(None, None, 3))


@pytest.mark.torch
def test_they_become_tensors_one_by_one(folder):
    torch = pytest.importorskip("torch")
    from loaders.torch import tensors

    with make_reader(folder, batch_size=4, filter=[("entity_id", "!=", "none")]) as reader:
        (batch,) = list(tensors(reader, ragged={"image": "list"}))
    assert {image.dtype for image in batch["image"]} == {torch.uint16, torch.float32, torch.uint8, torch.int32}
