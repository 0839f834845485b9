"""How predicted boxes are scored: average precision as COCO defines it, precision and recall at a score.

Source: the evaluation of COCO 2014 (pycocotools' `COCOeval`, `bbox`), with 101 recall points. For each class and each
limit of overlap, the predictions of all pictures go by falling score, each to the box of its picture that it overlaps
most among those of its class that are still free, if by at least the limit; others are false. A crowd takes any number
of predictions, and its overlap is the share of the predicted box that lies in it. Predictions that go to a crowd or a
`difficult` box (Pascal VOC), and these boxes themselves, count neither for nor against. What differs from COCO: there
are no sizes of areas, and equal scores go by picture and then by the order in which they were said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lakehouse.datasets.policies.box_samples import corners
from lakehouse.datasets.policies.kind import BY_CLASS, Measure, Score, Scored
from lakehouse.errors import ConfigError

OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Limits of intersection over union: 0.5, 0.55 ... 0.95."""

RECALLS = np.linspace(0, 1, 101)

MOST_OF_PICTURE = 100
"""Predictions of one class in one picture that count: those with the highest scores, as for COCO."""

SCORE = 0.5
"""Precision, recall and F1 are of the predictions with at least this score, at an overlap of 0.5."""

MEASURES = (
    *(Measure(name) for name in ("map", "map50", "map75")),
    *BY_CLASS,
    *(Measure(name, "class", mean=f"m{name}") for name in ("ap", "ap50", "ap75")),
)

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def score_boxes(rows: Sequence[Scored]) -> Iterator[Score]:
    """Yield the scores of predicted boxes.

    By class `ap` (mean over the limits 0.5 to 0.95), `ap50`, `ap75`, `precision`, `recall` and `f1`; over all classes
    that have a box to be found, their means: `map`, `map50`, `map75`, `macro_precision`, `macro_recall`, `macro_f1`. A
    class that is only predicted has a precision of 0 and is in no mean. A picture without a prediction counts as one in
    which nothing was found; a box without a score as one of score 1.

    Args:
        rows: One for each member; boxes as JSON: label, x, y, w, h in px, and score, iscrowd, difficult if stated.
    """
    classes: dict[str, list[_Picture]] = defaultdict(list)
    for row in rows:
        for label, picture in _by_label(row):
            classes[label].append(picture)
    found: dict[str, list[float]] = defaultdict(list)
    for label in sorted(classes):
        by_overlap = [_matched(classes[label], overlap) for overlap in OVERLAPS]
        support = by_overlap[0].wanted
        values = _values(by_overlap)
        for metric, value in values.items():
            yield Score(metric, label, value, support)
            if support:
                # A class of which nothing was predicted has no precision: it counts 0 in the mean, as for labels.
                found[metric].append(value or 0.0)
    total = sum(picture.wanted for pictures in classes.values() for picture in pictures)
    for metric, each in found.items():
        name = f"m{metric}" if metric.startswith("ap") else f"macro_{metric}"
        yield Score(name, None, sum(each) / len(each), total)


class _Picture:
    """Boxes of one class in one picture."""

    def __init__(self, truth: Sequence[Mapping[str, Any]], said: Sequence[Mapping[str, Any]]) -> None:
        is_crowd = np.array([bool(box.get("iscrowd")) for box in truth], dtype=bool)
        is_difficult = np.array([bool(box.get("difficult")) for box in truth], dtype=bool)
        # Boxes that must be found first: a prediction goes to one of the others only if it fits none of these.
        order = np.argsort(is_crowd | is_difficult, kind="stable")
        self.ignored: Flags = (is_crowd | is_difficult)[order]
        self.is_crowd: Flags = is_crowd[order]
        self.wanted = int((~self.ignored).sum())
        scores = np.array([1.0 if box.get("score") is None else box["score"] for box in said], dtype=np.float64)
        best = np.argsort(-scores, kind="stable")[:MOST_OF_PICTURE]
        self.scores: Floats = scores[best]
        # overlaps: (predictions by falling score, boxes that must be found first)
        self.overlaps = _overlaps(corners(said)[best], corners(truth)[order], self.is_crowd)


