"""What lies in a picture moves with its pixels: proven by pictures in which the objects are painted."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from loaders.decoding import moving
from loaders.decoding.decoders import CenterCrop, RandomResizedCrop
from loaders.decoding.masks import Runs
from loaders.decoding.pictures import Box
from loaders.decoding.placement import (
    Placement,
    stored_box,
    stored_boxes,
    stored_points,
    turned,
    turned_points,
    whole,
)
from loaders.decoding.polygons import area_of, clipped
from loaders.decoding.resizing import Letterbox, Resize, ResizeShorter
from loaders.errors import DecodeError, FormatError

LIMIT = 1_000_000
HEIGHT, WIDTH = 60, 96
SQUARE = (24, 12, 48, 36)
"""x_min, y_min, x_max, y_max of what is white in the stored picture."""


def stored(orientation: int = 1, kind: str = "PNG") -> memoryview:
    """A black picture with one white square, and EXIF that says how to turn it."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    x0, y0, x1, y1 = SQUARE
    pixels[y0:y1, x0:x1] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    more = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    Image.fromarray(pixels).save(out, kind, exif=exif, **more)
    return memoryview(out.getvalue())


def drawn(decoder, raw: memoryview, seed: int = 7):
    if None in decoder.shape:
        return decoder.decoded(raw, seed=seed, max_pixels=LIMIT)
    out = np.full(decoder.shape, 99, np.uint8)
    return out, decoder.into(raw, out, seed=seed, max_pixels=LIMIT)


def seen_box(pixels: np.ndarray) -> list[float]:
    """The bounds of what is white; half a pixel of grey at its edge counts."""
    rows, columns = np.nonzero(pixels[..., 0] > 127)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


DECODERS = [
    Resize((120, 96)), Resize((30, 96), flip=1.0), Letterbox(128), Letterbox((200, 64), flip=1.0), CenterCrop(48),
    CenterCrop((20, 50), resize=60), CenterCrop(96, resize=120), ResizeShorter(30, 100), ResizeShorter(120, 100_000),
    ResizeShorter(60, 60, flip=1.0), RandomResizedCrop((60, 80), scale=(0.6, 1.0), flip=0.5),
    RandomResizedCrop((15, 20), scale=(0.8, 1.0), exact=False, flip=1.0),
]  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("turns", [True, False])
def test_boxes_lie_where_the_pixels_lie_for_all_orientations(orientation, kind, turns):
    """With `exif` pictures are turned and boxes with them, without neither is: both are right."""
    raw = stored(orientation, kind)
    for made in DECODERS:
        values = {name: getattr(made, name) for name in made.__slots__ if name not in ("shape", "dtype", "exif")}
        decoder = type(made)(**values, exif=turns)
        for seed in range(3):
            pixels, placement = drawn(decoder, raw, seed)
            assert placement.orientation == (orientation if turns else 1)
            found = moving.boxes(np.array([SQUARE], np.float32), placement, kind="xyxy")
            assert found.values.dtype == np.float32
            np.testing.assert_allclose(found.values[0], seen_box(pixels), atol=1.01, err_msg=f"{decoder}, {seed}")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_lies_in_the_decoded_picture_finds_its_way_back(orientation):
    points = np.array([[0.0, 0.0], [96.0, 60.0], [13.5, 7.25]])
    for made in DECODERS:
        values = {name: getattr(made, name) for name in made.__slots__ if name not in ("shape", "dtype", "exif")}
        _, placement = drawn(type(made)(**values, exif=True), stored(orientation))
        moved = placement.points(points)
        np.testing.assert_allclose(np.column_stack([points, np.ones(3)]) @ placement.affine.T, moved, atol=1e-9)
        np.testing.assert_allclose(stored_points(moved, placement.affine), points, atol=1e-9)
        corners = placement.points(np.array(SQUARE, dtype=np.float64).reshape(2, 2))
        box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])[None]
        np.testing.assert_allclose(stored_boxes(box, placement.affine), [SQUARE], atol=1e-9)


def test_turning_is_that_of_pillow_and_of_every_pixel():
    pixels = np.arange(3 * 5).reshape(3, 5).astype(np.uint8)
    from PIL import ImageOps

    for orientation in range(1, 9):
        image = Image.fromarray(pixels)
        image.getexif()[0x0112] = orientation
        wanted = np.asarray(ImageOps.exif_transpose(image))
        np.testing.assert_array_equal(turned(pixels, orientation), wanted)
        for (row, column), value in np.ndenumerate(pixels):
            x, y = turned_points(np.array([column + 0.5]), np.array([row + 0.5]), 3, 5, orientation)
            assert wanted[int(y[0]), int(x[0])] == value
        box = Box(0, 1, *(part - 1 for part in wanted.shape))
        there = stored_box(box, 3, 5, orientation)
        part = pixels[there.top : there.top + there.height, there.left : there.left + there.width]
        np.testing.assert_array_equal(turned(part, orientation), wanted[0 : box.height, 1 : 1 + box.width])


