"""Blood cells on the whole way: boxes in batches are those of the XML, and a baseline's predictions get a mAP."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import lakehouse as lh
from examples.cells.__main__ import ACTOR, AVERAGES, QUESTION, bring, main, predictions
from examples.cells.find import find_cells
from loaders import CenterCrop, Letterbox, RandomResizedCrop, ReadOptions, Resize, Shuffle, make_reader

pytestmark = pytest.mark.slow

KINDS = ("RBC", "WBC", "Platelets")
HEIGHT, WIDTH = 480, 640


@pytest.fixture(scope="module")
def cells(real_data, tmp_path_factory):
    """The lake, the folder of its dataset, the dataset's id, and {entity id: (boxes float64 (n, 4), kinds (n,))}."""
    data = real_data("bccd")
    root = tmp_path_factory.mktemp("cells") / "lake"
    config = lh.load_config(overrides=[f'lake.root="{root}"', "engine.workers=2"], environ={})
    with lh.open_lake(config, create=True) as lake:
        folder, dataset_id = bring(lake, data)
        sources = lh.fetch(lake, "select entity_id, name from silver.entity_sources")
        stated = {row["entity_id"]: xml_of(data / "Annotations" / f"{Path(row['name']).stem}.xml") for row in sources}
        yield lake, folder, dataset_id, stated


def xml_of(path):
    """What a file says, read by nothing of ours: VOC counts from 1 and includes the last pixel."""
    boxes, kinds = [], []
    for item in ElementTree.parse(path).getroot().iter("object"):
        at = {part.tag: int(part.text) for part in item.find("bndbox")}
        boxes.append((at["xmin"] - 1, at["ymin"] - 1, at["xmax"], at["ymax"]))
        kinds.append(KINDS.index(item.find("name").text))
    return np.array(boxes, dtype=np.float64).reshape(-1, 4), np.array(kinds, dtype=np.int64)


def read(folder, **arguments):
    """entity_id -> its sample, of all three splits."""
    found = {}
    for split in ("train", "val", "test"):
        with make_reader(folder / split, batch_size=16, **arguments) as reader:
            assert reader.classes == KINDS
            for batch in reader:
                for at, name in enumerate(batch["entity_id"]):
                    if not batch["is_pad"][at]:
                        found[name] = {column: values[at] for column, values in batch.items()}
    return found


def assert_boxes(found, stated, expected, *, dropped=None):
    """Compare every picture with what `expected` makes of its boxes: the moved ones, and which stay."""
    total = gone = 0
    assert found.keys() == stated.keys()
    for name, (boxes, kinds) in stated.items():
        moved, keep = expected(boxes, found[name])
        np.testing.assert_allclose(found[name]["boxes"], moved[keep].astype(np.float32), rtol=0, atol=1e-4)
        np.testing.assert_array_equal(found[name]["box_labels"], kinds[keep])
        if dropped is not None:
            assert found[name]["boxes_dropped"] == len(boxes) - keep.sum()
        total, gone = total + len(boxes), gone + int(len(boxes) - keep.sum())
    assert total == 4888
    if dropped is not None:
        assert gone == dropped


