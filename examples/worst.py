"""The worst predicted boxes of a lake first, cut out of their pictures: in SQL, and as batches of a training loop.

    python -m examples.cells --data ../data/bccd             the lake: blood cells, labels, predictions of a baseline
    python -m examples.worst                                 its worst boxes, by DuckDB
    python -m examples.worst --engine spark                  the same rows, by Spark

The example of the Deep Lake paper (Hambardzumyan et al. 2023, section 4.3), with an IoU of one's own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import lakehouse as lh
from jobs.common import guarded
from jobs.output import say_table
from lakehouse.opened import OpenLake

PARAMS: Mapping[str, object] = {"truth": "import:voc", "model": "model:threshold@1", "rows": 12}

WORST = """
with truth as (
    select subject_id as entity_id, unnest(regions) as t from silver.opinions where actor_id = $truth
), said as (
    select subject_id as entity_id, unnest(regions) as p from silver.opinions where actor_id = $model
), pairs as (
    select said.entity_id, p.label, [p.x, p.y, p.w, p.h] as box,
        max(coalesce(overlap([p.x, p.y, p.w, p.h], [t.x, t.y, t.w, t.h]), 0)) as iou
    from said left join truth on truth.entity_id = said.entity_id group by all
)
select entity_id, label, box, iou from pairs order by iou, entity_id, box limit $rows
"""
"""Predicted boxes, those first that overlap least with any labelled one."""

CROPS = f"select entity_id, box, iou, nd_shape(nd_crop(entity_id, box)) as shape from ({WORST}) as w order by iou, box"


@lh.sql_function(gives="number", version=1)
def overlap(a: Any, b: Any) -> Any:
    """Shared area over the area of the union of boxes [x, y, w, h]; float64 (rows, 4) each."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    return shared / (a[:, 2:].prod(axis=1) + b[:, 2:].prod(axis=1) - shared)


def crops(batch: dict[str, Any]) -> dict[str, Any]:
    """Cut the box of each row out of its picture, and let go of the picture."""
    cut = []
    for picture, (x, y, w, h) in zip(batch.pop("image"), batch["box"], strict=True):
        left, top = max(int(x), 0), max(int(y), 0)
        cut.append(picture[top : int(np.ceil(y + h)), left : int(np.ceil(x + w))])
    return {**batch, "crop": cut}


def batches(lake: OpenLake, *, batch_size: int, params: Mapping[str, object] = PARAMS) -> Iterator[dict[str, Any]]:
    """Yield the worst boxes as batches: entity_id, label, box, iou, and `crop`, uint8 (h, w, 3) each."""
    with lake.stream(WORST, params=params, batch_size=batch_size, transform=crops) as stream:
        yield from stream


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.worst", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lake", metavar="FOLDER", default=".demo/cells/lake", help="made by examples.cells")
    parser.add_argument("--engine", choices=("embedded", "spark"), default="embedded")
    args = parser.parse_args(argv)
    return guarded(lambda: _run(args.lake, args.engine), verbose=False)


def _run(folder: str, engine: str) -> int:
    config = lh.load_config(overrides=[f"lake.root={json.dumps(folder)}"])
    with lh.open_lake(config, engine=engine) as lake:
        rows = lh.fetch(lake, CROPS, params=PARAMS)
        say_table(
            ["iou", "picture", "box", "crop"],
            [[f"{row['iou']:.3f}", row["entity_id"][:12], row["box"], row["shape"]] for row in rows],
        )
        for batch in batches(lake, batch_size=4):
            say_table(["iou", "mean of the crop"], zip(
                (f"{iou:.3f}" for iou in batch["iou"]), (round(float(crop.mean()), 1) for crop in batch["crop"]),
                strict=True,
            ))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
