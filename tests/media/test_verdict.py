"""What the lake takes, the reader decodes, and nothing else: one verdict over odd pictures and broken ones."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from lakehouse.errors import RejectedInputError
from lakehouse.media.image import ImageFacts, probe_image
from loaders.decoding import pictures, png
from loaders.decoding.pictures import decode_native, decode_new
from loaders.errors import DecodeError
from tests.media.odd_pictures import Odd, odd_pictures, whole_of_each_kind

LIMIT = 64_000_000


@pytest.fixture(scope="module")
def corpus() -> list[Odd]:
    return odd_pictures()


def lake(name: str, data: bytes) -> ImageFacts | str:
    """What the lake says of a file: facts, or the reason of its rejection."""
    try:
        return probe_image(data, name=name)
    except RejectedInputError as error:
        return str(error)


def reader(data: bytes) -> np.ndarray | str:
    """What the reader makes of it."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return decode_native(memoryview(data), max_pixels=LIMIT)
    except DecodeError as error:
        return str(error)


def test_the_corpus_has_more_than_three_hundred_files_of_ten_kinds(corpus):
    assert len(corpus) > 300
    assert len({each.name.rpartition(".")[2] for each in corpus}) >= 10
    assert sum(each.pixels is None for each in corpus) > 70


def test_lake_and_reader_agree_on_every_odd_picture(corpus):
    wrong = {}
    for each in corpus:
        taken, read = lake(each.name, each.data), reader(each.data)
        if isinstance(taken, str) != isinstance(read, str) or isinstance(read, str) != (each.pixels is None):
            wrong[each.name] = (taken, read if isinstance(read, str) else read.shape)
        elif isinstance(taken, ImageFacts) and not isinstance(read, str):
            assert taken.pixel_type == read.dtype.name, each.name
    assert wrong == {}


def test_pixels_are_those_of_pillow_up_to_8_bits_and_as_stored_beyond(corpus):
    for each in corpus:
        if each.pixels is None:
            continue
        found = reader(each.data)
        assert found.dtype == each.pixels.dtype, each.name
        np.testing.assert_array_equal(found, each.pixels, err_msg=each.name)
        if found.dtype == np.uint8:
            np.testing.assert_array_equal(decode_new(each.data, 3, max_pixels=LIMIT), found, err_msg=each.name)
        else:
            with pytest.raises(DecodeError, match="more than 8 bits"):
                decode_new(each.data, 3, max_pixels=LIMIT)


def test_verdicts_and_pixels_are_the_same_without_the_compiled_modules(corpus, monkeypatch):
    monkeypatch.setattr(pictures, "_native", None)
    monkeypatch.setattr(png, "_native", None)
    for each in corpus:
        if each.name.endswith((".jpg", ".png")):
            found = reader(each.data)
            assert isinstance(found, str) == (each.pixels is None), each.name
            assert isinstance(lake(each.name, each.data), str) == (each.pixels is None), each.name
            if each.pixels is not None:
                np.testing.assert_array_equal(found, each.pixels, err_msg=each.name)


@pytest.mark.parametrize("kind", whole_of_each_kind())
def test_lake_and_reader_agree_on_mutations(kind):
    data, rng = whole_of_each_kind()[kind], np.random.default_rng(len(kind))
    name, wrong, taken = f"a.{kind.rpartition('.')[2]}", {}, 0
    cuts = [data[:end] for end in {*rng.integers(1, len(data), 40).tolist(), len(data) - 1, len(data) - 2}]
    flips = []
    for _ in range(80):
        flipped = bytearray(data)
        for at in rng.integers(12, len(data), int(rng.integers(1, 4))):
            flipped[at] = int(rng.integers(256))
        flips.append(bytes(flipped))
    for mutation in [*cuts, *flips]:
        outcome, read = lake(name, mutation), reader(mutation)
        taken += isinstance(outcome, ImageFacts)
        if isinstance(outcome, str) != isinstance(read, str) and "extension_mismatch" not in str(outcome):
            wrong[mutation] = (outcome, read if isinstance(read, str) else read.shape)
    spare = {"gif": 1, "bmp": 1}.get(kind, 0)  # bytes at the end that no pixel needs: the end mark, filler of a row
    assert [len(cut) for cut in cuts if not isinstance(lake(name, cut), str) and len(cut) < len(data) - spare] == []
    assert wrong == {}
    assert taken < len(cuts) + len(flips)