def cut(boxes, left, top, width, height, least=0.0):
    """Boxes as a window sees them, and which keep more than nothing and at least this share of their area."""
    low = np.maximum(boxes[:, :2], (left, top))
    high = np.minimum(boxes[:, 2:], (left + width, top + height))
    sides = np.clip(high - low, 0, None)
    share = sides.prod(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.concatenate([low, high], axis=1) - (left, top, left, top), (share > 0) & (share >= least)


def all_of(boxes):
    return np.ones(len(boxes), dtype=bool)


def test_boxes_in_batches_are_those_of_every_xml_file(cells):
    _, folder, _, stated = cells
    assert len(stated) == 364
    found = read(folder, columns=["entity_id", "boxes", "box_labels"])
    assert_boxes(found, stated, lambda boxes, _: (boxes, all_of(boxes)))
    for name, (boxes, _) in stated.items():
        np.testing.assert_array_equal(found[name]["boxes"], boxes)  # whole numbers: to the bit
    sides = np.concatenate([sample["boxes"][:, 2:] - sample["boxes"][:, :2] for sample in found.values()])
    assert int((sides == 1).all(axis=1).sum()) == 2


def test_boxes_are_those_of_the_xml_after_resizing(cells):
    _, folder, _, stated = cells
    found = read(folder, decoders={"image": Resize((300, 500))})
    factors = np.array([500 / 640, 300 / 480] * 2)
    assert_boxes(found, stated, lambda boxes, _: (boxes * factors, all_of(boxes)), dropped=0)
    found = read(folder, decoders={"image": Letterbox(320, flip=1.0)})  # half the size, 40 px of bar above

    def in_a_mirror(boxes, _):
        x0, y0, x1, y1 = boxes.T / 2
        return np.stack([320 - x1, y0 + 40, 320 - x0, y1 + 40], axis=1), all_of(boxes)

    assert_boxes(found, stated, in_a_mirror, dropped=0)


def test_boxes_are_those_of_the_xml_after_cropping(cells):
    _, folder, _, stated = cells
    found = read(folder, decoders={"image": CenterCrop(300)})
    assert_boxes(found, stated, lambda boxes, _: cut(boxes, 170, 90, 300, 300), dropped=dropped_by_hand(stated, 0.0))
    found = read(folder, decoders={"image": CenterCrop(300)}, options=ReadOptions(min_visible=0.4))
    wanted = dropped_by_hand(stated, 0.4)
    assert_boxes(found, stated, lambda boxes, _: cut(boxes, 170, 90, 300, 300, 0.4), dropped=wanted)


def dropped_by_hand(stated, least):
    return sum(int((~cut(boxes, 170, 90, 300, 300, least)[1]).sum()) for boxes, _ in stated.values())


def test_boxes_are_those_of_the_xml_after_random_crops(cells):
    """Each window is that of the documented rule for the sample's own seed."""
    _, folder, _, stated = cells
    crop = RandomResizedCrop((120, 160), scale=(0.2, 0.9))
    options = ReadOptions(sample_seeds=True, min_visible=0.3)
    found = read(folder, decoders={"image": crop}, options=options, shuffle=Shuffle(seed=4))

    def expected(boxes, sample):
        top, left, height, width = crop.box(HEIGHT, WIDTH, int(sample["_sample_seed"]))
        moved, keep = cut(boxes, left, top, width, height, 0.3)
        return moved * ([160 / width, 120 / height] * 2), keep

    assert_boxes(found, stated, expected)


def test_the_baseline_goes_from_batches_to_opinions_to_a_mean_average_precision(cells):
    lake, folder, dataset_id, stated = cells
    rows = list(predictions(folder / "test"))
    done = lh.record_opinions(lake, rows, source="cells", question=QUESTION, actor=ACTOR)
    assert done.counts["new"] == len(rows) == 78
    again = lh.record_opinions(lake, predictions(folder / "test"), source="cells", question=QUESTION, actor=ACTOR)
    assert again.counts["new"] == 0  # the same pixels give the same boxes
    scored = lh.evaluate(lake, dataset_id=dataset_id, actor=ACTOR, question=QUESTION)
    rows_of_it = lh.fetch(lake, AVERAGES, params={"id": scored.details["evaluation_id"]})
    found = {row["slice"]: row["value"] for row in rows_of_it}
    assert found["class=WBC"] > 0.85
    assert found["class=RBC"] > 0.35
    assert float(scored.details["map"]) == pytest.approx(0.27, abs=0.05)
    perfect = [
        {"entity_id": row["entity_id"], "regions": [
            {"kind": "box", "label": KINDS[kind], "score": 1.0, "x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0}
            for (x0, y0, x1, y1), kind in zip(*stated[row["entity_id"]], strict=True)
        ]} for row in rows
    ]  # fmt: skip
    lh.record_opinions(lake, perfect, source="truth", question=QUESTION, actor="model:perfect@1")
    scored = lh.evaluate(lake, dataset_id=dataset_id, actor="model:perfect@1", question=QUESTION)
    assert float(scored.details["map"]) == 1.0


def test_nothing_is_found_in_a_picture_without_cells():
    assert find_cells(np.full((480, 640, 3), 210, np.uint8)) == []


def test_the_command_prints_what_it_found(real_data, tmp_path, capsys):
    assert main(["--data", str(real_data("bccd")), "--home", str(tmp_path), "--images", "12"]) == 0
    said = capsys.readouterr().out
    assert "opinions [embedded]: 12 read, 12 new" in said
    assert "class=WBC" in said
    assert "map50" in said
