"""Predictions about real pictures: perfect ones score 1, jittered ones as pycocotools scores them."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import lakehouse as lh
from lakehouse.evaluation.gates import Gate
from tests.datasets.cells import recipe

NAMES = ("map", "map50", "map75", "map_small", "map_medium", "map_large", "mar1", "mar10", "mar100", "mar_small",
         "mar_medium", "mar_large")  # fmt: skip
CLASSES = ("Platelets", "RBC", "WBC")


def test_blood_cells_score_as_pycocotools_scores_them(lake, real_data):
    root = real_data("bccd")
    lh.land(lake, lh.Source(name="bccd", folder=str(root / "JPEGImages"), include=("BloodImage_000*.jpg",)))
    lh.entities(lake)
    lh.opinions(lake, lh.OpinionSource(format="voc", path=str(root / "Annotations"), question="cells", source="bccd",
                                       actor="import:bccd", options={"voc_origin": 1}))  # fmt: skip
    built = lh.build(lake, recipe(name="bccd", split={"ratios": {"test": 1.0}}))
    rows = lh.fetch(lake, "select entity_id, answer_json from gold.dataset_members order by entity_id")
    truth = {row["entity_id"]: json.loads(row["answer_json"]) for row in rows}
    assert (len(truth), sum(map(len, truth.values()))) == (91, 1502)
    dice = np.random.default_rng(6)
    said = {"perfect": {}, "jittered": {}}
    for entity, boxes in truth.items():
        assert not any(box["difficult"] for box in boxes)  # pycocotools knows no such thing
        said["perfect"][entity] = [{key: box[key] for key in ("label", *"xywh")} | {"score": 0.9} for box in boxes]
        said["jittered"][entity] = [
            {"label": box["label"], "score": float(dice.random())}
            | {side: max(1.0, box[side] + float(dice.normal(0, 8))) for side in "xywh"}
            for box in boxes if dice.random() < 0.9
        ]  # fmt: skip
    found = {}
    for name, answers in said.items():
        regions = [{"entity_id": entity, "regions": [{"kind": "box", **box} for box in boxes]}
                   for entity, boxes in answers.items()]  # fmt: skip
        lh.record_opinions(lake, regions, source=name, question="cells", actor=f"model:{name}@1")
    for name, more in (("perfect", {}), ("jittered", {"against": "model:perfect@1"})):
        receipt = lh.evaluate(lake, dataset_id=built.details["dataset_id"], actor=f"model:{name}@1", question="cells",
                              gates=[Gate("map", ">=", 0.99)], **more)  # fmt: skip
        assert receipt.details["verdict"] == {"perfect": "pass", "jittered": "fail"}[name]
        text = "select metric, value from gold.evaluations where slice = 'all' and evaluation_id = $id"
        numbers = lh.fetch(lake, text,
                           params={"id": receipt.details["evaluation_id"]})  # fmt: skip
        found[name] = {row["metric"]: row["value"] for row in numbers}
    assert {found["perfect"][name] for name in NAMES if name not in ("mar1", "mar10")} == {1.0}
    assert {name: found["jittered"][name] for name in NAMES} == pytest.approx(oracle(truth, said["jittered"]), abs=1e-6)
    low, high = (found["jittered"][f"map_gain_{end}"] for end in ("low", "high"))
    gain = found["jittered"]["map_gain"]
    assert gain == pytest.approx(found["jittered"]["map"] - 1)
    assert low < gain < high < -0.3


def oracle(truth: dict[str, list[dict]], said: dict[str, list[dict]]) -> dict[str, float]:
    places = {entity: place for place, entity in enumerate(truth, start=1)}

    def annotations(answers: dict[str, list[dict]]) -> list[dict]:
        return [
            {"id": place, "image_id": places[entity], "category_id": CLASSES.index(box["label"]), "iscrowd": 0,
             "bbox": [box[side] for side in "xywh"], "area": box["w"] * box["h"], "score": box.get("score", 1.0)}
            for place, (entity, box) in enumerate(
                ((entity, box) for entity, boxes in answers.items() for box in boxes), start=1
            )
        ]  # fmt: skip

    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {"info": {}, "images": [{"id": place} for place in places.values()],
                         "categories": [{"id": place} for place in range(3)], "annotations": annotations(truth)}
        known.createIndex()
        judge = COCOeval(known, known.loadRes(annotations(said)), "bbox")
        for step in (judge.evaluate, judge.accumulate, judge.summarize):
            step()
    return dict(zip(NAMES, map(float, judge.stats), strict=True))
