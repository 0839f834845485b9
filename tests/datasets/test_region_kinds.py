"""Polygons, masks, tracks, spans, intervals, rankings and embeddings: from opinions to a batch and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lakehouse.datasets.policies.embedding import embedding_ref
from lakehouse.errors import IngestError
from lakehouse.labels.changes import merge_label
from lakehouse.opinions.geometry import rle
from lakehouse.opinions.questions import Question
from tests.datasets.pictures import SIDE, answers, bring_pictures, built, metrics, samples, say

MODEL = "model:m@1"


@pytest.fixture
def pictures(lake, tmp_path):
    bring_pictures(lake, tmp_path / "pictures", "abc")
    return lake


def polygon(*parts: list[tuple[float, float]], label: str = "cell", **more: object) -> dict[str, object]:
    points = [{"x": x, "y": y} for part in parts for x, y in part]
    return {"kind": "polygon", "label": label, "points": points, "part_sizes": [len(part) for part in parts],
            "closed": True, **more}  # fmt: skip


SQUARE = [(1.0, 1.0), (5.0, 1.0), (5.0, 5.0), (1.0, 5.0)]
FAR = [(10.0, 10.0), (14.0, 10.0), (14.0, 18.0)]


def shapes(question: str, *kinds: str) -> Question:
    return Question(question_id=question, answer_kind="regions", geometry_kinds=kinds)


def test_f10_polygons_of_several_parts_are_one_object(pictures):
    said = {"a": {"regions": [polygon(SQUARE, FAR), polygon(FAR, label="dot")]}, "b": {"regions": []}}
    say(pictures, shapes("outline", "polygon"), "human:ann", said)
    version = built(pictures, "outline", policy="single")
    rows = samples(pictures, version)
    assert rows["a"]["polygons"].dtype == np.float32
    np.testing.assert_array_equal(rows["a"]["polygons"], SQUARE + FAR + FAR)
    assert rows["a"]["polygon_sizes"].tolist() == [4, 3, 3]
    assert rows["a"]["polygon_parts"].tolist() == [2, 1]
    assert rows["a"]["polygon_labels"].tolist() == [0, 1]
    assert (rows["b"]["polygons"].shape, rows["b"]["polygon_labels"].shape) == ((0, 2), (0,))
    say(pictures, "outline", MODEL, {"a": {"regions": [polygon(SQUARE, FAR, score=0.9)]}})
    scores = metrics(pictures, version, MODEL, "outline")
    assert (scores["ap", "class=cell"], scores["ap", "class=dot"], scores["map", "all"]) == (1.0, 0.0, 0.5)


def test_boxes_around_outlines_have_the_outlines_area_for_the_bands_of_coco(pictures):
    # 34 x 34 px would be a medium object; the triangle in it fills half of that, which is a small one.
    triangle = polygon([(0.0, 0.0), (34.0, 0.0), (34.0, 34.0)], x=0.0, y=0.0, w=34.0, h=34.0)
    stated = {**triangle, "area": 2000.0}
    say(pictures, shapes("outline", "polygon"), "human:ann", {"a": {"regions": [triangle]}, "b": {"regions": [stated]}})
    version = built(pictures, "outline", policy="single", task="boxes")
    told = {"kind": "box", "label": "cell", "x": 0.0, "y": 0.0, "w": 34.0, "h": 34.0, "score": 0.9, "area": 7.0}
    say(pictures, "outline", MODEL, {"a": {"regions": [told]}, "b": {"regions": []}})
    scores = metrics(pictures, version, MODEL, "outline")
    assert (scores["map_small", "all"], scores["map_medium", "all"]) == (1.0, 0.0)


def test_predictions_that_say_a_merged_label_say_the_one_that_stands_for_it(pictures):
    say(pictures, shapes("outline", "polygon"), "human:ann", {"a": {"regions": [polygon(SQUARE, label="wbc")]}})
    say(pictures, "outline", MODEL, {"a": {"regions": [polygon(SQUARE, label="white", score=0.9)]}})
    version = built(pictures, "outline", policy="single")
    assert metrics(pictures, version, MODEL, "outline")["map", "all"] == 0.0
    merge_label(pictures, "outline", "white", "wbc")
    # The merge came after that version, and before the next one.
    later = built(pictures, "outline", policy="latest")
    scores = metrics(pictures, later, MODEL, "outline")
    assert (scores["map", "all"], scores["ap", "class=wbc"]) == (1.0, 1.0)
    assert ("ap", "class=white") not in scores


def mask(pixels: np.ndarray, label: str = "cell", **more: object) -> dict[str, object]:
    counts = rle.compress(rle.encode(pixels))
    return {"kind": "mask", "label": label, "mask_encoding": "coco_rle", "mask_counts": counts,
            "mask_h": pixels.shape[0], "mask_w": pixels.shape[1], **more}  # fmt: skip


def test_f8_masks_come_back_bit_for_bit_and_polygons_are_drawn_among_them(pictures):
    dice = np.random.default_rng(5)
    one, other = dice.random((2, SIDE, SIDE)) < 0.4
    frame = {"frame_w": SIDE, "frame_h": SIDE}
    said = {"a": {"regions": [mask(one), mask(other, "dot")]}, "b": {"regions": [], **frame},
            "c": {"regions": [polygon(SQUARE)], **frame}}  # fmt: skip
    say(pictures, shapes("mask", "mask", "polygon"), "human:ann", said)
    version = built(pictures, "mask", policy="single", task="masks")
    rows = samples(pictures, version)
    np.testing.assert_array_equal(rows["a"]["masks"], np.stack([one, other]))
    assert rows["a"]["mask_labels"].tolist() == [0, 1]
    assert (rows["b"]["masks"].shape, rows["b"]["masks"].dtype) == ((0, SIDE, SIDE), np.uint8)
    # COCO's rule fills 16 pixels, not 25.
    assert rows["c"]["masks"].sum() == 16
    say(pictures, "mask", MODEL, {"a": {"regions": [mask(one, score=0.9), mask(one, "dot", score=0.2)]}})
    scores = metrics(pictures, version, MODEL, "mask")
    # Of two cells one is found; half of the recall points.
    assert scores["ap", "class=cell"] == pytest.approx(51 / 101)
    assert scores["ap", "class=dot"] == 0.0


def test_masks_of_another_size_or_without_a_frame_are_left_out_with_a_reason(pictures):
    short = mask(np.ones((3, 3))) | {"mask_w": 4}
    say(pictures, shapes("mask", "mask", "polygon"), "human:ann",
        {"a": {"regions": [short]}, "b": {"regions": []}, "c": {"regions": [{"kind": "point", "label": "cell"}]}})
    assert answers(pictures, built(pictures, "mask", policy="single", task="masks"))[1] == {
        "a": "not_masks", "c": "not_masks",
    }  # fmt: skip


def tracked(track: str, first: int, last: int, x: float, **more: object) -> dict[str, object]:
    return {"kind": "box", "label": "car", "track_id": track, "frame_start": first, "frame_end": last, "x": x,
            "y": 0.0, "w": 4.0, "h": 2.0, **more}  # fmt: skip


LINEAR = {"attrs": {"interpolation": "linear"}}


def test_f20_tracks_have_one_box_a_frame_between_the_shapes_that_were_stated(pictures):
    # A moves from 0 to 8 in four frames; B stands still, leaves, and comes back.
    moves = [tracked("A", 0, 3, 0.0, **LINEAR), tracked("A", 4, 4, 8.0)]
    stands = [tracked("B", 1, 2, 20.0, **LINEAR), tracked("B", 5, 5, 30.0)]
    say(pictures, "traffic", "human:ann", {"a": {"regions": [*moves, *stands]}, "b": {"regions": []}})
    version = built(pictures, "traffic", policy="single", task="tracks", box_format="xywh")
    row = samples(pictures, version)["a"]
    assert row["track_frames"].tolist() == [0, 1, 1, 2, 2, 3, 4, 5]
    assert row["track_ids"].tolist() == [0, 0, 1, 0, 1, 0, 0, 1]
    assert row["track_boxes"][:, 0].tolist() == [0, 2, 20, 4, 20, 6, 8, 30]
    assert row["track_boxes"][0].tolist() == [0, 0, 4, 2]
    say(pictures, "traffic", MODEL, {"a": {"regions": [*moves[:1], tracked("X", 4, 4, 8.0), *stands]}})
    scores = metrics(pictures, version, MODEL, "traffic")
    # Without a shape to move to, A stands at 0: wrong in frames 1 to 3 (at 1, 2 of 4 px are shared, 1/3 of the union).
    assert scores["frame_recall", "all"] == scores["frame_precision", "all"] == 5 / 8
    # In frame 4 A is X: one switch beside 3 missed and 3 false.
    assert (scores["switches", "all"], scores["mota", "all"]) == (1.0, 1 - 7 / 8)
    # B in its three frames, A by its own name in frame 0 or by X in frame 4: four of eight.
    assert scores["idf1", "all"] == 2 * 4 / 16


def test_two_shapes_of_a_track_in_one_frame_are_left_out_with_a_reason(pictures):
    say(pictures, "traffic", "human:ann", {"a": {"regions": [tracked("A", 0, 3, 0.0), tracked("A", 3, 4, 8.0)]},
                                           "b": {"regions": [tracked("A", 0, 3, 0.0)]}})  # fmt: skip
    assert answers(pictures, built(pictures, "traffic", policy="single", task="tracks"))[1]["a"] == "not_tracks"


def interval(start: float, end: float, label: str = "bird", **more: object) -> dict[str, object]:
    return {"kind": "interval", "label": label, "t_start": start, "t_end": end, **more}


def test_intervals_go_the_whole_way_and_back(pictures):
    say(pictures, shapes("song", "interval"), "human:ann",
        {"a": {"regions": [interval(0.25, 1.5), interval(2.0, 3.0, "frog")]}, "b": {"regions": []}})  # fmt: skip
    with pytest.raises(IngestError, match="inverted_interval"):
        say(pictures, "song", "human:ann", {"c": {"regions": [interval(2.0, 1.0)]}})
    version = built(pictures, "song", policy="single")
    assert answers(pictures, version)[1] == {"c": "no_answer"}
    rows = samples(pictures, version)
    assert rows["a"]["intervals"].dtype == np.float64
    np.testing.assert_array_equal(rows["a"]["intervals"], [[0.25, 1.5], [2, 3]])
    assert rows["a"]["interval_labels"].tolist() == [0, 1]
    assert rows["b"]["intervals"].shape == (0, 2)
    say(pictures, "song", MODEL, {"a": {"regions": [interval(0.25, 1.5), interval(2.2, 3.0, "frog")]}})
    scores = metrics(pictures, version, MODEL, "song")
    assert (scores["micro_f1", "all"], scores["overlap_f1", "all"]) == (0.5, 1.0)
    assert (scores["recall", "class=bird"], scores["recall", "class=frog"]) == (1.0, 0.0)


def test_spans_go_the_whole_way_and_back(pictures):
    def span(start: int, end: int, label: str = "name") -> dict[str, object]:
        return {"kind": "span", "label": label, "char_start": start, "char_end": end}

    say(pictures, "names", "human:ann", {"a": {"spans": [span(0, 4), span(9, 12)]}, "b": {"spans": []}})
    version = built(pictures, "names", policy="single")
    rows = samples(pictures, version)
    assert rows["a"]["spans"].dtype == np.int64
    assert rows["a"]["spans"].tolist() == [[0, 4], [9, 12]]
    assert (rows["a"]["span_labels"].tolist(), rows["b"]["spans"].shape) == ([0, 0], (0, 2))
    say(pictures, "names", MODEL, {"a": {"spans": [span(0, 4)]}, "b": {"spans": [span(1, 2)]}})
    scores = metrics(pictures, version, MODEL, "names")
    assert (scores["micro_precision", "all"], scores["micro_recall", "all"]) == (0.5, 0.5)


def test_rankings_go_the_whole_way_and_back(pictures):
    say(pictures, "order", "human:ann", {"a": {"ranking": ["x", "y", "z"]}, "b": {"ranking": ["z", "z"]}})
    version = built(pictures, "order", policy="single")
    assert answers(pictures, version)[1]["b"] == "ranked_twice"
    assert list(samples(pictures, version)["a"]["ranking"]) == ["x", "y", "z"]
    say(pictures, "order", MODEL, {"a": {"ranking": ["x", "z", "y"]}})
    scores = metrics(pictures, version, MODEL, "order")
    assert (scores["kendall_tau", "all"], scores["spearman", "all"], scores["first_right", "all"]) == (1 / 3, 0.5, 1.0)


def test_embeddings_go_the_whole_way_and_back(pictures):
    def vector(*numbers: float) -> dict[str, object]:
        return {"value_kind": "embedding", "value_ref": embedding_ref(numbers)}

    missing = {"value_kind": "embedding", "value_ref": "file:///nowhere.npy#00"}
    say(pictures, "place", "human:ann", {"a": vector(1, 0.1, 0), "b": missing})
    version = built(pictures, "place", policy="single")
    found, left = answers(pictures, version)
    assert left["b"] == "no_embedding"
    assert json.loads(found["a"])[1] == float(np.float32(0.1))
    row = samples(pictures, version)["a"]["embedding"]
    assert (row.dtype, row.tolist()) == (np.float32, [1, float(np.float32(0.1)), 0])
    say(pictures, "place", MODEL, {"a": vector(0.5, 0.05, 0)})
    assert metrics(pictures, version, MODEL, "place")["cosine", "all"] == pytest.approx(1.0)
