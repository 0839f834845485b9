"""The example of the Deep Lake paper: crops of pictures, worst predicted boxes first, by an IoU of the user's."""

from __future__ import annotations

import numpy as np
import pytest

import lakehouse as lh
from examples.cells.__main__ import ACTOR, QUESTION, _region
from examples.cells.find import find_cells
from examples.worst import CROPS, PARAMS, WORST, batches, overlap
from lakehouse.sql import user_query
from tests.parity.world import opened


@pytest.fixture(scope="module")
def root(real_data, tmp_path_factory):
    """A lake with pictures of blood cells, their labels, and what a baseline predicts."""
    data = real_data("bccd")
    folder = tmp_path_factory.mktemp("paper") / "lake"
    with opened(folder, "embedded") as lake:
        wanted = ("BloodImage_0000[0-5].jpg",)
        lh.land(lake, lh.Source(name="cells", folder=str(data / "JPEGImages"), include=wanted, mode="link"))
        lh.entities(lake)
        source = lh.OpinionSource(
            format="voc", path=str(data / "Annotations"), source="cells", question=QUESTION, actor="import:voc",
            labels=("RBC", "WBC", "Platelets"),
        )  # fmt: skip
        lh.opinions(lake, source)
        with lake.stream("select entity_id from entities", batch_size=2, columns=["entity_id", "image"]) as stream:
            said = [
                {"entity_id": entity, "regions": [_region(each) for each in find_cells(picture)]}
                for batch in stream
                for entity, picture in zip(batch["entity_id"], batch["image"], strict=True)
            ]
        lh.record_opinions(lake, said, source="cells", question=QUESTION, actor=ACTOR)
    return folder


def test_crops_of_blood_cells_come_worst_first_and_as_batches(root):
    with opened(root, "embedded") as lake:
        found = lh.fetch(lake, CROPS, params=PARAMS)
        assert len(found) == PARAMS["rows"]
        ious = [row["iou"] for row in found]
        assert ious == sorted(ious)
        assert 0 <= ious[0] < 0.5
        assert user_query(root, CROPS, params=PARAMS).to_pylist() == found
        # The same by NumPy alone, of one picture's boxes.
        picture = found[0]["entity_id"]
        boxes = {
            actor: np.array([[region[key] for key in "xywh"] for row in lh.fetch(
                lake, "select regions from silver.opinions where subject_id = $id and actor_id = $actor",
                params={"id": picture, "actor": actor}) for region in row["regions"]])
            for actor in (PARAMS["truth"], PARAMS["model"])
        }  # fmt: skip
        table = np.stack([overlap(np.tile(box, (len(boxes["import:voc"]), 1)), boxes["import:voc"])
                          for box in boxes["model:threshold@1"]])  # fmt: skip
        assert table.max(axis=1).min() == pytest.approx(ious[0])
        streamed = list(batches(lake, batch_size=4))
        assert [iou for batch in streamed for iou in batch["iou"].tolist()] == ious
        shapes = {(row["entity_id"], tuple(row["box"])): row["shape"] for row in found}
        for batch in streamed:
            for entity, box, crop in zip(batch["entity_id"], batch["box"], batch["crop"], strict=True):
                assert list(crop.shape) == shapes[entity, tuple(box)]


@pytest.mark.spark
def test_spark_gives_the_same_boxes_and_crops(root, spark):
    with opened(root, "spark") as lake:
        by_spark = [lh.fetch(lake, text, params=PARAMS) for text in (CROPS, WORST)]
    with opened(root, "embedded") as lake:
        assert by_spark == [lh.fetch(lake, text, params=PARAMS) for text in (CROPS, WORST)]