def test_a_picture_whose_exif_is_damaged_or_none_is_not_turned():
    from loaders.decoding.orientation import orientation_of

    assert [orientation_of(stored(each, "JPEG")) for each in range(1, 9)] == list(range(1, 9))
    raw = bytearray(stored(6, "JPEG"))
    at = raw.find(b"Exif\x00\x00")
    raw[at + 6 : at + 14] = b"\xff" * 8
    assert orientation_of(memoryview(raw)) == 1
    assert orientation_of(stored(9)) == 1
    assert orientation_of(memoryview(b"no picture")) == 1


# ------------------------------------------------------------------------------------------------ by hand

CROP = Placement(100, 200, (50.0, 20.0, 100.0, 50.0), Box(0, 0, 100, 200), (100, 200))
"""The part from (50, 20) to (150, 70), at twice its size."""


def test_boxes_are_moved_cut_and_shares_counted():
    given = np.array([
        [60, 30, 70, 40], [40, 10, 60, 30], [0, 0, 50, 100], [60, 30, 60, 40], [40, 30, 40, 40], [50, 20, 150, 70],
        [140, 60, 160, 70], [90, 70, 90, 70], [150, 90, 170, 95],
    ], np.float32)  # fmt: skip
    found = moving.boxes(given, CROP, kind="xyxy")
    np.testing.assert_array_equal(found.values[[0, 1, 5, 6]], [
        [20, 20, 40, 40], [0, 0, 20, 20], [0, 0, 200, 100], [180, 80, 200, 100],
    ])  # fmt: skip
    np.testing.assert_allclose(found.shares, [1, 0.25, 0, 1, 0, 1, 0.5, 1, 0])


def test_xywh_is_xyxy_otherwise_written_and_a_mirror_keeps_x_min_first():
    mirrored = Placement(100, 200, (50.0, 20.0, 100.0, 50.0), Box(0, 0, 100, 200), (100, 200), mirrored=True)
    found = moving.boxes(np.array([[60, 30, 10, 10], [40, 10, 20, 20]], np.float32), mirrored, kind="xywh")
    np.testing.assert_array_equal(found.values, [[160, 20, 20, 20], [180, 0, 20, 20]])
    np.testing.assert_allclose(found.shares, [1, 0.25])
    assert moving.boxes(np.zeros((0, 4), np.float32), mirrored, kind="xywh").values.shape == (0, 4)


def test_what_lies_beside_the_picture_in_a_letterbox_is_cut_at_its_edge():
    bars = Placement(50, 100, (0.0, 0.0, 100.0, 50.0), Box(25, 0, 50, 100), (100, 100), mirrored=True)
    found = moving.boxes(np.array([[-10, -10, 10, 10]], np.float32), bars, kind="xyxy")
    np.testing.assert_array_equal(found.values, [[90, 25, 100, 35]])
    np.testing.assert_allclose(found.shares, [0.25])


def test_keypoints_that_leave_are_not_labelled_and_pairs_change_places_in_a_mirror():
    given = np.array([[[60, 30, 2], [0, 0, 0], [10, 10, 2]], [[0, 0, 0]] * 3, [[10, 10, 1]] * 3], np.float32)
    found = moving.keypoints(given, CROP, ((0, 2),))
    np.testing.assert_array_equal(found.values, [[[20, 20, 2], [0] * 3, [0] * 3], [[0] * 3] * 3, [[0] * 3] * 3])
    np.testing.assert_allclose(found.shares, [0.5, 1, 0])
    mirrored = Placement(100, 200, CROP.window, CROP.place, CROP.canvas, mirrored=True)
    swapped = moving.keypoints(given, mirrored, ((0, 2),)).values[0]
    np.testing.assert_array_equal(swapped, [[0] * 3, [0] * 3, [180, 20, 2]])
    np.testing.assert_array_equal(moving.keypoints(given, mirrored, ()).values[0], [[180, 20, 2], [0] * 3, [0] * 3])


