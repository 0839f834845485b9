"""The table of docs/tasks.md, run: each line imports, each recipe builds, each batch holds what the table says."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import lakehouse as lh
from jobs.cli import main
from lakehouse.datasets.policies.embedding import embedding_ref
from lakehouse.datasets.recipes.recipe import parse_recipe
from loaders import ReadOptions, Resize, make_reader
from tests.datasets.cells import voc
from tests.datasets.pictures import SIDE, bring_pictures

DOCS = Path(__file__).resolve().parents[2] / "docs" / "tasks.md"


def labelme(name: str, *outlines: list[list[int]]) -> str:
    """LabelMe's file of one picture."""
    shapes = [{"label": "cell", "points": points, "shape_type": "polygon", "group_id": None} for points in outlines]
    return json.dumps({
        "version": "5", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png", "imageData": None,
        "imageHeight": SIDE, "imageWidth": SIDE,
    })  # fmt: skip


FILES = {
    "labels.csv": "subject,label\na.png,cat\nb.png,dog\nc.png,cat\n",
    "tags.csv": "subject,label\na.png,sun;snow\nb.png,rain\nc.png,sun\n",
    "ages.csv": "subject,label\na.png,1.5\nb.png,-2\nc.png,30\n",
    "sharp.csv": "subject,label\na.png,true\nb.png,false\nc.png,true\n",
    "captions.csv": 'subject,label\na.png,a red cat\nb.png,"one, two"\nc.png,é\n',
    "voc/a.xml": voc("a", [("red", 1, 1, 10, 10), ("white", 3, 4, 3, 4)]),
    "voc/b.xml": voc("b", [("white", 2, 2, 20, 20)]),
    "voc/c.xml": voc("c", []),
    "people.json": json.dumps({
        "images": [{"id": n, "file_name": f"{'abc'[n]}.png", "width": SIDE, "height": SIDE} for n in range(3)],
        "categories": [{"id": 1, "name": "person", "keypoints": ["left_eye", "right_eye"], "skeleton": [[1, 2]]}],
        "annotations": [
            {"id": n, "image_id": image, "category_id": 1, "bbox": [2, 2, 8, 10], "area": 80, "iscrowd": 0,
             "keypoints": [5, 6, 2, 0, 0, 0], "num_keypoints": 1} for n, image in enumerate((0, 2, 2), start=1)
        ],
    }),
    "labelme/a.json": labelme("a", [[1, 1], [5, 1], [5, 5], [1, 5]]),
    "labelme/b.json": labelme("b", [[0, 0], [20, 0], [20, 20]], [[2, 2], [4, 2], [4, 3]]),
    "labelme/c.json": labelme("c"),
    "mot/gt.txt": "1,7,1,1,10,20,1,1,1\n2,7,3,1,10,20,1,1,1\n2,9,5,5,2,2,1,1,1\n",
    "audacity/s.txt": "0.25\t0.5\tbird\n0.75\t1\twind\n",
    "spans.jsonl": '{"subject": "t.log", "spans": [{"kind": "span", "label": "name", "char_start": 0, '
                   '"char_end": 3}]}\n',
    "ranks.jsonl": '{"subject": "a.png", "ranking": ["y", "x"]}\n{"subject": "b.png", "ranking": ["x", "z", "y"]}\n',
    "vectors.jsonl": "".join(
        json.dumps({"subject": f"{name}.png", "value_kind": "embedding", "value_ref": embedding_ref(vector)}) + "\n"
        for name, vector in (("a", [0.5, 1.0]), ("b", [-2.0, 0.0]))
    ),
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
    "polygons": ("polygon_sizes", {"a": [4], "b": [3, 3], "c": []}),
    "masks": ("mask_labels", {"a": [0], "b": [0, 0], "c": []}),
    "tracks": ("track_boxes", {"a": [[0, 0, 10, 20], [2, 0, 12, 20], [4, 4, 6, 6]]}),
    "stretches of sound": ("intervals", {"s": [[0.25, 0.5], [0.75, 1.0]]}),
    "spans of text": ("spans", {"t": [[0, 3]]}),
    "a ranking": ("ranking", {"a": ["y", "x"], "b": ["x", "z", "y"]}),
    "an embedding": ("embedding", {"a": [0.5, 1.0], "b": [-2.0, 0.0]}),
}  # fmt: skip
"""Task -> a column, and what it holds of each picture."""

MOVED = {
    "boxes": ("boxes", (2, 0.5, 2, 0.5)),
    "boxes as x, y, width, height": ("boxes", (2, 0.5, 2, 0.5)),
    "keypoints": ("keypoints", (2, 0.5, 1)),
    "polygons": ("polygons", (2, 0.5)),
}
"""Task -> column, and what its values are multiplied by where pictures become half as high and twice as wide."""


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
    """A lake with three pictures, a sound and a text, and the files beside it: the working folder of every import."""
    home = tmp_path_factory.mktemp("tasks")
    for name, text in FILES.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    config = lh.load_config(overrides=[f'lake.root="{home / "lake"}"', "engine.workers=2"], environ={})
    with lh.open_lake(config, create=True) as opened:
        (home / "pictures").mkdir()
        (home / "pictures" / "t.log").write_text("Ada went home.", encoding="utf-8")
        with wave.open(str(home / "pictures" / "s.wav"), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes(np.arange(8000, dtype="<i2").tobytes())
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
    with make_reader(home / "lake" / str(folder) / "train", batch_size=3, options=ReadOptions(tail="ragged")) as reader:
        batch = next(reader)
    for column, (dtype, shape) in row.batch.items():
        check(batch[column], dtype, shape)
    column, wanted = HELD[row.task]
    found = {names[entity]: value for entity, value in zip(batch["entity_id"], batch[column], strict=True)}
    assert found.keys() == wanted.keys()
    for picture, value in wanted.items():
        np.testing.assert_array_equal(found[picture], value)
    if row.task == "keypoints":
        with make_reader(home / "lake" / str(folder) / "train", batch_size=3) as reader:
            # By their names: in a mirror the eyes change places.
            assert next(f.geometry for f in reader.fields if f.name == "keypoints").flip_pairs == ((0, 1),)
    if row.task in MOVED:
        column, factors = MOVED[row.task]
        decoders = {"image": Resize((SIDE // 2, SIDE * 2))}
        with make_reader(home / "lake" / str(folder) / "train", batch_size=3, decoders=decoders) as reader:
            resized = next(reader)
        assert resized["entity_id"] == batch["entity_id"]
        for value, stored in zip(resized[column], batch[column], strict=True):
            np.testing.assert_allclose(value, stored * np.array(factors, dtype=np.float32))


def check(values, dtype, shape):
    """Compare a column with what the table says of it, `float32 (n, 4)`; N is the batch, n anything."""
    if dtype == "bytes":
        assert all(isinstance(value, bytes) for value in values)
        return
    if dtype in ("text", "list"):
        texts = values if dtype == "text" else [text for value in values for text in value]
        assert all(isinstance(text, str) for text in texts)
        return
    axes = shape.strip("()").rstrip(",").split(", ")
    each = values if axes[0] == "N" else list(values)
    for array in [each] if axes[0] == "N" else each:
        assert array.dtype.name == dtype
        assert len(array.shape) == len(axes)
        for axis, size in zip(axes, array.shape, strict=True):
            assert axis in ("n", "N", str(size)), (axes, array.shape)
