"""The table of docs/tasks.md, run: each line imports, each recipe builds, each batch holds what the table says."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import lakehouse as lh
from jobs.cli import main
from lakehouse.datasets.recipe import parse_recipe
from loaders import make_reader
from tests.datasets.cells import voc
from tests.datasets.pictures import bring_pictures

DOCS = Path(__file__).resolve().parents[2] / "docs" / "tasks.md"
PERSON = '{"kind": "keypoints", "label": "person", "points": [{"x": 5, "y": 6, "v": 2}, {"x": 0, "y": 0, "v": 0}], ' \
    '"x": 2, "y": 2, "w": 8, "h": 10}'

FILES = {
    "labels.csv": "subject,label\na.png,cat\nb.png,dog\nc.png,cat\n",
    "tags.csv": "subject,label\na.png,sun;snow\nb.png,rain\nc.png,sun\n",
    "ages.csv": "subject,label\na.png,1.5\nb.png,-2\nc.png,30\n",
    "sharp.csv": "subject,label\na.png,true\nb.png,false\nc.png,true\n",
    "captions.csv": 'subject,label\na.png,a red cat\nb.png,"one, two"\nc.png,é\n',
    "voc/a.xml": voc("a", [("red", 1, 1, 10, 10), ("white", 3, 4, 3, 4)]),
    "voc/b.xml": voc("b", [("white", 2, 2, 20, 20)]),
    "voc/c.xml": voc("c", []),
    "people.jsonl": f'{{"subject": "a.png", "regions": [{PERSON}]}}\n{{"subject": "b.png", "regions": []}}\n'
                    f'{{"subject": "c.png", "regions": [{PERSON}, {PERSON}]}}\n',
}  # fmt: skip

HELD = {
    "one label": ("label_index", {"a": 0, "b": 1, "c": 0}),
    "several labels": ("label_vector", {"a": [0, 1, 1], "b": [1, 0, 0], "c": [0, 0, 1]}),
    "a number": ("number", {"a": 1.5, "b": -2.0, "c": 30.0}),
    "yes or no": ("bool", {"a": True, "b": False, "c": True}),
    "text": ("text", {"a": "a red cat", "b": "one, two", "c": "é"}),
    "boxes": ("boxes", {"a": [[0, 0, 10, 10], [2, 3, 3, 4]], "b": [[1, 1, 20, 20]], "c": np.zeros((0, 4))}),
    "boxes as x, y, width, height": (
        "boxes", {"a": [[0, 0, 10, 10], [2, 3, 1, 1]], "b": [[1, 1, 19, 19]], "c": np.zeros((0, 4))},
    ),
    "keypoints": (
        "keypoints", {"a": [[[5, 6, 2], [0, 0, 0]]], "b": np.zeros((0, 2, 3)), "c": [[[5, 6, 2], [0, 0, 0]]] * 2},
    ),
}  # fmt: skip
"""Task -> a column, and what it holds of each picture."""


class Row(NamedTuple):
    task: str
    line: str
    recipe: list[str]
    batch: dict[str, tuple[str, str]]


def rows() -> list[Row]:
    """The table as it stands in the document."""
    found = []
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) != 4 or not cells[1].startswith("`petrel"):
            continue
        batch = {name: (kind, shape) for name, kind, shape in re.findall(r"`(\w+)` (\w+)(?: (\([^)]*\)))?", cells[3])}
        found.append(Row(cells[0], cells[1].strip("`"), re.findall(r"`([^`]+)`", cells[2]), batch))
    return found


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A lake with three pictures, and the files beside it: the working folder of every import."""
    home = tmp_path_factory.mktemp("tasks")
    for name, text in FILES.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    config = lh.load_config(overrides=[f'lake.root="{home / "lake"}"', "engine.workers=2"], environ={})
    with lh.open_lake(config, create=True) as opened:
        names = bring_pictures(opened, home / "pictures", "abc")
        yield home, opened, {entity: name for name, entity in names.items()}


def test_the_document_has_a_row_for_each_task_that_is_tried():
    assert [row.task for row in rows()] == list(HELD)
    assert len(HELD) >= 7


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.task)
def test_a_row_of_the_table_goes_from_import_to_batch(row, lake, monkeypatch):
    home, opened, names = lake
    monkeypatch.chdir(home)
    assert main([*shlex.split(row.line)[1:], "--lake", "lake", "--source", "pictures"]) == 0
    name = re.sub(r"\W+", "_", row.task)
    recipe = "\n".join([f'name = "{name}"', *row.recipe, "split.ratios = { train = 1.0 }"])
    built = lh.build(opened, parse_recipe(tomllib.loads(recipe), where=row.task))
    folder = lh.materialise(opened, str(built.details["dataset_id"])).details["folder"]
    with make_reader(home / "lake" / str(folder) / "train", batch_size=3) as reader:
        batch = next(reader)
    for column, (dtype, shape) in row.batch.items():
        check(batch[column], dtype, shape)
    column, wanted = HELD[row.task]
    found = {names[entity]: value for entity, value in zip(batch["entity_id"], batch[column], strict=True)}
    assert found.keys() == wanted.keys()
    for picture, value in wanted.items():
        np.testing.assert_array_equal(found[picture], value)


def check(values, dtype, shape):
    """Compare a column with what the table says of it, `float32 (n, 4)`; N is the batch, n anything."""
    if dtype == "text":
        assert all(isinstance(value, str) for value in values)
        return
    axes = shape.strip("()").rstrip(",").split(", ")
    each = values if axes[0] == "N" else list(values)
    for array in [each] if axes[0] == "N" else each:
        assert array.dtype.name == dtype
        sizes = {"N": 3}
        assert len(array.shape) == len(axes)
        for axis, size in zip(axes, array.shape, strict=True):
            assert axis == "n" or size == sizes.get(axis) or str(size) == axis, (axes, array.shape)
