"""Random and central parts of pictures: which, by a golden rule; with which pixels; and what is refused."""

from __future__ import annotations

import io
import pickle
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from loaders.decoding import decoders, pictures
from loaders.decoding.decoders import CenterCrop, RandomResizedCrop
from loaders.decoding.pictures import Box, cut, decode_new
from loaders.errors import DecodeError, FormatError
from loaders.ordering.order import random_words, stream_key
from tests.corpus import encoded, picture

LIMIT = 10_000_000
SEED = 0xA09E44E3E5A5A384  # of sample 0 in the golden values of ORDER.md


def photo(height: int, width: int, *, seed: int = 0, kind: str = "JPEG", mode: str = "RGB") -> memoryview:
    return memoryview(encoded(picture(np.random.default_rng(seed), width=width, height=height, mode=mode), kind))


def made(decoder, raw: memoryview, seed: int = SEED) -> np.ndarray:
    """What a decoder makes, in the middle of a batch that holds something else."""
    batch = np.full((3, *decoder.shape), 99, decoder.dtype)
    decoder.into(raw, batch[1], seed=seed, max_pixels=LIMIT)
    assert (batch[[0, 2]] == 99).all()
    return batch[1]


# ------------------------------------------------------------------------------------------------ which part


def test_the_part_follows_from_seed_and_size_alone():
    crop = RandomResizedCrop(224)
    assert [tuple(crop.box(256, 384, seed)) for seed in (SEED, 0, 1, 2, 2**64 - 1)] == [
        (0, 114, 250, 270), (20, 199, 139, 126), (29, 55, 227, 261), (15, 91, 231, 266), (12, 22, 244, 294),
    ]  # fmt: skip
    assert RandomResizedCrop(10, scale=(0.5, 0.5), ratio=(1, 1)).box(100, 100, SEED)[2:] == (71, 71)


def test_the_rule_is_the_one_that_is_written_down():
    """The documented steps, with numpy's words of ORDER.md instead of Python's."""
    scale, ratio = (0.08, 1.0), (3 / 4, 4 / 3)
    crop = RandomResizedCrop(8, scale=scale, ratio=ratio)
    rng = np.random.default_rng(4)
    for _ in range(300):
        seed = int(rng.integers(0, 2**64, dtype=np.uint64))
        height, width = (int(side) for side in rng.integers(1, 500, 2))
        u = (random_words(seed, np.arange(41)) >> np.uint64(11)) * 2.0**-53
        wanted = None
        for k in range(10):
            area = height * width * (scale[0] + u[4 * k] * (scale[1] - scale[0]))
            aspect = np.exp(np.log(ratio[0]) + u[4 * k + 1] * (np.log(ratio[1]) - np.log(ratio[0])))
            w, h = round(float(np.sqrt(area * aspect))), round(float(np.sqrt(area / aspect)))
            if 0 < w <= width and 0 < h <= height:
                wanted = Box(int(u[4 * k + 2] * (height - h + 1)), int(u[4 * k + 3] * (width - w + 1)), h, w)
                break
        if wanted is not None:
            assert crop.box(height, width, seed) == wanted


@pytest.mark.parametrize(("height", "width", "wanted"), [
    (10, 1000, Box(0, 493, 10, 13)), (1000, 10, Box(493, 0, 13, 10)), (1, 1, Box(0, 0, 1, 1)), (1, 3, Box(0, 1, 1, 1)),
])  # fmt: skip
def test_a_picture_that_no_try_fits_gives_its_middle(height, width, wanted):
    assert RandomResizedCrop(8, scale=(1, 1)).box(height, width, SEED) == wanted


def test_parts_lie_inside_the_picture_and_reach_everywhere():
    crop = RandomResizedCrop(8)
    seen = np.zeros((60, 90), int)
    areas = []
    for at in range(4000):
        box = crop.box(60, 90, stream_key("parts", at))
        assert 0 <= box.top <= 60 - box.height
        assert 0 <= box.left <= 90 - box.width
        seen[box.top : box.top + box.height, box.left : box.left + box.width] += 1
        areas.append(box.height * box.width / 5400)
    assert seen.min() > 0
    assert min(areas) < 0.1
    assert max(areas) > 0.85
    assert 0.38 < np.mean(areas) < 0.41  # 0.395: uniform from 0.08 to 1, without those that do not fit into 2 : 3


# ------------------------------------------------------------------------------------------------ its pixels


@pytest.mark.parametrize("interpolation", ["linear", "area"])
@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_the_result_is_the_part_resized_and_mirrored(interpolation, flip):
    raw = photo(90, 120)
    whole = decode_new(raw, 3, max_pixels=LIMIT)
    crop = RandomResizedCrop((40, 50), flip=flip, interpolation=interpolation)
    assert crop.shape == (40, 50, 3)
    flag = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}[interpolation]
    for seed in range(20):
        part = np.ascontiguousarray(cut(whole, crop.box(90, 120, seed)))
        wanted = cv2.resize(part, (50, 40), interpolation=flag)
        np.testing.assert_array_equal(made(crop, raw, seed), wanted[:, ::-1] if flip else wanted)


def test_half_of_the_samples_are_mirrored():
    raw = photo(16, 16)
    plain, mirrored = RandomResizedCrop(8), RandomResizedCrop(8, flip=0.5)
    flips = 0
    for seed in range(400):
        one, other = made(plain, raw, stream_key(seed)), made(mirrored, raw, stream_key(seed))
        flips += not np.array_equal(one, other)
        assert np.array_equal(other, one) or np.array_equal(other, one[:, ::-1])
    assert 160 < flips < 240


