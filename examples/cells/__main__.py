"""From Pascal VOC to a mean average precision: land, import, build, materialise, read, find, send back, evaluate.

    python -m examples.cells --data ../data/bccd                 364 pictures of blood cells, into .demo/cells
    python -m examples.cells --data ../data/bccd --images 40     only the first, for a quick look

The detector is a baseline without training (`examples.cells.find`). A second run finds nothing to do, and says so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import lakehouse as lh
from examples.cells.find import PLATELET, RED, WHITE, Found, find_cells
from jobs.common import guarded
from jobs.output import say
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.lake import Lake
from loaders.reader import make_reader

QUESTION, ACTOR, SPLIT = "cells", "model:threshold@1", "test"
RECIPE = {
    "name": "cells", "seed": 1, "question": QUESTION, "label": {"policy": "single"},
    "split": {"ratios": {"train": 0.7, "val": 0.1, "test": 0.2}},
}  # fmt: skip

AVERAGES = (
    "select slice, metric, value, support from gold.evaluations where evaluation_id = $id "
    "and metric in ('map50', 'ap50') order by metric, slice"
)
"""Average precision at an overlap of 0.50, by kind and their mean."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.cells", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="FOLDER", required=True, help="with JPEGImages and Annotations, as BCCD has")
    parser.add_argument("--home", metavar="FOLDER", default=".demo/cells", help="where the lake goes")
    parser.add_argument("--images", type=int, help="only the first so many pictures")
    args = parser.parse_args(argv)
    return guarded(lambda: _run(Path(args.data), Path(args.home), args.images), verbose=False)


def _run(data: Path, home: Path, images: int | None) -> int:
    config = lh.load_config(overrides=[f"lake.root={json.dumps(str(home / 'lake'))}"])
    with lh.open_lake(config, create=True) as lake:
        folder, dataset_id = bring(lake, data if images is None else first_of(data, home / "data", images))
        say(str(lh.record_opinions(lake, predictions(folder / SPLIT), source="cells", question=QUESTION, actor=ACTOR)))
        scored = lh.evaluate(lake, dataset_id=dataset_id, actor=ACTOR, question=QUESTION, split=SPLIT)
        say(str(scored))
        for row in lh.fetch(lake, AVERAGES, params={"id": scored.details["evaluation_id"]}):
            say(f"{row['slice'] or 'all kinds':16} {row['metric']:5} {row['value']:.3f} of {row['support']} cells")
    return 0


def bring(lake: Lake, data: Path) -> tuple[Path, str]:
    """Take pictures and boxes into a lake and publish them as a dataset.

    Returns:
        The folder of the dataset, with a folder for each split, and its id.
    """
    say(str(lh.land(lake, lh.Source(name="cells", folder=str(data / "JPEGImages"), mode="link"))))
    say(str(lh.entities(lake)))
    source = lh.OpinionSource(
        format="voc", path=str(data / "Annotations"), source="cells", question=QUESTION, actor="import:voc",
        labels=(RED, WHITE, PLATELET),
    )  # fmt: skip
    say(str(lh.opinions(lake, source)))
    built = lh.build(lake, parse_recipe(RECIPE, where="examples.cells"))
    say(str(built))
    published = lh.materialise(lake, str(built.details["dataset_id"]))
    say(str(published))
    return Path(lake.root) / str(published.details["folder"]), str(built.details["dataset_id"])


def predictions(split: Path) -> Iterator[dict[str, Any]]:
    """Yield what the baseline finds in each picture of a split, as rows of `record_opinions`."""
    with make_reader(split, batch_size=8, columns=["entity_id", "image"]) as reader:
        for batch in reader:
            for entity_id, picture, is_pad in zip(batch["entity_id"], batch["image"], batch["is_pad"], strict=True):
                if not is_pad:
                    yield {"entity_id": entity_id, "regions": [_region(each) for each in find_cells(picture)]}


def _region(found: Found) -> dict[str, object]:
    x0, y0, x1, y1 = found.box
    size = {"x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0}
    return {"kind": "box", "label": found.label, "score": found.score, **size}


def first_of(data: Path, folder: Path, images: int) -> Path:
    """Copy the first pictures of a data set, and what is said about them, into a folder."""
    for part in ("JPEGImages", "Annotations"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for file in islice(sorted((data / part).iterdir()), images):
            if not (folder / part / file.name).exists():
                shutil.copyfile(file, folder / part / file.name)
    return folder


if __name__ == "__main__":
    sys.exit(main())
