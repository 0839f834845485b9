"""Boxes: from VOC files to a dataset that is read ragged."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image, ImageOps

import lakehouse as lh
from lakehouse.errors import RecipeError
from loaders import Resize, ResizeShorter, make_reader
from tests.datasets.cells import CELLS, bring_cells, names_of, recipe, write_cells

TIME = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def cells(lake, tmp_path):
    write_cells(tmp_path / "drop", CELLS)
    bring_cells(lake, tmp_path / "drop")
    return lake


def members(lake, built):
    """Name -> its boxes as (label, x, y, w, h), its cell."""
    text = "select entity_id, answer_json, stratum, label from gold.dataset_members where dataset_id = $id"
    names = names_of(lake)
    return {
        names[row["entity_id"]]: (
            [tuple(box[key] for key in ("label", "x", "y", "w", "h")) for box in json.loads(row["answer_json"])],
            row["stratum"],
        )
        for row in lh.fetch(lake, text, params={"id": built.details["dataset_id"]})
    }


def excluded(lake, built):
    text = "select entity_id, reason, detail from gold.dataset_exclusions where dataset_id = $id"
    names = names_of(lake)
    rows = lh.fetch(lake, text, params={"id": built.details["dataset_id"]})
    return {names[row["entity_id"]]: (row["reason"], row["detail"]) for row in rows}


def test_members_have_their_boxes_in_the_order_said_and_no_object_is_an_answer(cells):
    built = lh.build(cells, recipe(strata={"by": ["label"]}))
    assert members(cells, built) == {
        "a": ([("red", 0, 0, 10, 10), ("red", 10, 10, 10, 10), ("white", 2, 3, 1, 1)], "white"),
        "b": ([("red", 1, 1, 4, 5)], "red"),
        "c": ([], ""),
    }
    assert excluded(cells, built) == {"d": ("no_answer", "nobody that the policy listens to answered")}
    assert lh.find_dataset(cells, "cells").classes == ("red", "white")


def test_building_boxes_again_adds_nothing_and_a_prediction_changes_no_dataset(cells):
    first = lh.build(cells, recipe())
    some = next(iter(names_of(cells)))
    box = {"kind": "box", "label": "red", "x": 0.0, "y": 0.0, "w": 2.0, "h": 2.0, "score": 0.5}
    rows = [{"entity_id": some, "regions": [box]}]
    lh.record_opinions(cells, rows, source="net", question="cells", actor="model:net@1")
    again = lh.build(cells, recipe())
    assert (again.details["dataset_id"], again.rows_new) == (first.details["dataset_id"], 0)


def test_boxes_are_read_ragged_with_their_class_numbers(cells):
    built = lh.build(cells, recipe())
    receipt = lh.materialise(cells, built.details["dataset_id"])
    names = names_of(cells)
    folder = cells.root / receipt.details["folder"] / "train"
    with make_reader(str(folder), batch_size=3) as reader:
        assert reader.classes == ("red", "white")
        batch = next(iter(reader))
    rows = dict(zip([names[each] for each in batch["entity_id"]], range(3), strict=True))
    boxes, labels = batch["boxes"], batch["box_labels"]
    assert {(each.dtype.name, each.shape[1]) for each in boxes} == {("float32", 4)}
    np.testing.assert_array_equal(boxes[rows["a"]], [[0, 0, 10, 10], [10, 10, 20, 20], [2, 3, 3, 4]])
    np.testing.assert_array_equal(labels[rows["a"]], [0, 0, 1])
    assert boxes[rows["c"]].shape == (0, 4)
    assert labels[rows["c"]].shape == (0,)
    assert "box_scores" not in batch


def test_two_annotators_are_left_out_by_single_and_the_later_one_holds_by_latest(cells, tmp_path):
    again = {"a": (("white", 5, 5, 6, 6),), "b": ()}
    write_cells(tmp_path / "second", again, unanswered=())
    bring_cells(cells, tmp_path / "second", actor="human:bob", valid_time=TIME)
    single = lh.build(cells, recipe())
    assert excluded(cells, single)["a"] == ("several_actors", "2 actors answered; `single` takes the answer of one")
    assert list(members(cells, single)) == ["c"]
    latest = members(cells, lh.build(cells, recipe(label={"policy": "latest"})))
    assert [latest[name][0] for name in "abc"] == [[("white", 4, 4, 2, 2)], [], []]
    only = members(cells, lh.build(cells, recipe(label={"policy": "single", "actors": ["human:ada"]})))
    assert len(only["a"][0]) == 3


def test_the_latest_of_two_that_nobody_dated_is_a_tie(cells, tmp_path):
    write_cells(tmp_path / "second", {"b": ()}, unanswered=())
    bring_cells(cells, tmp_path / "second", actor="human:bob")
    built = lh.build(cells, recipe(label={"policy": "latest"}))
    assert excluded(cells, built)["b"][0] == "tie"


@pytest.mark.parametrize(("record", "message"), [
    ({"label": {}}, "label.policy = 'majority' is not for answers of kind boxes"),
    ({"label": {"policy": "single", "quorum": 2}}, "label.quorum is for answers that are votes"),
    ({"select": {"sql": "select entity_id, 1 as boxes from entities"}}, "column `boxes`: every sample has such a"),
])  # fmt: skip
def test_what_boxes_give_no_meaning_is_refused_by_name(cells, record, message):
    with pytest.raises(RecipeError, match=message):
        lh.build(cells, recipe(**record))


def test_regions_that_are_no_upright_boxes_leave_their_picture_out(cells, tmp_path):
    names = {name: entity for entity, name in names_of(cells).items()}
    turned = {"kind": "box", "label": "red", "x": 0.0, "y": 0.0, "w": 2.0, "h": 2.0, "angle": 30.0}
    nameless = {"kind": "box", "x": 0.0, "y": 0.0, "w": 2.0, "h": 2.0}
    rows = [{"entity_id": names["a"], "regions": [turned]}, {"entity_id": names["b"], "regions": [nameless]}]
    lh.record_opinions(cells, rows, source="eve", question="cells", actor="human:eve")
    built = lh.build(cells, recipe(label={"policy": "single", "actors": ["human:eve", "human:ada"]}, select={
        "sql": "select entity_id from entities",
    }))  # fmt: skip
    assert excluded(cells, built)["a"][0] == "several_actors"
    with pytest.raises(RecipeError, match=r"1 no_box_label.*1 not_boxes|1 not_boxes.*1 no_box_label"):
        lh.build(cells, recipe(label={"policy": "single", "actors": ["human:eve"]}))


def test_real_blood_cells_go_the_whole_way_and_back(lake, real_data):
    root = real_data("bccd")
    lh.land(lake, lh.Source(name="bccd", folder=str(root / "JPEGImages"), include=("BloodImage_000*.jpg",)))
    lh.entities(lake)
    source = lh.OpinionSource(format="voc", path=str(root / "Annotations"), question="cells", actor="import:bccd",
                              source="bccd", options={"voc_origin": 1})  # fmt: skip
    lh.opinions(lake, source)
    built = lh.build(lake, recipe(name="bccd", split={"ratios": {"train": 0.7, "test": 0.3}}))
    folder = lake.root / lh.materialise(lake, "bccd").details["folder"]
    said = []
    with make_reader(folder / "test", batch_size=8) as reader:
        assert set(reader.classes) == {"Platelets", "RBC", "WBC"}
        for batch in reader:
            rows = zip(batch["entity_id"], batch["boxes"], batch["box_labels"], batch["is_pad"], strict=True)
            for entity, boxes, labels, is_pad in rows:
                assert boxes.shape == (len(labels), 4)
                assert (boxes[:, 2:] > boxes[:, :2]).all()
                assert (boxes >= 0).all()
                assert (boxes <= (640, 480, 640, 480)).all()
                regions = [
                    {"kind": "box", "label": reader.classes[int(label)], "x": float(x0), "y": float(y0),
                     "w": float(x1 - x0), "h": float(y1 - y0), "score": 0.9}
                    for (x0, y0, x1, y1), label in zip(boxes, labels, strict=True)
                ]  # fmt: skip
                if not is_pad:
                    said.append({"entity_id": str(entity), "regions": regions})
    lh.record_opinions(lake, said, source="echo", question="cells", actor="model:echo@1")
    receipt = lh.evaluate(lake, dataset_id=built.details["dataset_id"], actor="model:echo@1", question="cells")
    assert receipt.details["map"] == "1.0000"


def test_pictures_that_exif_turns_are_right_on_both_sides(lake, tmp_path):
    """Boxes are of the stored picture: they fit it as it is read, and turned with it they fit it upright."""
    (tmp_path / "turned").mkdir()
    for orientation in range(1, 9):
        pixels = np.zeros((40, 60, 3), np.uint8)
        pixels[10:20, 30:50] = 255
        pixels[0, 0] = orientation  # eight pictures, not one
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels).save(tmp_path / "turned" / f"{orientation}.png", exif=exif)
    lh.land(lake, lh.Source(name="turned", folder=str(tmp_path / "turned")))
    lh.entities(lake)
    box = {"kind": "box", "label": "red", "x": 30.0, "y": 10.0, "w": 20.0, "h": 10.0}
    rows = [{"entity_id": entity, "regions": [box]} for entity in names_of(lake)]
    lh.record_opinions(lake, rows, source="ann", question="cells", actor="human:ann")
    built = lh.build(lake, recipe())
    folder = lake.root / lh.materialise(lake, built.details["dataset_id"]).details["folder"] / "train"
    upright = {
        orientation: np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "turned" / f"{orientation}.png")))
        for orientation in range(1, 9)
    }
    for decoder in (None, ResizeShorter(40, 60), ResizeShorter(40, 60, exif=True), Resize((80, 80), exif=True)):
        decoders = {} if decoder is None else {"image": decoder}
        with make_reader(folder, batch_size=8, decoders=decoders) as reader:
            batch = next(reader)
        for entity, picture, boxes in zip(batch["entity_id"], batch["image"], batch["boxes"], strict=True):
            name = int(names_of(lake)[entity])
            rows, columns = np.nonzero(picture[..., 1] > 127)
            seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(boxes, [seen], atol=1.0 if isinstance(decoder, Resize) else 1e-4)
            if decoder == ResizeShorter(40, 60, exif=True):
                np.testing.assert_array_equal(picture, upright[name])
