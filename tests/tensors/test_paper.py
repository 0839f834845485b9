"""The example of the Deep Lake paper: crops of pictures, worst predicted boxes first, by an IoU of the user's."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np

import lakehouse as lh
from lakehouse.sql import user_query

PAIRS = """
with truth as (select subject_id as entity_id, unnest(regions) as t from silver.opinions where actor_id like '%truth%'),
said as (select subject_id as entity_id, unnest(regions) as p from silver.opinions where actor_id like '%jittered%'),
pairs as (
    select said.entity_id, [p.x, p.y, p.w, p.h] as box,
        max(overlap([p.x, p.y, p.w, p.h], [t.x, t.y, t.w, t.h])) as iou
    from said join truth on truth.entity_id = said.entity_id group by all
)
select entity_id, box, iou, nd_shape(nd_crop(entity_id, box)) as shape from pairs order by iou, entity_id, box limit 5
"""


@lh.sql_function(gives="number", version=1)
def overlap(a: Any, b: Any) -> Any:
    """Shared area over the area of the union of boxes [x, y, w, h]."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    return shared / (a[:, 2:].prod(axis=1) + b[:, 2:].prod(axis=1) - shared)


def test_crops_of_blood_cells_come_worst_first(lake, real_data):
    root = real_data("bccd")
    lh.land(lake, lh.Source(name="bccd", folder=str(root / "JPEGImages"), include=("BloodImage_0000[0-2].jpg",)))
    lh.entities(lake)
    names = {row["entity_id"]: row["uri"].rpartition("/")[2] for row in
             lh.fetch(lake, "select sha256 as entity_id, uri from bronze.landed_files")}  # fmt: skip
    dice = np.random.default_rng(3)
    said: dict[str, list[Any]] = {"truth": [], "jittered": []}
    for entity, name in names.items():
        tree = ElementTree.parse(root / "Annotations" / name.replace(".jpg", ".xml"))
        ends = [[float(box.findtext(key)) for key in ("xmin", "ymin", "xmax", "ymax")] for box in tree.iter("bndbox")]
        boxes = [[x, y, right - x, below - y] for x, y, right, below in ends]
        for actor, spread in (("truth", 0.0), ("jittered", 6.0)):
            moved = [np.maximum(1.0, np.array(box) + dice.normal(0, spread, 4)).tolist() for box in boxes]
            regions = [{"kind": "box", "label": "cell", **dict(zip("xywh", box, strict=True))} for box in moved]
            said[actor].append({"entity_id": entity, "regions": regions})
    for actor, answers in said.items():
        lh.record_opinions(lake, answers, source=actor, question="cells", actor=f"model:{actor}@1")
    found = user_query(lake.home, PAIRS).to_pylist()
    assert len(found) == 5
    assert [row["iou"] for row in found] == sorted(row["iou"] for row in found)
    assert 0 < found[0]["iou"] < 0.9
    assert all(row["shape"][2] == 3 and row["shape"][0] > 1 for row in found)
    assert lh.fetch(lake, PAIRS) == found