def test_points_stay_on_the_edge_of_what_is_seen():
    found = moving.points(np.array([[50, 20], [150, 70], [49.5, 30], [100, 70.5]], np.float32), CROP)
    np.testing.assert_array_equal(found.shares, [1, 1, 0, 0])
    np.testing.assert_array_equal(found.values[:2], [[0, 0], [200, 100]])


def test_polygons_are_cut_as_their_pixels_are():
    """Against Pillow's rasteriser: the area of the cut outline is that of its mask, cut."""
    from PIL import ImageDraw

    random = np.random.default_rng(5)
    for _ in range(40):
        angles = np.sort(random.random(9)) * 2 * np.pi
        radius = random.uniform(30, 140, 9)
        outline = np.stack([100 + radius * np.cos(angles), 60 + radius * np.sin(angles)], axis=1)
        x0, y0, x1, y1 = (30, 20, 150, 110)
        cut = clipped(outline, (x0, y0, x1, y1))
        image = Image.new("1", (3200, 3200))
        ImageDraw.Draw(image).polygon([(8 * x + 800, 8 * y + 800) for x, y in outline], fill=1)
        mask = np.asarray(image)[800 + 8 * y0 : 800 + 8 * y1, 800 + 8 * x0 : 800 + 8 * x1]
        assert area_of(cut) == pytest.approx(mask.sum() / 64, rel=0.02, abs=3)
        assert cut.min(initial=x0) >= min(x0, y0)
        assert not len(cut) or ((cut >= [x0, y0]) & (cut <= [x1, y1])).all()


def test_parts_of_polygons_that_leave_go_and_objects_keep_their_order():
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float32)
    places = np.array([[60, 30], [0, 0], [45, 30], [300, 300], [140, 60]], np.float32)
    points = (places[:, None] + square).reshape(-1, 2)
    given = moving.Polygons(points, np.full(5, 4), np.array([2, 1, 1, 1, 0]))
    found, shares = moving.polygons(given, CROP)
    np.testing.assert_array_equal(found.parts, [1, 1, 0, 1, 0])
    np.testing.assert_array_equal(found.sizes, [4, 4, 4])
    np.testing.assert_allclose(shares, [0.5, 0.5, 0, 1, 1])
    kept = found.chosen(np.array([False, True, False, True, False]))
    np.testing.assert_array_equal(kept.points[:4], [[0, 20], [10, 20], [10, 40], [0, 40]])
    np.testing.assert_array_equal(kept.sizes, [4, 4])
    with pytest.raises(DecodeError, match="sizes say 4"):
        moving.Polygons(square[:3], np.array([4]), np.array([1]))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_lie_where_their_boxes_lie(orientation):
    runs = Runs(HEIGHT, WIDTH, (counts_of_square(),))
    for made in (Resize((120, 96), exif=True, flip=1.0), Letterbox(256, exif=True), CenterCrop(40, exif=True)):
        _, placement = drawn(made, stored(orientation))
        found = moving.masks(runs, placement)
        box = moving.boxes(np.array([SQUARE], np.float32), placement, kind="xyxy")
        assert found.values.shape == (1, *placement.canvas)
        rows, columns = np.nonzero(found.values[0])
        bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(bounds, box.values[0], atol=0.51)
        np.testing.assert_allclose(found.shares, box.shares)
    with pytest.raises(DecodeError, match="masks of 60 x 96 px on a picture of 96 x 60 px"):
        moving.masks(runs, whole(WIDTH, HEIGHT, (8, 8)))


def counts_of_square() -> str:
    """The mask of the square as COCO's text, written here a second time."""
    x0, y0, x1, y1 = SQUARE
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[y0:y1, x0:x1] = 1
    flat = mask.T.reshape(-1)
    ends = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *ends, len(flat)]).tolist()
    text = ""
    for at, length in enumerate(lengths):
        value = length - lengths[at - 2] if at > 2 else length
        more = True
        while more:
            group, value = value & 31, value >> 5
            more = not (value == (-1 if group & 16 else 0))
            text += chr(48 + group + 32 * more)
    return text


def test_sizes_are_those_of_torchvision_and_what_is_none_is_refused():
    assert ResizeShorter(800, 1333).size_of(480, 640) == (800, 1066)
    assert ResizeShorter(800, 1333).size_of(1000, 300) == (1333, 400)
    assert ResizeShorter(800, 1333).most_bytes == 3 * 800 * 1333
    for make, arguments in ((Resize, (0,)), (Resize, (8, 2)), (Letterbox, (8, 300)), (ResizeShorter, (9, 8))):
        with pytest.raises(FormatError):
            make(*arguments)