@pytest.mark.parametrize("options", [{}, {"subsampling": "4:4:4"}, {"progressive": True}])
@pytest.mark.parametrize("exact", [True, False])
def test_the_pixels_do_not_depend_on_how_they_are_decoded(options, exact, monkeypatch):
    raw = memoryview(encoded(picture(np.random.default_rng(2), width=300, height=200), "JPEG", quality=85, **options))
    crop, full = (RandomResizedCrop(24, decode=how, exact=exact) for how in ("crop", "full"))
    found = [made(crop, raw, seed) for seed in range(25)]
    for seed, one in enumerate(found):
        np.testing.assert_array_equal(made(full, raw, seed), one)
    monkeypatch.setattr(pictures, "_native", None)
    for seed, one in enumerate(found):
        np.testing.assert_array_equal(made(crop, raw, seed), one)


def test_exact_pixels_are_given_up_only_where_the_part_is_twice_as_large():
    raw = photo(200, 300)
    for size, is_same in ((110, True), (10, False)):  # parts have at most 200 rows
        exact, other = RandomResizedCrop(size), RandomResizedCrop(size, exact=False)
        pairs = [(made(exact, raw, seed), made(other, raw, seed)) for seed in range(8)]
        assert all(np.array_equal(one, two) for one, two in pairs) is is_same
        assert max(np.abs(one.astype(int) - two).mean() for one, two in pairs) < 12


@pytest.mark.parametrize(("kind", "mode"), [
    ("PNG", "RGB"), ("PNG", "L"), ("PNG", "RGBA"), ("JPEG", "L"), ("JPEG", "CMYK"), ("GIF", "P"), ("BMP", "RGB"),
])  # fmt: skip
def test_all_formats_are_cropped(kind, mode):
    raw = photo(50, 60, kind=kind, mode=mode)
    with Image.open(io.BytesIO(raw)) as image:
        whole = np.asarray(image.convert("RGB"))
    crop = RandomResizedCrop(20)
    part = np.ascontiguousarray(cut(whole, crop.box(50, 60, SEED)))
    np.testing.assert_array_equal(made(crop, raw), cv2.resize(part, (20, 20)))
    np.testing.assert_array_equal(made(CenterCrop(20), raw), whole[15:35, 20:40])


# ------------------------------------------------------------------------------------------------ the middle


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(("height", "width", "resize", "resized"), [
    (90, 120, 60, (60, 80)), (120, 90, 60, (80, 60)), (50, 75, 60, (60, 90)), (60, 91, 60, (60, 91)),
    (61, 90, None, (61, 90)),
])  # fmt: skip
def test_the_middle_is_cut_from_the_resized_picture(kind, height, width, resize, resized):
    raw = photo(height, width, kind=kind)
    whole = decode_new(raw, 3, max_pixels=LIMIT)
    if resized != (height, width):
        whole = cv2.resize(whole, resized[::-1])
    top, left = round((resized[0] - 48) / 2), round((resized[1] - 56) / 2)
    found = made(CenterCrop((48, 56), resize=resize), raw)
    np.testing.assert_array_equal(found, whole[top : top + 48, left : left + 56])


def test_a_picture_that_is_smaller_than_its_middle_is_refused():
    for kind in ("JPEG", "PNG"):
        with pytest.raises(DecodeError, match="height 40 and width 50 has no middle of 48 x 48; use resize"):
            made(CenterCrop(48), photo(40, 50, kind=kind))


# ------------------------------------------------------------------------------------------------ around it


@pytest.mark.parametrize("decoder", [RandomResizedCrop((6, 7), flip=0.5, exact=False), CenterCrop(8, resize=9)])
def test_decoders_travel_to_processes(decoder):
    again = pickle.loads(pickle.dumps(decoder))
    assert again == decoder
    assert (again.shape, again.dtype) == (decoder.shape, decoder.dtype)
    np.testing.assert_array_equal(made(again, photo(20, 30)), made(decoder, photo(20, 30)))


@pytest.mark.parametrize("decoder", [RandomResizedCrop(8), RandomResizedCrop(8, exact=False), CenterCrop(8, resize=9)])
def test_damage_and_size_are_refused(decoder):
    raw = photo(40, 50)
    out = np.empty(decoder.shape, np.uint8)
    with pytest.raises(DecodeError, match="damaged JPEG"):
        decoder.into(raw[:-40], out, seed=1, max_pixels=LIMIT)
    with pytest.raises(DecodeError, match="no picture"):
        decoder.into(memoryview(b"text"), out, seed=1, max_pixels=LIMIT)
    with pytest.raises(DecodeError, match="50x40 pixels are more than max_pixels=1,999"):
        decoder.into(raw, out, seed=1, max_pixels=1_999)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: RandomResizedCrop(0), "size is a positive number"),
    (lambda: RandomResizedCrop(8, scale=(0.5, 0.1)), "scale is"),
    (lambda: RandomResizedCrop(8, scale=(0.5, 1.1)), "scale is"),
    (lambda: RandomResizedCrop(8, ratio=(0, 1)), "ratio is"),
    (lambda: RandomResizedCrop(8, flip=1.5), "flip is a probability"),
    (lambda: RandomResizedCrop(8, decode="half"), "decode must be crop or full"),
    (lambda: RandomResizedCrop(8, interpolation="cubic"), "interpolation must be linear or area"),
    (lambda: CenterCrop(8, interpolation="cubic"), "interpolation must be linear or area"),
    (lambda: CenterCrop(8, resize=7), "resize must be at least size"),
])  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(make, message):
    with pytest.raises(FormatError, match=message):
        make()


def test_without_opencv_the_error_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    decoders.opencv.cache_clear()
    with pytest.raises(FormatError, match=r"petrel-lakehouse\[train\]"):
        made(RandomResizedCrop(8), photo(20, 30))
    decoders.opencv.cache_clear()
