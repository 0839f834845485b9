"""Consensus of every other kind of answer, from opinions to opinions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import lakehouse as lh
from lakehouse.lake import Lake
from lakehouse.opinions.exporting.answers import region_of
from lakehouse.opinions.geometry.regions import mask_of_region
from lakehouse.opinions.questions import Question
from lakehouse.query import fetch
from tests.making import add_entities, entity_id, small_lake

FRAME = {"frame_w": 100, "frame_h": 80}


def box(x: float, y: float, w: float = 10, h: float = 10, label: str = "cell") -> dict[str, Any]:
    return {"kind": "box", "label": label, "x": x, "y": y, "w": w, "h": h}


def square(x: float, y: float, side: float) -> dict[str, Any]:
    corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
    return {"kind": "polygon", "label": "cell", "closed": True, "x": x, "y": y, "w": side, "h": side,
            "points": [{"x": a, "y": b} for a, b in corners]}  # fmt: skip


def span(start: int, end: int) -> dict[str, Any]:
    return {"kind": "span", "label": "name", "char_start": start, "char_end": end}


def interval(start: float, end: float) -> dict[str, Any]:
    return {"kind": "interval", "label": "speech", "t_start": start, "t_end": end}


ASKED: dict[str, tuple[str, dict[str, tuple[Any, ...]]]] = {
    # question: kind of answer, subject -> answers of ann, bob, cyd
    "cells": ("regions", {"a": ([box(0, 0), box(50, 50)], [box(1, 0)], [box(2, 0), box(80, 60, label="dust")]),
                          "b": ([], [], []), "c": ([{**box(0, 0), "angle": 30.0}], [box(0, 0)], [])}),
    "outlines": ("regions", {"a": ([square(0, 0, 4)], [square(0, 0, 6)], [square(0, 0, 5)])}),
    "speech": ("regions", {"a": ([interval(0, 2)], [interval(0.5, 3)], [interval(1, 2.5), interval(8, 9)])}),
    "names": ("spans", {"a": ([span(0, 5)], [span(0, 6)], [span(2, 6)])}),
    "age": ("number", {"a": (30.0, 32.0, 90.0)}),
    "heading": ("number", {"a": (350.0, 10.0, 0.0), "b": (0.0, 180.0)}),
    "tags": ("labels", {"a": (["red", "round"], ["red"], ["big"]), "b": ([], [], ["red"])}),
    "caption": ("text", {"a": ("a red cell", "a red cel", "red")}),
    "best": ("ranking", {"a": (["x", "y", "z"], ["x", "z", "y"], ["y", "x", "z"])}),
    "sharp": ("bool", {"a": (True, True, False), "b": (True, False)}),
}  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    with small_lake(tmp_path_factory.mktemp("kinds") / "lake") as found:
        add_entities(found, ["a", "b", "c"])
        for question, (kind, answers) in ASKED.items():
            rows = [
                {"entity_id": entity_id(name), "actor": f"human:{who}", kind: said,
                 **(FRAME if kind == "regions" else {})}
                for name, all_said in answers.items()
                for who, said in zip(("ann", "bob", "cyd"), all_said, strict=False)
            ]
            lh.record_opinions(found, rows, source="desk", question=Question(question_id=question, answer_kind=kind))
        yield found


def made(lake: Lake, question: str, method: str, **options: Any) -> dict[str, Mapping[str, Any]]:
    """What a consensus says by subject; recorded twice, which adds nothing."""
    first = lh.consensus(lake, question=question, method=method, **options)
    assert first.counts["new"] == first.counts["subjects"]
    assert lh.consensus(lake, question=question, method=method, **options).counts["new"] == 0
    rows = fetch(lake, "select * from current_opinions where actor_id = $actor and question_id = $question",
                 params={"actor": first.details["actor"], "question": question})  # fmt: skip
    return {name: row for row in rows for name in "abc" if row["subject_id"] == entity_id(name)}


@pytest.mark.parametrize("matching", ["greedy", "hungarian"])
def test_boxes_that_enough_annotators_found(lake: Lake, matching: str) -> None:
    said = made(lake, "cells", "boxes", quorum=2, matching=matching)
    found = said["a"]["regions"]
    assert [(each["label"], each["x"], each["y"], each["w"], each["h"]) for each in found] == [("cell", 1, 0, 10, 10)]
    assert dict(found[0]["attrs"]) == {"answered": "3", "support": "3", "iou": "0.8788"}
    assert dict(said["a"]["ext"])["unmatched"] == "2"
    assert (said["a"]["frame_w"], said["a"]["frame_h"]) == (100, 80)
    # All three say that nothing is there: that is an answer, and not a gap.
    assert (said["b"]["op"], said["b"]["regions"], said["b"]["confidence"]) == ("assert", [], 1.0)
    assert (said["c"]["op"], said["c"]["reason"].split(":")[0]) == ("abstain", "other_shapes")


def test_masks_are_voted_pixel_by_pixel(lake: Lake) -> None:
    region = made(lake, "outlines", "masks", quorum=2)["a"]["regions"][0]
    assert (region["kind"], region["mask_h"], region["mask_w"], region["area"]) == ("mask", 80, 100, 25)
    assert mask_of_region(region_of(region), 80, 100)[:5, :5].all()


def test_intervals_and_spans_are_voted_place_by_place(lake: Lake) -> None:
    found = made(lake, "speech", "intervals")["a"]["regions"]
    assert [(each["t_start"], each["t_end"], dict(each["attrs"])["support"]) for each in found] == [(0.5, 2.5, "2")]
    found = made(lake, "names", "spans")["a"]["regions"]
    assert [(each["char_start"], each["char_end"]) for each in found] == [(0, 6)]
    found = made(lake, "names", "spans", quorum=3)["a"]["regions"]
    assert [(each["char_start"], each["char_end"]) for each in found] == [(2, 5)]


@pytest.mark.parametrize(("method", "value"), [("mean", 152 / 3), ("median", 32.0), ("trimmed-mean", 116 / 2.4)])
def test_middles_of_numbers(lake: Lake, method: str, value: float) -> None:
    assert made(lake, "age", method)["a"]["number"] == pytest.approx(value)


def test_angles_go_round_and_may_point_nowhere(lake: Lake) -> None:
    said = made(lake, "heading", "circular-mean")
    assert said["a"]["number"] % 360 == pytest.approx(0, abs=1e-6)
    assert said["b"]["reason"].startswith("no_direction")


def test_several_labels_texts_orders_and_yes_or_no(lake: Lake) -> None:
    tags = made(lake, "tags", "multi-label")
    assert (tags["a"]["labels"], tags["b"]["labels"]) == (["red"], [])
    assert dict(tags["a"]["probs"]) == {"big": 0.333333, "red": 0.666667, "round": 0.333333}
    assert made(lake, "caption", "medoid")["a"]["text"] == "a red cel"
    assert made(lake, "best", "borda")["a"]["ranking"] == ["x", "y", "z"]
    assert made(lake, "best", "bradley-terry")["a"]["ranking"] == ["x", "y", "z"]
    sharp = made(lake, "sharp", "majority")
    assert (sharp["a"]["number"], sharp["b"]["reason"]) == (1, "tie: false 1, true 1")


def test_an_experts_boxes_hold(lake: Lake) -> None:
    said = made(lake, "cells", "boxes", experts=["human:cyd"])
    assert [each["label"] for each in said["a"]["regions"]] == ["cell", "dust"]
    assert dict(said["c"]["ext"]) == {"expert": "human:cyd"}
    assert (said["c"]["op"], said["c"]["regions"]) == ("assert", [])


def test_a_file_of_one_kind_agrees_with_itself_only(lake: Lake, tmp_path: Path) -> None:
    found = lh.agreement(lake, question="age", level="interval")
    assert (found.subjects, found.answers) == (1, 3)
    assert lh.agreement(lake, question="tags").labels == {"(none)": 2, "big": 1, "red": 2, "red + round": 1}
