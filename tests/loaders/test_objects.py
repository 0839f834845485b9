"""Boxes, labels, keypoints, polygons and masks of one sample in batches: moved, dropped together, padded, resumed."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from loaders import (
    CenterCrop,
    DecodeError,
    Field,
    FormatError,
    Geometry,
    Letterbox,
    RandomResizedCrop,
    ReadOptions,
    Resize,
    ResizeShorter,
    Sequence,
    Shard,
    Shuffle,
    make_reader,
    stored_boxes,
    write_dataset,
)
from loaders.testing import assert_resumes_exactly
from tests.loaders.test_geometry import BOXES, IMAGE, LABELS, PARTS, SIZES, npy
from tests.loaders.test_moving import counts_of_square

KEYPOINTS = Field(
    "keypoints", pa.binary(), codec="npy", shape=(None, 2, 3), dtype="float32", objects="boxes",
    geometry=Geometry("keypoints", flip_pairs=((0, 1),)),
)  # fmt: skip
POLYGONS = Field(
    "polygons", pa.binary(), codec="npy", shape=(None, 2), dtype="float32", objects="outlines",
    geometry=Geometry("polygons", of="image", sizes="polygon_sizes", parts="polygon_parts"),
)  # fmt: skip
FIELDS = (
    Field("entity_id", pa.string()), IMAGE, BOXES, LABELS, Field("names", pa.list_(pa.string()), objects="boxes"),
    KEYPOINTS, POLYGONS, SIZES, Field(PARTS.name, PARTS.type, shape=(None,), objects="outlines"),
    Field("masks", pa.binary(), codec="coco_rle", geometry=Geometry("masks"), objects="masks"),
)  # fmt: skip
HEIGHT, WIDTH, ROWS = 60, 96, 23


def png(number: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), number, np.uint8)).save(out, "PNG")
    return out.getvalue()


def boxes_of(number: int) -> np.ndarray:
    """As many as number % 4; some of them near the edges."""
    random = np.random.default_rng(number)
    low = random.integers(0, (80, 50), (number % 4, 2))
    return np.concatenate([low, low + random.integers(1, 16, low.shape)], axis=1).astype(np.float32)


def row(number: int) -> dict[str, object]:
    boxes = boxes_of(number)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    points = np.stack([np.column_stack([middles, np.full(len(boxes), 2)]), np.zeros((len(boxes), 3))], axis=1)
    outlines = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    return {
        "entity_id": f"{number:03}", "image": png(number), "boxes": npy(boxes),
        "box_labels": [n % 2 for n in range(len(boxes))],
        "names": [f"{number}/{n}" for n in range(len(boxes))], "keypoints": npy(points), "polygons": npy(outlines),
        "polygon_sizes": [4] * len(boxes), "polygon_parts": [1] * len(boxes),
        "masks": json.dumps({"size": [HEIGHT, WIDTH], "counts": [counts_of_square()] * (number % 3)}).encode(),
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("objects") / "set"
    write_dataset([row(number) for number in range(ROWS)], FIELDS, target, seed=3)
    return target / "train"


def samples(reader):
    """entity_id -> {column: value}, padding left out."""
    found = {}
    for batch in reader:
        for at, name in enumerate(batch["entity_id"]):
            if "is_pad" not in batch or not batch["is_pad"][at]:
                assert name not in found
                found[name] = {column: values[at] for column, values in batch.items()}
    return found


def test_without_a_decoder_all_comes_as_it_is_stored(folder):
    with make_reader(folder, batch_size=4) as reader:
        found = samples(reader)
    assert not any("dropped" in name for name in found["003"])
    np.testing.assert_array_equal(found["003"]["boxes"], boxes_of(3))
    assert found["002"]["masks"].shape == (2, HEIGHT, WIDTH)
    assert (found["002"]["masks"].dtype, int(found["002"]["masks"].sum())) == (np.uint8, 2 * 24 * 24)


def test_what_a_crop_leaves_is_dropped_from_all_columns_alike_and_counted(folder):
    decoder = CenterCrop(40)  # rows 10 to 50, columns 28 to 68
    options = ReadOptions(min_visible=0.5)
    with make_reader(folder, batch_size=4, decoders={"image": decoder}, options=options) as reader:
        found = samples(reader)
        stats = reader.stats()
    assert len(found) == ROWS
    for number in range(ROWS):
        sample, stored = found[f"{number:03}"], boxes_of(number).astype(float)
        moved = np.clip(stored - (28, 10, 28, 10), 0, 40)
        areas = [np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (moved, stored)]
        keep = areas[0] >= 0.5 * areas[1]
        np.testing.assert_array_equal(sample["boxes"], moved[keep])
        np.testing.assert_array_equal(sample["box_labels"], (np.arange(number % 4) % 2)[keep])
        assert sample["names"] == [f"{number}/{n}" for n in np.flatnonzero(keep)]
        assert sample["keypoints"].shape == (keep.sum(), 2, 3)
        assert sample["boxes_dropped"] == (~keep).sum() == sample["outlines_dropped"]
        np.testing.assert_array_equal(sample["polygon_parts"], np.ones(keep.sum()))
        assert len(sample["polygons"]) == sample["polygon_sizes"].sum()
        assert sample["masks"].shape == ((number % 3), 40, 40)
        assert sample["image"].shape == (40, 40, 3)
    total = 2 * sum(number % 4 for number in range(ROWS)) + sum(number % 3 for number in range(ROWS))
    assert stats.objects == total
    groups = ("boxes", "outlines", "masks")
    assert stats.objects_dropped == sum(sample[f"{name}_dropped"] for sample in found.values() for name in groups)
    assert f"{stats.objects_dropped:,} of them dropped" in str(stats)


def test_keypoints_change_places_in_a_mirror_and_stay_with_their_boxes(folder):
    with make_reader(folder, batch_size=4, decoders={"image": Resize((60, 96), flip=1.0)}) as reader:
        for name, sample in samples(reader).items():
            boxes, stored = sample["boxes"], boxes_of(int(name))
            np.testing.assert_array_equal(boxes, (96 - stored[:, [2, 1, 0, 3]]) * (1, 0, 1, 0) + stored * (0, 1, 0, 1))
            middles = (boxes[:, :2] + boxes[:, 2:]) / 2
            np.testing.assert_allclose(sample["keypoints"][:, 1, :2], middles)
            assert not sample["keypoints"][:, 0].any()


def test_an_object_stays_with_its_box_when_its_keypoints_left_and_points_alone_decide_without(tmp_path):
    far = [[[90, 50, 2], [91, 51, 2]], [[30, 30, 2], [90, 50, 2]]]
    rows = [{"entity_id": "a", "image": png(1), "boxes": npy([[30, 20, 50, 40]] * 2), "keypoints": npy(far)}]
    for fields, left in (((IMAGE, BOXES, KEYPOINTS), 2), ((IMAGE, KEYPOINTS), 1)):
        write_dataset(rows, (Field("entity_id", pa.string()), *fields), tmp_path / str(left), seed=1)
        options = ReadOptions(min_visible=0.5)
        decoders = {"image": CenterCrop(40)}
        with make_reader(tmp_path / str(left) / "train", batch_size=1, decoders=decoders, options=options) as reader:
            batch = next(reader)
        assert batch["boxes_dropped"].tolist() == [2 - left]
        np.testing.assert_array_equal(batch["keypoints"][0][-1], [[2, 20, 2], [0, 0, 0]])


@pytest.mark.parametrize("pool", ["threads", "processes", "inline"])
def test_pools_and_ranks_give_the_same_objects(folder, pool):
    def read(world, pool):
        found = {}
        for rank in range(world):
            options = ReadOptions(pool=pool, workers=2, pad_to={"boxes": 3})
            with make_reader(
                folder, batch_size=8 // world, decoders={"image": RandomResizedCrop(32, flip=0.5)}, options=options,
                shuffle=Shuffle(seed=5, lanes=4), shard=Shard(rank, world), epochs=2,
            ) as reader:  # fmt: skip
                for epoch in range(2):
                    for _ in range(reader.steps_per_epoch):
                        batch = next(reader)
                        for at, name in enumerate(batch["entity_id"]):
                            if not batch["is_pad"][at]:
                                found[epoch, name] = {key: value[at] for key, value in batch.items()}
        return found

    one, other = read(1, "threads"), read(2, pool)
    assert one.keys() == other.keys()
    assert any((one[0, name]["boxes"] != one[1, name]["boxes"]).any() for _, name in one)
    for key, sample in one.items():
        for column, value in sample.items():
            np.testing.assert_array_equal(value, other[key][column], err_msg=f"{key}, {column}")


def test_moved_and_padded_objects_resume_exactly(folder):
    assert_resumes_exactly(
        lambda: make_reader(
            folder, batch_size=4, decoders={"image": RandomResizedCrop(24, flip=0.5)}, shuffle=Shuffle(seed=2),
            columns=["entity_id", "image", "boxes", "box_labels", "masks"],
            options=ReadOptions(pad_to={"boxes": 3}, min_visible=0.2),
        )
    )  # fmt: skip


def test_padded_objects_come_as_arrays_with_their_counts_within_the_stated_memory(folder):
    columns = ["entity_id", "image", "boxes", "box_labels", "names", "keypoints", "masks"]
    options = ReadOptions(pad_to={"boxes": 5, "masks": 2})
    decoders = {"image": Letterbox(64)}
    with make_reader(folder, batch_size=8, columns=columns, decoders=decoders, options=options) as reader:
        plain = make_reader(folder, batch_size=8, columns=columns, decoders=decoders)
        each = 8 * (5 * (16 + 8 + 24) + 2 * 64 * 64 + 2 * 8)  # what padding adds to a batch
        chunks = (reader.memory_bound_bytes - plain.memory_bound_bytes) / each
        assert 4 <= chunks <= 15  # the goes of the formula, and two
        plain.close()
        batch = next(reader)
    assert batch["boxes"].shape == (8, 5, 4)
    assert batch["box_labels"].shape == (8, 5)
    assert batch["keypoints"].shape == (8, 5, 2, 3)
    assert batch["masks"].shape == (8, 2, 64, 64)
    for at, name in enumerate(batch["entity_id"]):
        count = int(name) % 4
        assert (batch["boxes_count"][at], batch["masks_count"][at]) == (count, int(name) % 3)
        assert not batch["boxes"][at, count:].any()
        np.testing.assert_array_equal(batch["box_labels"][at], [n % 2 for n in range(count)] + [-1] * (5 - count))
        assert len(batch["names"][at]) == count


def test_more_objects_than_places_are_an_error_that_names_the_row_or_skipped(folder):
    columns = ["entity_id", "boxes"]
    with make_reader(folder, batch_size=ROWS, columns=columns, options=ReadOptions(pad_to={"boxes": 2})) as reader:
        with pytest.raises(DecodeError, match="column boxes: 3 objects, and pad_to gives 'boxes' room for 2") as caught:
            next(reader)
    assert caught.value.column == "boxes"
    options = ReadOptions(pad_to={"boxes": 2}, on_error="skip")
    with make_reader(folder, batch_size=ROWS, columns=columns, options=options) as reader:
        found = samples(reader)
        assert len(reader.skipped) == sum(number % 4 > 2 for number in range(ROWS))
    assert {int(name) % 4 for name in found} == {0, 1, 2}


def test_pictures_of_varying_size_come_as_lists_with_their_boxes(folder):
    with make_reader(folder, batch_size=4, decoders={"image": ResizeShorter(30, 100)}) as reader:
        for name, sample in samples(reader).items():
            assert sample["image"].shape == (30, 48, 3)
            np.testing.assert_array_equal(sample["boxes"], boxes_of(int(name)) / 2)
            assert sample["masks"].shape[1:] == (30, 48)


def test_boxes_of_decoded_pictures_go_back_by_the_affine_of_their_sample(folder):
    options = ReadOptions(affines=True)
    decoders = {"image": Letterbox((100, 50), flip=0.5)}
    with make_reader(folder, batch_size=4, decoders=decoders, options=options, shuffle=Shuffle(seed=1)) as reader:
        found = samples(reader)
    for name, sample in found.items():
        assert (sample["image_affine"].dtype, sample["image_affine"].shape) == (np.float64, (2, 3))
        back = stored_boxes(sample["boxes"], sample["image_affine"])
        np.testing.assert_allclose(back, boxes_of(int(name)), atol=1e-4)
    assert {bool(sample["image_affine"][0, 0] < 0) for sample in found.values()} == {True, False}
    columns = ["entity_id", "image"]
    with make_reader(folder, batch_size=4, columns=columns, decoders=decoders, options=options) as reader:
        assert next(reader).keys() == {"entity_id", "image", "image_affine", "is_pad"}


@pytest.mark.parametrize("decoders", [{}, {"image": Resize(8)}], ids=["stored", "resized"])
def test_masks_that_claim_too_much_are_refused_with_their_place(tmp_path, decoders):
    counts = ["0"] * 200_000  # of 5,760 px each: more than a gigabyte in 1 MB
    rows = [{**row(1), "masks": json.dumps({"size": [HEIGHT, WIDTH], "counts": counts}).encode()}]
    write_dataset(rows, FIELDS, tmp_path / "set", seed=1)
    with make_reader(tmp_path / "set" / "train", batch_size=1, decoders=decoders) as reader:
        with pytest.raises(DecodeError, match="column masks: 200,000 masks of 60 x 96 pixels take more than") as caught:
            next(reader)
    assert (caught.value.column, caught.value.row) == ("masks", 0)


def test_the_rows_of_a_sequence_move_alike(tmp_path):
    fields = (*FIELDS, Field("clip", pa.int64()), Field("frame", pa.int64()))
    rows = [{**row(number), "clip": number // 5, "frame": number % 5} for number in range(20)]
    write_dataset(rows, fields, tmp_path / "set", seed=1)
    with make_reader(
        tmp_path / "set" / "train", batch_size=4, sequence=Sequence(length=3, by="clip", order="frame"),
        decoders={"image": RandomResizedCrop(24, flip=0.5)}, shuffle=Shuffle(seed=1),
        options=ReadOptions(affines=True, pad_to={"boxes": 3}),
    ) as reader:  # fmt: skip
        batch = next(reader)
    assert (batch["boxes"].shape, batch["boxes_count"].shape) == ((4, 3, 3, 4), (4, 3))
    for sample, names in enumerate(batch["entity_id"]):
        for at, name in enumerate(names):
            assert batch["boxes_count"][sample, at] + batch["boxes_dropped"][sample, at] == int(name) % 4
            np.testing.assert_array_equal(batch["image_affine"][sample, at], batch["image_affine"][sample, 0])


class Silent:
    """A decoder that does not say where it puts the picture."""

    shape = (4, 4, 3)
    dtype = np.dtype("uint8")

    def into(self, raw, out, *, seed, max_pixels):
        out[...] = 1


@pytest.mark.parametrize(("changes", "message"), [
    ({"columns": ["image", "box_labels"]}, "read the column with their boxes"),
    ({"columns": ["image", "polygons"]}, "cut by 'polygon_sizes': read that, too"),
    ({"options": ReadOptions(pad_to={"outlines": 4})}, "are polygons, which have no size in common"),
    ({"options": ReadOptions(pad_to={"dogs": 4})}, r"pad_to names \['dogs'\]"),
    ({"options": ReadOptions(pad_to={"masks": 4}), "decoders": {"image": ResizeShorter(8, 9)}}, "gives one size"),
    ({"decoders": {"image": Silent()}}, "does not say where it puts the picture"),
])  # fmt: skip
def test_arguments_that_would_give_wrong_objects_are_refused(folder, changes, message):
    arguments = {"batch_size": 4, "decoders": {"image": CenterCrop(8)}, **changes}
    with pytest.raises(FormatError, match=message), make_reader(folder, **arguments) as reader:
        next(reader)


def test_a_decoder_that_says_nothing_is_fine_beside_columns_that_do_not_move(folder):
    with make_reader(folder, batch_size=4, columns=["image"], decoders={"image": Silent()}) as reader:
        assert (next(reader)["image"] == 1).all()


def test_lists_of_different_lengths_are_damage_by_name(tmp_path):
    rows = [{**row(3), "box_labels": [0, 1]}]
    write_dataset(rows, FIELDS, tmp_path / "set", seed=1)
    with make_reader(tmp_path / "set" / "train", batch_size=1, decoders={"image": Resize(8)}) as reader:
        counts = "boxes 3, keypoints 3, box_labels 2, names 3"
        with pytest.raises(DecodeError, match=f"different numbers of entries: {counts}"):
            next(reader)


@pytest.mark.parametrize("options", [{"min_visible": 1.5}, {"pad_to": {"boxes": 0}}])
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(FormatError):
        ReadOptions(**options)
