"""What is measured of arrays, texts and the noise of pictures, by hand and by numpy."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from lakehouse.extractors.array_values import measure_array
from lakehouse.extractors.image_noise import measure_noise
from lakehouse.extractors.text_likeness import measure_text_likeness
from lakehouse.extractors.text_statistics import measure_text
from lakehouse.media.plain_views import ArrayView, TextView
from lakehouse.media.view import ImageView
from tests.loaders.test_arrays_and_texts import npy


def test_values_of_an_array():
    found = measure_array(ArrayView(npy(np.array([[1, 2, np.nan], [0, np.inf, 5]], "f4"))))
    assert found == {
        "array_dtype": "float32", "array_axes": 2, "array_shape": "2x3", "array_values": 6,
        "array_is_column_major": False, "array_nan_share": 1 / 6, "array_infinite_share": 1 / 6,
        "array_zero_share": 1 / 6, "array_min": 0.0, "array_max": 5.0, "array_mean": 2.0,
        "array_std": pytest.approx(np.std([1, 2, 0, 5])),
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float64", ">f4"])
def test_values_of_an_array_in_pieces_are_those_of_numpy(dtype, monkeypatch):
    monkeypatch.setattr("lakehouse.extractors.array_values.PIECE", 7)
    values = (np.random.default_rng(3).normal(size=(5, 9)) * 20).astype(dtype)
    found = measure_array(ArrayView(npy(np.asfortranarray(values))))
    wide = values.astype(np.float64)
    assert (found["array_min"], found["array_max"]) == (wide.min(), wide.max())
    assert found["array_mean"] == pytest.approx(wide.mean(), abs=1e-12)
    assert found["array_std"] == pytest.approx(wide.std(), rel=1e-12)
    assert found["array_is_column_major"] is True


def test_arrays_without_values_or_finite_ones_have_no_moments():
    empty = measure_array(ArrayView(npy(np.zeros((0, 3)))))
    assert (empty["array_shape"], empty["array_values"], len(empty)) == ("0x3", 0, 5)
    lost = measure_array(ArrayView(npy(np.array([np.nan, np.inf]))))
    assert (lost["array_nan_share"], lost["array_infinite_share"]) == (0.5, 0.5)
    assert not {"array_min", "array_mean", "array_std"} & set(lost)
    assert measure_array(ArrayView(npy(np.float32(3))))["array_shape"] == ""


def text(value: str, coding: str = "utf-8") -> TextView:
    """The view of a text."""
    return TextView(value.encode(coding))


def test_statistics_of_a_text():
    found = measure_text(text("Füße 12\nund Käse", "utf-8-sig"))
    assert found == {
        "text_coding": "utf-8", "text_characters": 16, "text_words": 4, "text_lines": 2, "text_letter_share": 11 / 16,
        "text_digit_share": 2 / 16, "text_space_share": 3 / 16, "text_upper_share": 2 / 16,
        "text_non_ascii_share": 3 / 16, "text_entropy": pytest.approx(3.625, abs=0.2),
        "text_compression": found["text_compression"], "text_word_length": 13 / 4, "text_script": "LATIN",
        "text_script_share": 1.0,
    }  # fmt: skip
    assert measure_text(text("aaaa"))["text_entropy"] == 0
    assert measure_text(text("ab" * 8))["text_entropy"] == 1
    assert measure_text(text("x", "utf-16"))["text_coding"] == "utf-16-le"


def test_scripts_and_repetition():
    assert measure_text(text("привет мир abc"))["text_script"] == "CYRILLIC"
    assert measure_text(text("日本語のテキスト"))["text_script"] in ("CJK", "KATAKANA")
    letters = "".join(map(chr, np.random.default_rng(1).integers(97, 123, 5000)))
    assert (
        measure_text(text("the same words " * 400))["text_compression"]
        < 0.05
        < 0.5
        < (measure_text(text(letters))["text_compression"])
    )
    only = measure_text(text("123 !?"))
    assert not {"text_script", "text_script_share"} & set(only)


def hashes(value: str) -> tuple[int, list[str]]:
    """Simhash as a number, minhash as its places."""
    found = measure_text_likeness(text(value))
    places = str(found["text_minhash"])
    return int(str(found["text_simhash"]), 16), [places[at : at + 4] for at in range(0, 64, 4)]


def test_near_duplicates_are_near_and_others_are_not():
    words = [f"word{number}" for number in np.random.default_rng(2).integers(0, 1000, 400)]
    whole, changed = hashes(" ".join(words)), hashes(" ".join([*words[:200], "other", *words[201:]]))
    same = hashes("  " + ",\n".join(words).upper())
    other = hashes(" ".join(reversed(words)))
    assert whole == same
    assert (whole[0] ^ changed[0]).bit_count() <= 6
    assert (whole[0] ^ other[0]).bit_count() > 16
    assert sum(a == b for a, b in zip(whole[1], changed[1], strict=True)) >= 13
    assert sum(a == b for a, b in zip(whole[1], other[1], strict=True)) <= 1


def test_short_texts_are_compared_by_letters_and_no_word_has_no_hash():
    assert (hashes("日本語のテキストです")[0] ^ hashes("日本語のテキストでした")[0]).bit_count() < 26
    assert hashes("a") == hashes("A")
    assert measure_text_likeness(text("?! ...")) == {}


def test_noise_is_that_which_was_added():
    ramp = np.add.outer(np.arange(200) * 0.3, np.arange(160) * 0.5) + 40

    def noise(level: float) -> float:
        drawn = ramp + np.random.default_rng(4).normal(size=ramp.shape) * level
        buffer = io.BytesIO()
        Image.fromarray(drawn.round().clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
        return float(measure_noise(ImageView(buffer.getvalue()))["noise"]) * 255

    assert noise(10) == pytest.approx(10, rel=0.05)
    assert noise(25) == pytest.approx(25, rel=0.05)
    assert noise(0) < 0.8
