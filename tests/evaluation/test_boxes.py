"""Boxes are scored as COCO scores them: worked by hand, and against another implementation on random boxes."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import lakehouse as lh
from lakehouse.datasets.policies.box_scores import score_boxes
from lakehouse.datasets.policies.detection import OVERLAPS
from lakehouse.datasets.policies.kind import Scored
from lakehouse.errors import ConfigError
from lakehouse.evaluation.gates import Gate
from tests.datasets.cells import CELLS, bring_cells, names_of, recipe, write_cells

Box = dict[str, Any]


def box(label: str, x: float, y: float, w: float, h: float, score: float | None = None, **more: object) -> Box:
    return {"label": label, "x": x, "y": y, "w": w, "h": h, **({} if score is None else {"score": score}), **more}


def scores(rows: Sequence[Scored]) -> dict[tuple[str, str | None], float | None]:
    return {(each.metric, each.label): each.value for each in score_boxes(rows)}


def test_a_case_worked_by_hand():
    # Picture 1 has two cats, picture 2 one. By falling score: right, wrong, right (0.64 of overlap, 16 / 25).
    rows = [
        Scored("1", [box("cat", 0, 0, 10, 10), box("cat", 20, 0, 10, 10)],
               [box("cat", 0, 0, 10, 10, 0.9), box("cat", 50, 50, 10, 10, 0.8)]),
        Scored("2", [box("cat", 0, 0, 5, 5)], [box("cat", 0, 0, 4, 4, 0.3)]),
    ]  # fmt: skip
    found = scores(rows)
    # Recalls 1/3, 1/3, 2/3 with precisions 1, 1/2, 2/3: 34 of the 101 recall points at 1, 33 at 2/3, 34 at 0.
    assert found["ap50", "cat"] == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    assert found["ap75", "cat"] == pytest.approx(34 / 101)
    # Limits 0.5, 0.55 and 0.6 take the third one too; the other seven do not.
    assert found["ap", "cat"] == pytest.approx((3 * (34 + 22) + 7 * 34) / 1010)
    assert found["map", None] == found["ap", "cat"]
    # With a score of 0.5 at least: one right of two said, one found of three.
    assert (found["precision", "cat"], found["recall", "cat"], found["f1", "cat"]) == (1 / 2, 1 / 3, 2 / 5)


def test_crowds_and_difficult_boxes_count_neither_way():
    rows = [
        Scored("1", [box("cat", 0, 0, 10, 10), box("cat", 20, 0, 40, 40, iscrowd=True),
                     box("cat", 0, 50, 10, 10, difficult=True)],
               [box("cat", 0, 0, 10, 10, 0.6), box("cat", 21, 1, 5, 5, 0.9), box("cat", 30, 9, 5, 5, 0.8),
                box("cat", 0, 50, 10, 10, 0.7)]),
    ]  # fmt: skip
    found = scores(rows)
    assert (found["ap", "cat"], found["precision", "cat"], found["recall", "cat"]) == (1.0, 1.0, 1.0)


def test_classes_that_are_only_predicted_and_pictures_without_answers():
    rows = [
        Scored("1", [], [box("dog", 0, 0, 3, 3, 0.9)]),  # nothing is there
        Scored("2", [box("cat", 0, 0, 3, 3)], None),
    ]
    found = scores(rows)
    assert (found["ap", "dog"], found["precision", "dog"], found["recall", "dog"]) == (None, 0.0, None)
    assert (found["ap", "cat"], found["precision", "cat"], found["recall", "cat"]) == (0.0, None, 0.0)
    assert (found["map", None], found["macro_precision", None]) == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(30))
def test_random_boxes_score_as_a_plain_reading_of_the_definition_scores_them(seed: int):
    dice = random.Random(seed)

    def some(number: int, *, said: bool) -> list[Box]:
        found = []
        for _ in range(number):
            made = box(dice.choice("ab"), dice.randrange(8), dice.randrange(8), dice.randint(1, 6), dice.randint(1, 6))
            if said:
                made["score"] = dice.choice((0.1, 0.3, 0.5, 0.7, 0.9))
            elif dice.random() < 0.2:
                made[dice.choice(("iscrowd", "difficult"))] = True
            found.append(made)
        return found

    rows = [
        Scored(f"{place:02}", some(dice.randrange(5), said=False), some(dice.randrange(6), said=True))
        for place in range(12)
    ]
    found = scores(rows)
    for label in "ab":
        for limit, metric in ((0.5, "ap50"), (0.75, "ap75")):
            assert found.get((metric, label)) == pytest.approx(plain_ap(rows, label, limit)), (metric, label)
        mean = [plain_ap(rows, label, limit) for limit in OVERLAPS]
        assert found["ap", label] == pytest.approx(sum(each or 0 for each in mean) / len(mean))


def plain_ap(rows: Sequence[Scored], label: str, limit: float) -> float | None:
    """Average precision by loops, with nothing shared with the module that is tested."""
    said = [(-each["score"], row.entity_id, place, row, each) for row in rows
            for place, each in enumerate([one for one in row.answer if one["label"] == label])]  # fmt: skip
    taken: set[tuple[str, int]] = set()
    outcomes = []
    for _, entity, _, row, each in sorted(said, key=lambda one: one[:3]):
        best: tuple[float, int] | None = None
        truth = [(place, one) for place, one in enumerate(row.truth) if one["label"] == label]
        for ignored in (False, True):
            for place, one in truth:
                is_ignored = bool(one.get("iscrowd") or one.get("difficult"))
                if is_ignored != ignored or ((entity, place) in taken and not one.get("iscrowd")):
                    continue
                overlap = plain_overlap(each, one)
                if overlap >= limit and (best is None or overlap >= best[0]):
                    best = overlap, place
            if best is not None:
                break
        if best is None:
            outcomes.append(False)
            continue
        taken.add((entity, best[1]))
        if not (row.truth[best[1]].get("iscrowd") or row.truth[best[1]].get("difficult")):
            outcomes.append(True)
    wanted = sum(one["label"] == label and not one.get("iscrowd") and not one.get("difficult")
                 for row in rows for one in row.truth)  # fmt: skip
    if not wanted:
        return None
    total = 0.0
    for point in range(101):
        reached = [sum(outcomes[: n + 1]) / (n + 1) for n in range(len(outcomes))
                   if sum(outcomes[: n + 1]) / wanted >= point / 100 - 1e-12]  # fmt: skip
        total += max(reached, default=0.0)
    return total / 101


def plain_overlap(said: Mapping[str, Any], truth: Mapping[str, Any]) -> float:
    wide = min(said["x"] + said["w"], truth["x"] + truth["w"]) - max(said["x"], truth["x"])
    high = min(said["y"] + said["h"], truth["y"] + truth["h"]) - max(said["y"], truth["y"])
    shared = max(wide, 0) * max(high, 0)
    mine, other = said["w"] * said["h"], truth["w"] * truth["h"]
    return float(shared / (mine if truth.get("iscrowd") else mine + other - shared))


@pytest.fixture
def detector(lake, tmp_path):
    """A lake with boxes of three pictures, and a model's predictions about two of them."""
    write_cells(tmp_path, CELLS)
    bring_cells(lake, tmp_path)
    built = lh.build(lake, recipe())
    names = {name: entity for entity, name in names_of(lake).items()}
    said = {
        "a": [("red", 0, 0, 10, 10, 0.9), ("red", 10, 10, 10, 10, 0.8), ("white", 2, 3, 1, 1, 0.7)],
        "b": [("red", 1, 1, 4, 5, 0.6)],
    }
    rows = [
        {"entity_id": names[name], "regions": [
            {"kind": "box", "label": label, "x": x, "y": y, "w": w, "h": h, "score": score}
            for label, x, y, w, h, score in boxes
        ]} for name, boxes in said.items()
    ]  # fmt: skip
    lh.record_opinions(lake, rows, source="run 1", question="cells", actor="model:det@1")
    return built.details["dataset_id"]


def test_predicted_boxes_come_back_and_are_evaluated(lake, detector):
    receipt = lh.evaluate(lake, dataset_id=detector, actor="model:det@1", question="cells", split="train",
                          slices=["origin"], gates=[Gate("map", ">=", 0.9, min_support=1)])  # fmt: skip
    assert receipt.details["map"] == "1.0000"
    assert receipt.details["verdict"] == "pass"
    assert (receipt.counts["members"], receipt.counts["answered"]) == (3, 2)
    rows = lh.fetch(lake, "select metric, slice, value, support from gold.evaluations")
    found = {(row["metric"], row["slice"]): (row["value"], row["support"]) for row in rows}
    assert found["ap50", "class=red"] == (1.0, 3)
    assert found["map", "origin=real"] == (1.0, 4)
    assert found["coverage", "all"] == (pytest.approx(2 / 3), 3)


def test_a_gate_on_a_number_that_boxes_do_not_have_is_an_error_that_lists_theirs(lake, detector):
    with pytest.raises(ConfigError, match="gate on accuracy: these answers have no such number; there are .*map50"):
        lh.evaluate(lake, dataset_id=detector, actor="model:det@1", question="cells", split="train",
                    gates=[Gate("accuracy", ">=", 0.9)])  # fmt: skip