class _Matched:
    """The predictions of one class over all pictures, by falling score, at one limit of overlap."""

    def __init__(self, scores: Floats, is_right: Flags, wanted: int) -> None:
        self.scores, self.is_right, self.wanted = scores, is_right, wanted


def _by_label(row: Scored) -> Iterator[tuple[str, _Picture]]:
    said = [] if row.answer is None else row.answer
    for box in said:
        if box.get("label") is None or box.get("x") is None:
            raise ConfigError(f"the prediction about {row.entity_id} has a region that is no box with a label: {box}")
    for label in sorted({box["label"] for box in (*row.truth, *said)}):
        mine = [[box for box in boxes if box["label"] == label] for boxes in (row.truth, said)]
        yield label, _Picture(*mine)


def _overlaps(said: Floats, truth: Floats, is_crowd: Flags) -> Floats:
    """Return intersection over union, over the predicted box alone for crowds; (predictions, boxes)."""
    low = np.maximum(said[:, None, :2], truth[None, :, :2])
    high = np.minimum(said[:, None, 2:], truth[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (said, truth)]
    union = np.where(is_crowd[None, :], areas[0][:, None], areas[0][:, None] + areas[1][None, :] - shared)
    overlaps: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


def _matched(pictures: Iterable[_Picture], limit: float) -> _Matched:
    scores: list[Floats] = []
    right: list[Flags] = []
    wanted = 0
    for picture in pictures:
        taken = _assigned(picture, limit)
        # taken: box of each prediction, -1 for none; those on ignored boxes count neither for nor against.
        counts = np.array([box < 0 or not picture.ignored[box] for box in taken], dtype=bool)
        scores.append(picture.scores[counts])
        right.append(taken[counts] >= 0)
        wanted += picture.wanted
    all_scores, is_right = np.concatenate(scores), np.concatenate(right)
    order = np.argsort(-all_scores, kind="stable")
    return _Matched(all_scores[order], is_right[order], wanted)


def _assigned(picture: _Picture, limit: float) -> npt.NDArray[np.int64]:
    """Return the box that each prediction goes to, -1 for none; (predictions,)."""
    free = np.ones(len(picture.ignored), dtype=bool)
    taken = np.full(len(picture.scores), -1, dtype=np.int64)
    for place, overlaps in enumerate(picture.overlaps):
        fits = (free | picture.is_crowd) & (overlaps >= min(limit, 1 - 1e-10))
        for among in (fits & ~picture.ignored, fits & picture.ignored):
            if among.any():
                # Of equal overlaps the last, as COCO's loop takes it.
                best = len(overlaps) - 1 - int(np.argmax(np.where(among, overlaps, -1.0)[::-1]))
                taken[place], free[best] = best, False
                break
    return taken


def _values(by_overlap: Sequence[_Matched]) -> dict[str, float | None]:
    loose = by_overlap[0]
    areas = [_average_precision(each) for each in by_overlap]
    has_truth = loose.wanted > 0
    sure = loose.scores >= SCORE
    said, hits = int(sure.sum()), int((loose.is_right & sure).sum())
    return {
        "ap": sum(areas) / len(areas) if has_truth else None,
        "ap50": areas[0] if has_truth else None,
        "ap75": areas[OVERLAPS.index(0.75)] if has_truth else None,
        "precision": hits / said if said else None,
        "recall": hits / loose.wanted if has_truth else None,
        "f1": 2 * hits / (said + loose.wanted) if said + loose.wanted else None,
    }


def _average_precision(matched: _Matched) -> float:
    if not matched.wanted or not len(matched.is_right):
        return 0.0
    hits = np.cumsum(matched.is_right)
    recall = hits / matched.wanted
    precision = hits / np.arange(1, len(hits) + 1)
    # The best precision at this recall or beyond.
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALLS, side="left")
    return float(np.where(places < len(envelope), envelope[np.minimum(places, len(envelope) - 1)], 0.0).mean())
