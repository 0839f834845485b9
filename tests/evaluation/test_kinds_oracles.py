"""Scores of every kind of answer against pycocotools, scikit-learn and SciPy, on random answers."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn import metrics as sk

from lakehouse.consensus.methods.assignment import assign
from lakehouse.datasets.policies.box_scores import score_boxes, weigh_boxes
from lakehouse.datasets.policies.detection import BANDS
from lakehouse.datasets.policies.keypoint_scores import score_keypoints
from lakehouse.datasets.policies.kind import Score, Scored
from lakehouse.datasets.policies.labels_scores import weigh_labels
from lakehouse.datasets.policies.mask_scores import score_masks
from lakehouse.datasets.policies.number_scores import weigh_numbers
from lakehouse.datasets.policies.ranking import kendall, spearman
from lakehouse.datasets.policies.stretch_scores import weigh_stretches
from lakehouse.datasets.policies.text_scores import edits
from lakehouse.opinions.geometry import rle

LABELS = ("a", "b")
SIDE = 160
Object = dict[str, Any]

BOX_STATS = ("map", "map50", "map75", "map_small", "map_medium", "map_large", "mar1", "mar10", "mar100", "mar_small",
             "mar_medium", "mar_large")  # fmt: skip
POINT_STATS = ("map", "map50", "map75", "map_medium", "map_large", "mar20", "", "", "mar_medium", "mar_large")
"""The numbers of `COCOeval.stats` by our names, those that we have."""


def oracle(rows: list[Scored], fields: Any, kind: str) -> dict[str, float]:
    """Score rows by pycocotools; `fields` gives the annotation of an object."""
    truth, said = [], []
    for image, row in enumerate(rows, start=1):
        for objects, out in ((row.truth, truth), (row.answer or (), said)):
            for each in objects:
                out.append({"id": len(out) + 1, "image_id": image, "category_id": 1 + LABELS.index(each["label"]),
                            **fields(each)})  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {
            "info": {}, "images": [{"id": place, "height": SIDE, "width": SIDE} for place in range(1, len(rows) + 1)],
            "categories": [{"id": place, "name": name} for place, name in enumerate(LABELS, start=1)],
            "annotations": truth,
        }  # fmt: skip
        known.createIndex()
        judge = COCOeval(known, known.loadRes(said), kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    names = POINT_STATS if kind == "keypoints" else BOX_STATS
    return {name: float(value) for name, value in zip(names, judge.stats, strict=True) if name and value >= 0}


def ours(scores: Any) -> dict[str, float]:
    found: list[Score] = list(scores)
    return {each.metric: each.value for each in found if each.label is None and each.value is not None}


def agree(found: dict[str, float], wanted: dict[str, float]) -> None:
    assert wanted
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=1e-6)


def jittered(box: Object, dice: np.random.Generator, much: float) -> Object:
    x, y, w, h = (float(box[side] + dice.normal(0, much)) for side in "xywh")
    return {"label": box["label"], "x": x, "y": y, "w": max(w, 1.0), "h": max(h, 1.0), "score": float(dice.random())}


def some_boxes(dice: np.random.Generator) -> list[Scored]:
    rows = []
    for number in range(25):
        truth: list[Object] = []
        for _ in range(int(dice.integers(0, 8))):
            w, h = (float(side) for side in dice.uniform(4, 120, 2))
            truth.append({"label": str(dice.choice(LABELS)), "x": float(dice.uniform(0, 40)),
                          "y": float(dice.uniform(0, 40)), "w": w, "h": h, "iscrowd": bool(dice.random() < 0.1)})
        said = [jittered(box, dice, 4) for box in truth if dice.random() < 0.9]
        said += [jittered(box, dice, 30) for box in truth if dice.random() < 0.5]
        rows.append(Scored(str(number), truth, said))
    return rows


def box_fields(box: Object) -> Object:
    found = {"bbox": [box["x"], box["y"], box["w"], box["h"]], "area": box.get("area", box["w"] * box["h"]),
             "iscrowd": int(box.get("iscrowd", False))}  # fmt: skip
    return found | ({"score": box["score"]} if "score" in box else {})


@pytest.mark.parametrize("seed", range(3))
def test_jittered_boxes_score_as_pycocotools_scores_them_in_every_band_of_areas(seed):
    rows = some_boxes(np.random.default_rng(seed))
    if seed == 2:
        # As COCO's own boxes have it: the area of what the outline fills, not of the box around it.
        dice = np.random.default_rng(5)
        rows = [row._replace(truth=[box | {"area": box["w"] * box["h"] * dice.uniform(0.1, 0.9)} for box in row.truth])
                for row in rows]  # fmt: skip
    wanted = oracle(rows, box_fields, "bbox")
    assert set(wanted) == set(BOX_STATS)
    assert 0.05 < wanted["map"] < 0.95
    agree(ours(score_boxes(rows)), wanted)


def test_perfect_boxes_score_1_in_every_band():
    rows = some_boxes(np.random.default_rng(7))
    perfect = [Scored(row.entity_id, row.truth, [box | {"score": 0.9} for box in row.truth]) for row in rows]
    found = ours(score_boxes(perfect))
    assert {found[f"map{band}"] for band in BANDS} == {1.0}
    assert found["mar100"] == found["map50"] == found["macro_f1"] == 1.0


def blob(dice: np.random.Generator, x: float, y: float, size: float) -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return ((columns - x) ** 2 + (rows - y) ** 2 * dice.uniform(0.5, 2)) < size**2


def masked(pixels: np.ndarray, label: str, **more: object) -> Object:
    return {"label": label, "counts": rle.compress(rle.encode(pixels)), "size": [SIDE, SIDE],
            "area": int(pixels.sum()), **more}  # fmt: skip


def mask_fields(mask: Object) -> Object:
    told = {"size": mask["size"], "counts": mask["counts"].encode()}
    found = {"segmentation": told, "area": mask["area"], "iscrowd": int(mask.get("iscrowd", False))}
    # With a box it would take predictions for boxes.
    return found | ({"score": mask["score"]} if "score" in mask else {"bbox": list(map(float, coco_mask.toBbox(told)))})


def test_jittered_masks_score_as_pycocotools_scores_them():
    dice = np.random.default_rng(11)
    rows, plain = [], []
    for number in range(12):
        truth, said = [], []
        for _ in range(int(dice.integers(0, 6))):
            x, y, size, label = *dice.uniform(20, 140, 2), float(dice.uniform(6, 60)), str(dice.choice(LABELS))
            truth.append(masked(blob(dice, x, y, size), label, iscrowd=bool(dice.random() < 0.15)))
            for off in (2, 12):
                moved = blob(dice, x + dice.normal(0, off), y + dice.normal(0, off), size)
                if moved.any():
                    said.append(masked(moved, label, score=float(dice.random())))
        plain.append(Scored(str(number), truth, said))
        rows.append(Scored(str(number), {"size": [SIDE, SIDE], "objects": truth},
                           {"size": [SIDE, SIDE], "objects": said}))  # fmt: skip
    wanted = oracle(plain, mask_fields, "segm")
    assert 0.05 < wanted["map"] < 0.95
    agree(ours(score_masks(rows)), wanted)


COCO_NAMES = ("nose", *(f"{side}_{part}" for part in (
    "eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle",
) for side in ("left", "right")))  # fmt: skip


def point_fields(each: Object) -> Object:
    flat = [float(axis) for point in each["points"] for axis in point]
    found = {"keypoints": flat, "num_keypoints": sum(point[2] > 0 for point in each["points"]), "iscrowd": 0,
             "area": each.get("area", 0.0)}  # fmt: skip
    box = {"bbox": [each["x"], each["y"], each["w"], each["h"]]}
    return found | ({"score": each["score"]} if "score" in each else box)


def test_f12_jittered_keypoints_score_as_pycocotools_scores_them():
    dice = np.random.default_rng(3)
    rows = []
    for number in range(20):
        truth, said = [], []
        for _ in range(int(dice.integers(1, 5))):
            x, y = (float(axis) for axis in dice.uniform(0, 60, 2))
            w, h = (float(axis) for axis in dice.uniform(20, 110, 2))
            points = np.column_stack([dice.uniform(x, x + w, 17), dice.uniform(y, y + h, 17), dice.integers(0, 3, 17)])
            if dice.random() < 0.15:
                points[:, 2] = 0
            points[points[:, 2] == 0] = 0
            # COCO's evaluation reads one category alone here: persons.
            truth.append({"label": "a", "points": points.tolist(), "x": x, "y": y, "w": w, "h": h, "area": w * h * 0.6})
            for off in (2, 9):
                moved = points + np.column_stack([*dice.normal(0, off, (2, 17)), np.zeros(17)])
                said.append({"label": "a", "points": moved.tolist(), "x": x, "y": y, "w": w, "h": h,
                             "score": float(dice.random())})  # fmt: skip
        rows.append(Scored(str(number), truth, said))
    wanted = oracle(rows, point_fields, "keypoints")
    assert 0.05 < wanted["map"] < 0.95
    agree(ours(score_keypoints(rows, names=COCO_NAMES)), wanted)


def test_several_labels_score_as_scikit_learn_scores_them():
    dice = np.random.default_rng(1)
    truth, probs = dice.random((60, 4)) < 0.4, dice.random((60, 4))
    said, names = probs > 0.5, "wxyz"
    rows = [
        Scored(str(place), [n for n, one in zip(names, truth[place], strict=True) if one], {
            "labels": [n for n, one in zip(names, said[place], strict=True) if one],
            "probs": dict(zip(names, probs[place].tolist(), strict=True)),
        })
        for place in range(60)
    ]  # fmt: skip
    agree(ours(weigh_labels(rows)(np.ones(len(rows), np.int64))), {
        "exact_match": sk.accuracy_score(truth, said),
        "hamming_loss": sk.hamming_loss(truth, said),
        **{f"{mean}_{name}": getattr(sk, f"{name}_score")(truth, said, average=mean)
           for mean in ("micro", "macro") for name in ("precision", "recall", "f1")},
        "map": sk.average_precision_score(truth, probs, average="macro"),
    })  # fmt: skip


def test_numbers_score_as_scikit_learn_scores_them():
    dice = np.random.default_rng(2)
    truth, said = dice.normal(size=50), dice.normal(size=50)
    rows = [Scored(str(place), one, other) for place, (one, other) in enumerate(zip(truth, said, strict=True))]
    agree(ours(weigh_numbers(rows)(np.ones(len(rows), np.int64))), {
        "mae": sk.mean_absolute_error(truth, said), "rmse": sk.root_mean_squared_error(truth, said),
        "r2": sk.r2_score(truth, said), "bias": float((said - truth).mean()),
    })  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_rankings_and_pairs_are_as_scipy_has_them(seed):
    dice = np.random.default_rng(seed)
    order = dice.permutation(int(dice.integers(2, 9)))
    assert kendall(order) == pytest.approx(scipy.stats.kendalltau(np.arange(len(order)), order).statistic)
    assert spearman(order) == pytest.approx(scipy.stats.spearmanr(np.arange(len(order)), order).statistic)
    worth = dice.random(tuple(dice.integers(1, 7, 2))).round(1)
    best = worth[scipy.optimize.linear_sum_assignment(worth, maximize=True)].sum()
    found = assign(worth)
    assert len(found) == min(worth.shape)
    assert sum(worth[pair] for pair in found) == pytest.approx(best)


def test_edits_by_hand():
    assert [edits(*pair) for pair in (("kitten", "sitting"), ("", "abc"), ("abc", ""), ("ab", "ba"))] == [3, 3, 3, 2]


def test_rows_that_count_twice_are_as_rows_that_are_there_twice():
    dice = np.random.default_rng(4)
    counts = dice.integers(0, 3, 25)
    boxes = some_boxes(dice)
    labels = [Scored(str(place), [name for name in "xyz" if dice.random() < 0.5], {
        "labels": [name for name in "xyz" if dice.random() < 0.5],
        "probs": {name: float(dice.random()) for name in "xyz"},
    }) for place in range(25)]  # fmt: skip
    spans = [Scored(str(place), [{"label": "a", "start": 0, "end": int(end)} for end in dice.integers(1, 4, 2)],
                    [{"label": "a", "start": 0, "end": int(end)} for end in dice.integers(1, 4, 3)])
             for place in range(25)]  # fmt: skip
    numbers = [Scored(str(place), float(one), float(two)) for place, (one, two) in enumerate(dice.normal(size=(25, 2)))]
    for weigh, rows in ((weigh_boxes, boxes), (weigh_labels, labels), (weigh_stretches, spans),
                        (weigh_numbers, numbers)):  # fmt: skip
        twice = [row for row, count in zip(rows, counts.tolist(), strict=True) for _ in range(count)]
        found, wanted = ours(weigh(rows)(counts)), ours(weigh(twice)(np.ones(len(twice), np.int64)))
        assert found == pytest.approx(wanted, abs=1e-9)
