"""Columns of codec `array` and `text`: files of any dtype and shape, and of any length, as they were landed."""

from __future__ import annotations

import io
import pickle
import zipfile
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loaders import DecodeError, Field, FixedArray, FormatError, Utf8Bytes, make_reader, write_dataset
from loaders.decoding.arrays import read_any
from loaders.decoding.texts import decode_text


def npy(values: Any) -> bytes:
    """Return a .npy file of values, also such as are never read."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


def npz(*, packed: bool = False, **values: Any) -> bytes:
    """Return a .npz file."""
    buffer = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(buffer, **values)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float64", ">f4", "<u4", ">i8"])
def test_arrays_come_as_they_are_in_this_machines_order(dtype):
    values = (np.arange(24).reshape(2, 3, 4) % 7).astype(dtype)
    native = values.astype(values.dtype.newbyteorder("="))
    for raw in (npy(values), npy(np.asfortranarray(values)), npz(a=values), npz(packed=True, arr_0=values)):
        found = read_any(raw)
        assert (found.dtype, found.dtype.isnative) == (native.dtype, True)
        assert np.array_equal(found, native)
        assert found.flags.writeable
        assert found.flags.aligned


@pytest.mark.parametrize("values", [np.float32(3), np.zeros((0, 4)), np.zeros((3, 0), "u1")], ids=str)
def test_arrays_without_axes_or_values_are_arrays(values):
    found = read_any(npy(values))
    assert (found.shape, found.dtype) == (values.shape, values.dtype)


def _with_claim(claim: bytes) -> bytes:
    raw = npy(np.zeros(3))
    return raw.replace(b"(3,)", claim)


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (lambda: npy(np.array([{"a": 1}], dtype=object)), "pickle"),
        (lambda: npz(a=np.array([None])), "pickle"),
        (lambda: pickle.dumps(np.zeros(3)), "undecodable"),
        (lambda: npy(np.zeros(3, "complex64")), "unsupported_dtype"),
        (lambda: npy(np.array(["a"])), "unsupported_dtype"),
        (lambda: npy(np.array(["2026-01-01"], "datetime64[D]")), "unsupported_dtype"),
        (lambda: npy(np.zeros(2, [("x", "f4")])), "undecodable"),
        (lambda: npy(np.zeros(3))[:-1], "truncated"),
        (lambda: npz(a=np.zeros(3))[:-1], "truncated"),
        (lambda: npy(np.zeros(3)) + npy(np.zeros(3)), "several_arrays"),
        (lambda: npz(a=np.zeros(3), b=np.zeros(3)), "several_arrays"),
        (lambda: _with_claim(b"(9999999999999,)"), "too_large"),
        (lambda: npz(a=np.arange(99.0)).replace(np.float64(7).tobytes(), bytes(8)), "undecodable"),
        (lambda: np.zeros(3).tobytes(), "undecodable"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused_with_its_rule(raw, rule):
    with pytest.raises(DecodeError) as caught:
        read_any(raw())
    assert caught.value.rule == rule


def test_a_packed_array_that_grows_is_refused_by_its_claim(monkeypatch):
    monkeypatch.setattr("loaders.decoding.arrays.MAX_ARRAY_BYTES", 10_000)
    with pytest.raises(DecodeError, match="10,000 bytes"):
        read_any(npz(packed=True, a=np.zeros(2000)))


def test_a_zip_of_something_else_is_no_array():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("notes.txt", "hello")
    with pytest.raises(DecodeError, match="'arr.npy' is expected"):
        read_any(buffer.getvalue())


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_texts_come_without_their_mark_and_with_their_ends_of_lines(coding):
    text = "Füße \U0001f426\r\nzwei\n"
    assert decode_text(text.encode(coding)) == text
    assert decode_text(b"\xfe\xff" + text.encode("utf-16-be")) == text


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("Füße".encode("latin-1"), r"no UTF-8 at byte 1 .*iconv"),
        (b"a\0b", "NUL character at place 1"),
        (b"\xff\xfea", "no UTF-16-LE at byte 2"),
        ("x".encode("utf-32"), "NUL|UTF-16"),
    ],
)
def test_what_is_no_text_says_where(raw, said):
    with pytest.raises(DecodeError, match=said):
        decode_text(raw)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Three rows with an array and a text each."""
    folder = tmp_path_factory.mktemp("plain") / "v1"
    texts = ["one", "zwei Füße", ""]
    rows = pa.table({
        "entity_id": list("abc"), "split": ["all"] * 3,
        "array": [npy(np.full((2, 3), number, "f4")) for number in range(2)] + [npz(a=np.full((2, 3), 2, "f2"))],
        "text": [text.encode("utf-16") for text in texts],
    })  # fmt: skip
    fields = [Field("entity_id", pa.string()), Field("array", pa.binary(), codec="array"),
              Field("text", pa.binary(), codec="text")]  # fmt: skip
    write_dataset(rows, fields, folder, seed=1)
    return folder / "all"


def test_batches_are_lists_of_arrays_and_of_str(published):
    with make_reader(published, batch_size=3) as reader:
        (batch,) = reader
    found = dict(zip(batch["entity_id"], zip(batch["array"], batch["text"], strict=True), strict=True))
    assert {key: (value[0].dtype.name, int(value[0].max()), value[1]) for key, value in found.items()} == {
        "a": ("float32", 0, "one"), "b": ("float32", 1, "zwei Füße"), "c": ("float16", 2, ""),
    }  # fmt: skip


def test_arrays_of_one_shape_become_one_array(published):
    with make_reader(published, batch_size=3, decoders={"array": FixedArray((2, 3), "float32")}) as reader:
        (batch,) = reader
    assert (batch["array"].shape, batch["array"].dtype) == ((3, 2, 3), np.dtype("float32"))
    assert dict(zip(batch["entity_id"], batch["array"][:, 0, 0], strict=True)) == {"a": 0, "b": 1, "c": 2}
    for wrong in (FixedArray((3, 2), "float32"), FixedArray((2, 3), "float16")):
        with make_reader(published, batch_size=3, decoders={"array": wrong}) as reader, pytest.raises(DecodeError):
            next(iter(reader))
    with pytest.raises(FormatError, match="positive integers"):
        FixedArray((0,), "float32")


def test_texts_as_bytes_are_joined_with_their_offsets(published):
    from loaders.tensors.ragged import join

    with make_reader(published, batch_size=3, columns=["text"], decoders={"text": Utf8Bytes(most=7)}) as reader:
        (batch,) = reader
    values, offsets = join(batch["text"])
    cut = [bytes(values[a:b]).decode() for a, b in pairwise(offsets.tolist())]
    assert sorted(cut) == ["", "one", "zwei F"]  # ü has two bytes, of which one would have had room


def test_a_field_of_these_codecs_states_no_shape():
    for codec in ("array", "text"):
        with pytest.raises(FormatError, match="a shape of its own"):
            Field("x", pa.binary(), codec=codec, shape=(3,))
