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


def turned(x: float, y: float, w: float, h: float, angle: float) -> dict[str, Any]:
    return {**box(x, y, w, h, "ship"), "angle": angle}


def pose(x: float, v: int = 2) -> dict[str, Any]:
    points = [{"x": x, "y": 10.0, "v": 2}, {"x": 20.0 if v else 0.0, "y": 20.0 if v else 0.0, "v": v}]
    return {"kind": "keypoints", "label": "cat", "x": 5.0, "y": 5.0, "w": 30.0, "h": 30.0, "points": points}


def shape(track: str, x: float, first: int, last: int, **more: Any) -> dict[str, Any]:
    return {**box(x, 0, label="car"), "track_id": track, "frame_start": first, "frame_end": last, **more}


MOVES = {"attrs": {"interpolation": "linear"}}


def span(start: int, end: int) -> dict[str, Any]:
    return {"kind": "span", "label": "name", "char_start": start, "char_end": end}


def interval(start: float, end: float) -> dict[str, Any]:
    return {"kind": "interval", "label": "speech", "t_start": start, "t_end": end}


ASKED: dict[str, tuple[str, dict[str, tuple[Any, ...]]]] = {
    # question: kind of answer, subject -> answers of ann, bob, cyd
    "cells": ("regions", {"a": ([box(0, 0), box(50, 50)], [box(1, 0)], [box(2, 0), box(80, 60, label="dust")]),
                          "b": ([], [], []), "c": ([{**box(0, 0), "angle": 30.0}], [box(0, 0)], [])}),
    "ships": ("regions", {"a": ([turned(30, 45, 40, 10, 20)], [turned(30, 45, 40, 10, 204)],
                                [turned(45, 30, 10, 40, 112)]),
                          "b": ([box(0, 0, label="ship")], [box(2, 0, label="ship")], [])}),
    "poses": ("regions", {"a": ([pose(10)], [pose(11)], [pose(60, 0), pose(90)]), "b": ([box(0, 0)], [pose(1)])}),
    "paths": ("regions", {"a": ([shape("7", 0, 0, 9, **MOVES), shape("7", 10, 10, 10)], [shape("x", 2, 0, 10)], []),
                          "b": ([shape("1", 0, 0, 5), shape("1", 0, 3, 9)], [box(0, 0)])}),
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


def test_turned_boxes_are_fused_modulo_their_symmetry(lake: Lake) -> None:
    said = made(lake, "ships", "turned-boxes", quorum=2)
    found = said["a"]["regions"]
    assert [[each[name] for name in ("kind", "label", "x", "y", "w", "h")] for each in found] == [
        ["box", "ship", 30, 45, 40, 10]
    ]
    assert found[0]["angle"] == pytest.approx(22)
    assert dict(found[0]["attrs"])["support"] == "3"
    # Upright ones stay upright.
    assert [(each["x"], each["angle"]) for each in said["b"]["regions"]] == [(1, None)]


def test_keypoints_are_matched_by_similarity_and_voted_on(lake: Lake) -> None:
    said = made(lake, "poses", "keypoints", quorum=2, min_iou=0.6)
    found = said["a"]["regions"]
    points = [[(p["x"], p["y"], p["v"]) for p in each["points"]] for each in found]
    assert points == [[(10.5, 10, 2), (20, 20, 2)]]
    assert (found[0]["kind"], found[0]["w"], dict(said["a"]["ext"])["unmatched"]) == ("keypoints", 30, "2")
    assert said["b"]["reason"].startswith("other_shapes: box among")


def test_tracks_are_matched_over_all_frames_and_undecided_ones_are_escalated(lake: Lake, tmp_path: Path) -> None:
    said = made(lake, "paths", "tracks", quorum=2, min_iou=0.3, escalate=tmp_path / "open.csv")
    names = ("track_id", "frame_start", "frame_end", "x", "y", "w", "h")
    assert [[each[name] for name in names] for each in said["a"]["regions"]] == [
        ["1", 0, 9, 1, 0, 10, 10], ["1", 10, 10, 6, 0, 10, 10],
    ]  # fmt: skip
    assert dict(said["a"]["regions"][0]["attrs"])["interpolation"] == "linear"
    assert said["b"]["reason"].startswith("other_shapes: box among")
    assert "other_shapes" in (tmp_path / "open.csv").read_text("utf-8")
    alone = made(lake, "paths", "tracks", actors=["human:ann"])
    assert alone["b"]["reason"] == "bad_track: track 1 has two shapes in one frame"


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
