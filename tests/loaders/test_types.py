"""Every type and codec comes back as it was stored: values, shapes, nulls."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from loaders import DecodeError, Field, FormatError, ReadOptions, Shuffle, make_reader, write_dataset
from loaders.format.fields import ARRAY_DTYPES, TYPES
from tests.loaders.samples import png

VALUES = {
    "bool": [True, False, None],
    "string": ["", "ünï", None],
    "binary": [b"", b"\x00\x01", None],
    "timestamp[us, UTC]": [datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime(2024, 2, 29, tzinfo=UTC), None],
    "date32": [date(1969, 12, 31), date(2024, 2, 29), None],
}


def values_of(name):
    """Three values of a type: two edges and a null."""
    if name in VALUES:
        return VALUES[name]
    if name.startswith("list<"):
        inner = values_of(name[5:-1])
        return [inner[:2], [], None]
    if name.startswith("map<"):
        inner = values_of(name.split(", ")[1][:-1])
        return [{"a": inner[0], "b": inner[1]}, {}, None]
    if name.startswith("float"):
        return [-1.5, 0.25, None]
    info = np.iinfo(name)
    return [int(info.min), int(info.max), None]


def written(tmp_path, values, field):
    """Write one column and read it back, in the order in which it was given."""
    rows = [{"entity_id": f"{at}", "x": value} for at, value in enumerate(values)]
    write_dataset(rows, [Field("entity_id", pa.string()), field], tmp_path / "v1")
    with make_reader(tmp_path / "v1" / "train", batch_size=len(values)) as reader:
        (batch,) = reader
    order = np.argsort([int(each) for each in batch["entity_id"]])
    return batch["x"][order] if isinstance(batch["x"], np.ndarray) else [batch["x"][at] for at in order]


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_comes_back_with_its_values_and_nulls(tmp_path, name):
    values = values_of(name)
    found = written(tmp_path, values, Field("x", TYPES[name], nullable=True))
    if isinstance(found, np.ma.MaskedArray):
        assert found.mask.tolist() == [False, False, True]
        assert found.data[2] == np.zeros((), found.dtype), "what lies under a null is zero"
        kept = pa.array(found.data[:2]).cast(TYPES[name]) if name != "timestamp[us, UTC]" else None
        expected = [np.datetime64(value.replace(tzinfo=None)) if kept is None else value for value in values[:2]]
        assert (found.data[:2].tolist() if kept is None else kept.to_pylist()) == [
            value.astype("datetime64[us]").item() if kept is None else value for value in expected
        ]
    else:
        plain = [each.tolist() if isinstance(each, np.ndarray) else each for each in found]
        assert plain == values


@pytest.mark.parametrize("dtype", ARRAY_DTYPES)
def test_arrays_of_a_fixed_shape_come_as_one_array(tmp_path, dtype):
    arrays = [(np.arange(6).reshape(2, 3) % 2 + at).astype(dtype) for at in range(5)]
    field = Field("x", pa.binary(), codec="ndarray", shape=(2, 3), dtype=dtype)
    found = written(tmp_path, [array.tobytes() for array in arrays], field)
    assert found.dtype == np.dtype(dtype)
    assert (found == np.stack(arrays)).all()


def test_nulls_among_arrays_and_probabilities_are_masked(tmp_path):
    arrays = [np.full((2,), at, dtype=np.float32) for at in range(4)]
    field = Field("x", pa.binary(), codec="ndarray", shape=(2,), dtype="float32", nullable=True)
    found = written(tmp_path / "a", [None, *(array.tobytes() for array in arrays[1:])], field)
    assert found.mask[:, 0].tolist() == [True, False, False, False]
    assert found[1:].tolist() == [[1, 1], [2, 2], [3, 3]]
    field = Field("x", pa.list_(pa.float64()), shape=(2,), nullable=True)
    found = written(tmp_path / "b", [[0.5, 0.5], None, [1.0, 0.0]], field)
    assert found.tolist() == [[0.5, 0.5], [None, None], [1.0, 0.0]]


def test_arrays_of_varying_shape_come_as_a_list_and_are_never_unpickled(tmp_path):
    def npy(array):
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        return stream.getvalue()

    arrays = [np.arange(4 * n, dtype=np.float32).reshape(n, 4) for n in (0, 1, 3)]
    field = Field("x", pa.binary(), codec="npy", shape=(None, 4), dtype="float32")
    found = written(tmp_path / "a", [npy(array) for array in arrays], field)
    assert all((one == other).all() and one.shape == other.shape for one, other in zip(found, arrays, strict=True))
    for at, (wrong, message) in enumerate([
        (np.array([{"a": 1}], dtype=object), "pickle|Object arrays"),
        (np.zeros((2, 4)), "expected dtype float32, found float64"),
        (np.zeros((2, 5), np.float32), "expected shape"),
    ]):  # fmt: skip
        with pytest.raises(DecodeError, match=message):
            written(tmp_path / f"b{at}", [npy(wrong)], field)


def test_pictures_of_varying_size_grey_and_with_alpha(tmp_path):
    shapes = [(4, 6), (2, 3), (5, 1)]
    dice = np.random.default_rng(1)
    colour = [dice.integers(0, 255, (*shape, 3), dtype=np.uint8) for shape in shapes]
    found = written(tmp_path / "a", [png(each) for each in colour],
                    Field("x", pa.binary(), codec="image", shape=(None, None, 3)))  # fmt: skip
    assert all((one == other).all() for one, other in zip(found, colour, strict=True))
    grey = [each[..., 0] for each in colour]
    found = written(tmp_path / "b", [png(each) for each in grey],
                    Field("x", pa.binary(), codec="image", shape=(None, None)))  # fmt: skip
    assert all((one == other).all() for one, other in zip(found, grey, strict=True))
    found = written(tmp_path / "c", [png(each) for each in grey], Field("x", pa.binary(), codec="image"))
    assert [each.shape for each in found] == [(*shape, 3) for shape in shapes]
    alpha = np.dstack([colour[0], grey[0]])
    found = written(tmp_path / "d", [png(alpha)], Field("x", pa.binary(), codec="image", shape=(4, 6, 4)))
    assert (found[0] == alpha).all()
    found = written(tmp_path / "e", [None, png(colour[0])],
                    Field("x", pa.binary(), codec="image", shape=(4, 6, 3), nullable=True))  # fmt: skip
    assert found.mask[0].all()
    assert not found.mask[1].any()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_pictures_of_every_format_are_decoded_as_pillow_decodes_them(tmp_path, kind):
    picture = Image.fromarray(np.linspace(0, 255, 8 * 9 * 3).reshape(8, 9, 3).astype(np.uint8))
    stream = io.BytesIO()
    picture.save(stream, kind)
    found = written(tmp_path, [stream.getvalue()], Field("x", pa.binary(), codec="image", shape=(8, 9, 3)))
    assert (found[0] == np.asarray(Image.open(stream).convert("RGB"))).all()


def test_pictures_with_more_than_8_bits_are_refused_and_not_clipped(tmp_path):
    deep = Image.fromarray(np.full((3, 3), 40_000, dtype=np.uint16))
    stream = io.BytesIO()
    deep.save(stream, "PNG")
    with pytest.raises(DecodeError, match="more than 8 bits"):
        written(tmp_path, [stream.getvalue()], Field("x", pa.binary(), codec="image", shape=(3, 3)))


def test_blank_rows_of_every_type_keep_the_batch_whole(tmp_path):
    fields = [Field("entity_id", pa.string()), Field("image", pa.binary(), codec="image")]
    fields += [Field(f"x{at}", kind) for at, kind in enumerate(TYPES.values())]
    row = {f"x{at}": values_of(name)[0] for at, name in enumerate(TYPES)}
    images = {"a": b"broken", "b": png(np.ones((2, 2), np.uint8))}
    rows = [{"entity_id": name, "image": image, **row} for name, image in images.items()]
    write_dataset(rows, fields, tmp_path / "v1")
    with make_reader(tmp_path / "v1" / "train", batch_size=2, shuffle=Shuffle(seed=1),
                     options=ReadOptions(on_error="skip")) as reader:  # fmt: skip
        (batch,) = reader
    lost = int(np.flatnonzero(batch["is_pad"])[0])
    assert batch["entity_id"][lost] == ""
    assert batch["is_pad"].sum() == 1
    assert {len(values) for values in batch.values()} == {2}


def test_arrays_that_do_not_fit_their_shape_are_refused_when_written(tmp_path):
    field = Field("x", pa.binary(), codec="ndarray", shape=(2, 3), dtype="int16")
    with pytest.raises(FormatError, match="must have length 12"):
        written(tmp_path, [b"\0" * 12, b"\0" * 11], field)
