"""Golden values on pictures small enough to work out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from lakehouse.extractors.image_pixels import colourfulness, dhash, entropy, measure_pixels, sharpness
from lakehouse.media.view import ImageView
from tests.corpus import encoded, picture


def measured(image: Image.Image, kind: str = "PNG", **options: object) -> dict[str, object]:
    return dict(measure_pixels(ImageView(encoded(image, kind, **options))))


def gray(rows: list[list[int]]) -> Image.Image:
    return Image.fromarray(np.array(rows, dtype=np.uint8))


def test_flat_grey_has_its_brightness_and_nothing_else():
    assert measured(Image.new("RGB", (8, 8), (128, 128, 128))) == {
        "brightness": 128 / 255, "contrast": 0.0, "sharpness": 0.0, "colourfulness": 0.0, "entropy": 0.0,
        "dhash": "0000000000000000",
    }


@pytest.mark.parametrize(("level", "brightness"), [(0, 0.0), (255, 1.0)])
def test_brightness_goes_from_black_to_white(level, brightness):
    assert measured(Image.new("L", (5, 4), level))["brightness"] == brightness


def test_half_black_half_white_has_the_largest_contrast_and_one_bit():
    found = measured(gray([[0, 0, 255, 255]] * 4))

    assert (found["brightness"], found["contrast"], found["entropy"]) == (0.5, 0.5, 1.0)


def test_four_levels_equally_often_have_two_bits():
    assert entropy(np.array([5, 5, 0, 5, 5])) == 2.0
    assert entropy(np.array([1, 3])) == round(2 - 0.75 * math.log2(3), 9)


def test_sharpness_is_the_variance_of_the_laplacian():
    flat, ramp = np.full((5, 5), 9, np.uint8), np.tile(np.arange(0, 250, 10, dtype=np.uint8), (6, 1))
    dot = np.zeros((5, 5), np.uint8)
    dot[2, 2] = 100
    # Inner 3 x 3: -400 in the middle, 100 at its four neighbours, 0 at the corners; their mean is 0.
    assert sharpness(dot) == (400**2 + 4 * 100**2) / 9
    assert sharpness(flat) == 0.0
    assert sharpness(ramp) == 0.0, "a linear ramp has no edge"


def test_sharpness_does_not_overflow_on_a_checkerboard():
    board = (np.indices((6, 6)).sum(axis=0) % 2 * 255).astype(np.uint8)

    assert sharpness(board) == 1020.0**2


def test_a_picture_without_an_inner_pixel_has_no_sharpness():
    assert measured(Image.new("L", (2, 9)))["sharpness"] is None


def test_colourfulness_follows_hasler_and_suesstrunk():
    red_and_blue = np.array([[[255, 0, 0], [0, 0, 255]]], dtype=np.uint8)
    rg, yb = np.array([255.0, 0.0]), np.array([127.5, -255.0])
    expected = math.hypot(rg.std(), yb.std()) + 0.3 * math.hypot(rg.mean(), yb.mean())

    assert colourfulness(red_and_blue) == pytest.approx(expected, rel=1e-12)
    assert colourfulness(np.full((3, 3, 3), 77, np.uint8)) == 0.0


def test_a_flat_colour_counts_by_its_mean():
    assert measured(Image.new("RGB", (4, 4), (255, 0, 0)))["colourfulness"] == pytest.approx(
        0.3 * math.hypot(255, 127.5), rel=1e-12
    )


def test_dhash_says_where_it_gets_brighter():
    rising = gray([list(range(0, 90, 10))] * 8)
    falling = gray([list(range(80, -10, -10))] * 8)

    assert dhash(rising) == "ffffffffffffffff"
    assert dhash(falling) == "0000000000000000"


def test_dhash_takes_the_first_row_as_its_highest_bits():
    rows = [[0] * 9 for _ in range(8)]
    rows[0] = [0, 1, 0, 0, 0, 0, 0, 0, 0]

    assert dhash(gray(rows)) == "8000000000000000"


def test_near_duplicates_differ_in_few_bits_and_others_in_many():
    rng = np.random.default_rng(2)
    one, other = picture(rng, width=320, height=240), picture(rng, width=320, height=240)

    def bits(left: str, right: str) -> int:
        return (int(left, 16) ^ int(right, 16)).bit_count()

    original = measured(one)["dhash"]
    assert bits(original, measured(one, "JPEG", quality=60)["dhash"]) <= 4
    assert bits(original, measured(one.resize((160, 120)))["dhash"]) <= 4
    assert bits(original, measured(other)["dhash"]) >= 12


def test_a_large_jpeg_is_measured_on_a_reduced_decode_close_to_the_full_one():
    rng = np.random.default_rng(3)
    large = picture(rng, width=1600, height=1200)
    jpeg, png = measured(large, "JPEG", quality=95), measured(large)

    assert jpeg["brightness"] == pytest.approx(png["brightness"], abs=0.002)
    assert jpeg["contrast"] == pytest.approx(png["contrast"], abs=0.002)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_is_measured(mode):
    found = measured(picture(np.random.default_rng(4), mode=mode))

    assert 0 < found["brightness"] < 1
    assert found["entropy"] > 0
    assert (found["colourfulness"] > 1) == (mode in ("P", "RGB", "RGBA"))


def test_cmyk_is_measured_in_rgb():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))

    assert measured(red, "TIFF")["brightness"] == pytest.approx(0.299, abs=0.01)


def test_16_bits_keep_their_upper_half():
    sixteen = Image.fromarray(np.full((4, 4), 0x8012, dtype=np.uint16))

    assert measured(sixteen)["brightness"] == 0x80 / 255


def test_the_first_frame_of_an_animation_is_measured():
    frames = [Image.new("L", (6, 6), level).convert("P") for level in (200, 10)]

    assert measured(frames[0], "GIF", save_all=True, append_images=frames[1:])["brightness"] == 200 / 255


def test_orientation_is_not_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    rising = gray([list(range(0, 240, 10))] * 24)

    turned, plain = measured(rising, "JPEG", exif=exif, quality=95), measured(rising, "JPEG", quality=95)

    assert turned == plain


def test_the_same_bytes_give_the_same_digits():
    data = encoded(picture(np.random.default_rng(6), width=700, height=500), "JPEG")

    assert measure_pixels(ImageView(data)) == measure_pixels(ImageView(data))
