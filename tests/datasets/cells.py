"""A small detection data set: pictures, VOC files of their boxes, a lake that holds both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

import lakehouse as lh
from lakehouse.datasets.recipes.recipe import Recipe, parse_recipe
from lakehouse.lake import Lake

SIDE = 20
"""Pixels of a side of each picture."""

Box = tuple[str, int, int, int, int]
"""Name, then xmin, ymin, xmax, ymax as Pascal VOC has them: from 1, the last pixel included."""

CELLS: dict[str, tuple[Box, ...]] = {
    "a": (("red", 1, 1, 10, 10), ("red", 11, 11, 20, 20), ("white", 3, 4, 3, 4)),
    "b": (("red", 2, 2, 5, 6),),
    "c": (),
}


def write_cells(folder: Path, cells: Mapping[str, Sequence[Box]], *, unanswered: Sequence[str] = ("d",)) -> None:
    """Write folder/pictures/*.png and folder/boxes/*.xml; the unanswered have a picture alone."""
    for part in ("pictures", "boxes"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name in (*cells, *unanswered):
        Image.new("RGB", (SIDE, SIDE), (ord(name[0]), 7, 9)).save(folder / "pictures" / f"{name}.png")
    for name, boxes in cells.items():
        (folder / "boxes" / f"{name}.xml").write_text(voc(name, boxes))


def voc(name: str, boxes: Sequence[Box]) -> str:
    """The VOC file of one picture."""
    objects = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
        "</bndbox></object>" for label, x0, y0, x1, y1 in boxes
    )  # fmt: skip
    size = f"<size><width>{SIDE}</width><height>{SIDE}</height></size>"
    return f"<annotation><filename>{name}.png</filename>{size}{objects}</annotation>"


def bring_cells(lake: Lake, folder: Path, *, actor: str = "human:ada", **options: object) -> None:
    """Land the pictures, make entities of them, import the boxes."""
    lh.land(lake, lh.Source(name="cells", folder=str(folder / "pictures")))
    lh.entities(lake)
    source = lh.OpinionSource(
        format="voc", path=str(folder / "boxes"), question="cells", actor=actor, source="cells", **options
    )
    lh.opinions(lake, source)


def names_of(lake: Lake) -> dict[str, str]:
    """Entity id -> name of its picture, without its ending."""
    rows = lh.fetch(lake, "select entity_id, path from silver.entity_sources")
    return {row["entity_id"]: Path(row["path"]).stem for row in rows}


def recipe(**record: object) -> Recipe:
    """A recipe over the boxes."""
    said = {"name": "cells", "question": "cells", "label": {"policy": "single"}, "split": {"ratios": {"train": 1.0}}}
    return parse_recipe(said | record, where="cells.toml")
