"""How regions of two answers are matched: each kind of shape by what it is, and stretches by their ends."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse.agreement.likeness import matched
from lakehouse.agreement.marked import unitizing_alpha
from lakehouse.errors import RejectedInputError
from schemas.tables import OPINIONS

FIELDS = [field.name for field in OPINIONS.arrow_schema.field("regions").type.value_type]


def answer(*regions: dict[str, Any], frame: tuple[int, int] | None = None) -> dict[str, Any]:
    width, height = frame or (None, None)
    return {"regions": [dict.fromkeys(FIELDS) | {"label": "a"} | each for each in regions], "frame_w": width,
            "frame_h": height}  # fmt: skip


def box(x: float, y: float, w: float = 10, h: float = 10, **more: Any) -> dict[str, Any]:
    return {"kind": "box", "x": x, "y": y, "w": w, "h": h, **more}


def polygon(*points: tuple[float, float]) -> dict[str, Any]:
    # With bounds that say nothing: what counts is what it fills.
    return {"kind": "polygon", "points": [{"x": x, "y": y, "v": None} for x, y in points], "closed": True,
            "x": 0.0, "y": 0.0, "w": 10.0, "h": 10.0}  # fmt: skip


def interval(start: float, end: float, channel: int | None = None) -> dict[str, Any]:
    return {"kind": "interval", "t_start": start, "t_end": end, "channel": channel}


def test_turned_boxes_overlap_as_they_lie() -> None:
    found = matched(answer(box(0, 0, 40, 10, angle=30.0)), answer(box(0, 0, 40, 10, angle=210.0)))
    assert found.mean_iou == pytest.approx(1)
    assert matched(answer(box(0, 0, 40, 10, angle=45.0)), answer(box(0, 0, 40, 10, angle=-45.0))).f1 == 0


def test_outlines_overlap_by_what_they_fill_boxes_among_them_too() -> None:
    lower, upper = polygon((0, 0), (10, 10), (0, 10)), polygon((0, 0), (10, 0), (10, 10))
    # One box around both, and no pixel in common.
    assert matched(answer(lower), answer(upper)).f1 == 0
    assert matched(answer(lower), answer(lower)).mean_iou == 1
    assert matched(answer(box(0, 0)), answer(polygon((0, 0), (10, 0), (10, 8), (0, 8)))).mean_iou == 0.8
    with pytest.raises(RejectedInputError, match="frames of several sizes"):
        matched(answer(lower, frame=(20, 20)), answer(lower, frame=(30, 20)))


def test_keypoints_are_compared_by_oks_and_tracks_over_all_frames() -> None:
    def pose(x: float) -> dict[str, Any]:
        points = [{"x": x, "y": 0.0, "v": 2}, {"x": 9.0, "y": 9.0, "v": 1}]
        return {"kind": "keypoints", "points": points, "x": 0.0, "y": 0.0, "w": 10.0, "h": 10.0}

    assert matched(answer(pose(0)), answer(pose(0))).mean_iou == 1
    assert matched(answer(pose(0)), answer(pose(5))).mean_iou == pytest.approx((1 + 2.718281828 ** (-25 / 200)) / 2)
    track = [box(0, 0, track_id="1", frame_start=0, frame_end=9), box(0, 0, track_id="8", frame_start=0, frame_end=5)]
    assert matched(answer(track[0]), answer(track[1])).mean_iou == 0.6


def test_stretches_are_matched_by_label_and_channel_and_told_by_their_ends() -> None:
    one = answer(interval(0, 4), interval(10, 12, channel=1))
    other = answer(interval(0.5, 4.1), interval(10, 12, channel=0))
    found = matched(one, other)
    assert (found.matched, found.shapes, found.boundary_error) == (1, 4, pytest.approx(0.3))


def test_alpha_for_unitizing_of_equal_answers_is_1_and_lengths_count() -> None:
    spans = answer({"kind": "span", "char_start": 2, "char_end": 6})
    moved = answer({"kind": "span", "char_start": 4, "char_end": 8})
    assert unitizing_alpha({"t": [spans, spans]}, {"t": 40}) == (1.0, 0)
    near, far = (unitizing_alpha({"t": [spans, moved]}, lengths) for lengths in ({}, {"t": 400}))
    assert (near.assumed, far.assumed) == (1, 0)
    assert float(near.alpha or 0) < float(far.alpha or 0) < 1
    assert unitizing_alpha({"t": [answer(), answer()], "u": [spans]}, {}) == (None, 0)
