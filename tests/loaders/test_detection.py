"""Objects as targets of detection models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from loaders import CenterCrop, Field, FormatError, Geometry, ReadOptions, Resize, Shuffle, make_reader, write_dataset
from loaders.testing import assert_resumes_exactly
from tests.loaders.test_geometry import BOXES, IMAGE, LABELS, npy
from tests.loaders.test_objects import FIELDS, ROWS, boxes_of, folder, png, row  # noqa: F401  a fixture

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from loaders.tensors import detection  # noqa: E402
from loaders.torch import Targets, tensors  # noqa: E402  after the check that torch is there

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def test_targets_have_the_names_of_torchvision_and_classes_from_one(folder):  # noqa: F811
    with tensors(make_reader(folder, batch_size=4, decoders={"image": CenterCrop(40)}), targets=Targets()) as batches:
        batch = next(batches)
    assert batch["image"].shape == (4, 3, 40, 40)
    assert {"boxes", "box_labels", "keypoints", "names", "boxes_dropped"}.isdisjoint(batch)
    for at, name in enumerate(batch["entity_id"]):
        target = batch["targets"][at]
        boxes = np.clip(boxes_of(int(name)) - (28, 10, 28, 10), 0, 40)
        keep = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        assert (target["boxes"].dtype, target["labels"].dtype) == (torch.float32, torch.int64)
        np.testing.assert_array_equal(target["boxes"], boxes[keep])
        np.testing.assert_array_equal(target["labels"], (np.arange(len(boxes)) % 2)[keep] + 1)
        assert target["keypoints"].shape == (keep.sum(), 2, 3)
        assert target["names"] == [f"{int(name)}/{n}" for n in np.flatnonzero(keep)]
        assert target["dropped"] == (~keep).sum()


def test_masks_and_padded_objects_come_too_and_pictures_that_differ_are_a_list(folder):  # noqa: F811
    with tensors(make_reader(folder, batch_size=4), targets=Targets("masks")) as batches:
        batch = next(batches)
        assert [tuple(each.shape) for each in batch["image"]] == [(3, 60, 96)] * 4
        for name, target in zip(batch["entity_id"], batch["targets"], strict=True):
            assert (target["masks"].dtype, target["masks"].shape) == (torch.uint8, (int(name) % 3, 60, 96))
    options = ReadOptions(pad_to={"boxes": 5})
    columns = ["entity_id", "image", "boxes", "box_labels"]
    with tensors(make_reader(folder, batch_size=4, columns=columns, options=options), targets=Targets()) as batches:
        batch = next(batches)
        for name, target in zip(batch["entity_id"], batch["targets"], strict=True):
            np.testing.assert_array_equal(target["boxes"], boxes_of(int(name)))
            np.testing.assert_array_equal(target["labels"], np.arange(int(name) % 4) % 2 + 1)


def test_xywh_becomes_xyxy(tmp_path):
    stored = replace(BOXES, geometry=Geometry("xywh"))
    rows = [{"entity_id": "a", "image": png(1), "boxes": npy([[2, 4, 10, 6]]), "box_labels": [1]}]
    write_dataset(rows, (FIELDS[0], IMAGE, stored, LABELS), tmp_path / "set", seed=1)
    reader = make_reader(tmp_path / "set" / "train", batch_size=1, decoders={"image": Resize((120, 96))})
    with tensors(reader, targets=Targets(first_label=0)) as batches:
        target = next(batches)["targets"][0]
    assert (target["boxes"].tolist(), target["labels"].tolist()) == ([[2, 8, 12, 20]], [1])


def test_targets_resume_exactly(folder):  # noqa: F811
    columns = ["entity_id", "image", "boxes", "box_labels"]

    def make():
        reader = make_reader(
            folder, batch_size=8, columns=columns, decoders={"image": CenterCrop(40)}, shuffle=Shuffle(seed=2)
        )
        return tensors(reader, targets=Targets())

    assert_resumes_exactly(make)


def test_tv_tensors_know_the_size_of_their_picture(folder):  # noqa: F811
    tv = pytest.importorskip("torchvision.tv_tensors")
    transforms = pytest.importorskip("torchvision.transforms.v2")
    reader = make_reader(folder, batch_size=4, decoders={"image": Resize((30, 48))})
    with tensors(reader, targets=Targets(tv_tensors=True)) as batches:
        batch = next(batches)
    for at, name in enumerate(batch["entity_id"]):
        target = batch["targets"][at]
        assert isinstance(target["boxes"], tv.BoundingBoxes)
        assert (target["boxes"].format.value, target["boxes"].canvas_size) == ("XYXY", (30, 48))
        assert isinstance(target["keypoints"], tv.KeyPoints)
        assert target["visibility"].shape == (int(name) % 4, 2)
        # torchvision's own resizing of the boxes as they are stored gives the same.
        stored = tv.BoundingBoxes(torch.from_numpy(boxes_of(int(name))), format="XYXY", canvas_size=(60, 96))
        resized = transforms.functional.resize(stored, [30, 48])
        assert torch.allclose(resized.float(), target["boxes"].float(), atol=1e-4)
    assert isinstance(batch["image"], tv.Image)


def test_a_detector_of_torchvision_trains_on_the_targets(folder):  # noqa: F811
    models = pytest.importorskip("torchvision.models.detection")
    reader = make_reader(
        folder, batch_size=2, columns=["entity_id", "image", "boxes", "box_labels"], shuffle=Shuffle(seed=3)
    )
    with tensors(reader, targets=Targets()) as batches:
        batch = next(batch for batch in batches if all(len(target["boxes"]) for target in batch["targets"]))
    model = models.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    losses = model([each.float() / 255 for each in batch["image"]], batch["targets"])
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_without_torchvision_tv_tensors_are_refused_by_name(folder, monkeypatch):  # noqa: F811
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(detection.importlib, "import_module", missing)
    with make_reader(folder, batch_size=4) as reader, pytest.raises(FormatError, match="needs torchvision"):
        tensors(reader, targets=Targets(tv_tensors=True))


@pytest.mark.parametrize(("targets", "columns", "message"), [
    (Targets("dogs"), None, r"no shapes of the objects 'dogs' are read; there are \['boxes', 'masks', 'outlines'\]"),
    (Targets(), ["image", "box_labels"], "no shapes of the objects 'boxes'"),
    (Targets(), ["boxes"], "lie in 'image': read that column, too"),
])  # fmt: skip
def test_targets_that_cannot_be_are_refused(folder, targets, columns, message):  # noqa: F811
    with make_reader(folder, batch_size=4, columns=columns) as reader, pytest.raises(FormatError, match=message):
        tensors(reader, targets=targets)


def test_two_columns_with_one_name_are_refused(tmp_path):
    other = Field("box_kinds", pa.list_(pa.int64()), shape=(None,), classes=("x",), objects="boxes")
    rows = [{**row(1), "box_kinds": [0]}]
    write_dataset(rows, (*FIELDS, other), tmp_path / "set", seed=1)
    with make_reader(tmp_path / "set" / "train", batch_size=1) as reader:
        with pytest.raises(FormatError, match="two columns would have one name"):
            tensors(reader, targets=Targets())


@needs_cuda
def test_targets_are_on_the_device(folder):  # noqa: F811
    with tensors(make_reader(folder, batch_size=4), device="cuda", targets=Targets()) as batches:
        seen = 0
        for batch in batches:
            seen += 1
            assert {target["boxes"].device.type for target in batch["targets"]} == {"cuda"}
            for name, target in zip(batch["entity_id"], batch["targets"], strict=True):
                np.testing.assert_array_equal(target["boxes"].cpu(), boxes_of(int(name)))
    assert seen == -(-ROWS // 4)
