"""How predicted objects are scored, whatever their shape: average precision and recall as COCO defines them.

Source: the evaluation of COCO 2014 (pycocotools' `COCOeval`), with 101 recall points. For each class and each limit of
overlap, the predictions of all pictures go by falling score, each to the object of its picture that it overlaps most
among those of its class that are still free, if by at least the limit; others are false. A crowd takes any number of
predictions. Predictions that go to a crowd or a `difficult` object (Pascal VOC), and these objects themselves, count
neither for nor against. In a band of areas the same holds for objects outside it, and for predictions outside it that
go to none. Areas are px² of the original picture. Equal scores go by picture and then by the order in which they were
said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lakehouse.datasets.policies.kind import BY_CLASS, Measure, Score, Scored

OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Limits of overlap: 0.5, 0.55 ... 0.95."""

RECALLS = np.linspace(0, 1, 101)

BANDS = {"": (0.0, 1e10), "_small": (0.0, 32.0**2), "_medium": (32.0**2, 96.0**2), "_large": (96.0**2, 1e10)}
"""End of a metric's name -> least and largest area, px², both included."""

SCORE = 0.5
"""Precision, recall and F1 are of the predictions with at least this score, at an overlap of 0.5."""

MEANS = {"ap": "map", "ap50": "map50", "ap75": "map75"} | {
    name: f"macro_{name}" for name in ("precision", "recall", "f1")
}
"""Metric of one class -> its mean over the classes that have an object to be found."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Objects = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What scoring must know of one kind of objects.

    Attributes:
        overlaps: From predicted objects, true ones and which of these are crowds to float64 (predicted, true), 0 to 1.
        area: Area of a true object, px².
        area_said: Area of a predicted one, px².
        most: Predictions of one class in one picture that count: those with the highest scores.
        recalls_at: Numbers of predictions a picture at which `mar<number>` is taken; the last is `most`.
        bands: Which of `BANDS` there are.
        ignored: Whether a true object counts neither way, beside crowds and difficult ones.
    """

    overlaps: Callable[[Objects, Objects, Flags], Floats]
    area: Callable[[Mapping[str, Any]], float]
    area_said: Callable[[Mapping[str, Any]], float]
    most: int = 100
    recalls_at: tuple[int, ...] = (1, 10, 100)
    bands: tuple[str, ...] = tuple(BANDS)
    ignored: Callable[[Mapping[str, Any]], bool] = lambda _each: False


def measures_of(recalls_at: Sequence[int], bands: Sequence[str]) -> tuple[Measure, ...]:
    """Return the measures of a shape: see `weigh_objects`."""
    return (
        *(Measure(name) for name in ("map", "map50", "map75")),
        *(Measure(f"map{band}") for band in bands if band),
        *(Measure(f"mar{number}") for number in recalls_at),
        *(Measure(f"mar{band}") for band in bands if band),
        *BY_CLASS,
        *(Measure(name, "class", mean=f"m{name}") for name in ("ap", "ap50", "ap75")),
    )


def weigh_objects(rows: Sequence[Scored], shape: Shape) -> Callable[[Ints], Iterator[Score]]:
    """Return what scores predicted objects, from how often each row counts; int64 (rows,).

    By class `ap` (mean over the limits 0.5 to 0.95), `ap50`, `ap75`, `precision`, `recall` and `f1`; over all classes
    that have an object to be found, their means: `map`, `map50`, `map75`, `macro_precision`, `macro_recall`,
    `macro_f1`; `mar1`, `mar10`, `mar100`, the mean recall of that many predictions a picture; `map_small`,
    `mar_small` ... of the objects in a band of areas. A class that is only predicted has a precision of 0 and is in no
    mean. A picture without a prediction counts as one in which nothing was found; an object without a score as one of
    score 1.

    Args:
        rows: One for each member; objects as mappings with label, and score, iscrowd, difficult if stated.
        shape: What they are.
    """
    classes = _classes_of(rows, shape)
    return lambda counts: _scores(classes, counts, shape)


def ranked_objects(rows: Sequence[Scored], shape: Shape) -> dict[str, tuple[Floats, Flags, int]]:
    """Return by class what a curve of precision over recall is drawn of, at an overlap of 0.5.

    Returns:
        Class -> scores of its predictions, falling, without those that count neither way, float64 (predictions,);
        which of them are right, bool (predictions,); objects to be found.
    """
    ranked = {}
    for label, found in _classes_of(rows, shape).items():
        states = found.states[""][0]
        counted = states >= 0
        ranked[label] = found.scores[counted], states[counted] == 1, int(found.wanted[""].sum())
    return ranked


def _classes_of(rows: Sequence[Scored], shape: Shape) -> dict[str, _Class]:
    found: dict[str, list[tuple[int, Objects, Objects]]] = defaultdict(list)
    for place, row in enumerate(rows):
        said = row.answer or ()
        for label in {each["label"] for each in (*row.truth, *said)}:
            there, guessed = ([each for each in some if each["label"] == label] for some in (row.truth, said))
            found[label].append((place, there, guessed))
    return {label: _Class(found[label], len(rows), shape) for label in sorted(found)}


class _Class:
    """The predictions of one class over all pictures, by falling score.

    Attributes:
        scores: (predictions,).
        pictures: Row that each is of; (predictions,).
        ranks: Place of each among those of its picture; (predictions,).
        states: Band -> int8 (limits, predictions): 1 right, 0 wrong, -1 counts neither way.
        wanted: Band -> objects to be found in each row; (rows,).
    """

    def __init__(self, pictures: Sequence[tuple[int, Objects, Objects]], num_rows: int, shape: Shape) -> None:
        scores: list[Floats] = []
        places: list[Ints] = []
        ranks: list[Ints] = []
        states: dict[str, list[npt.NDArray[np.int8]]] = {band: [] for band in shape.bands}
        self.wanted = {band: np.zeros(num_rows, np.int64) for band in shape.bands}
        for place, truth, said in pictures:
            given = np.array([1.0 if each.get("score") is None else each["score"] for each in said], dtype=np.float64)
            best = np.argsort(-given, kind="stable")[: shape.most]
            kept = [said[number] for number in best]
            is_crowd = np.array([bool(each.get("iscrowd")) for each in truth], dtype=bool)
            left = is_crowd | np.array([bool(each.get("difficult")) or shape.ignored(each) for each in truth], bool)
            overlaps = shape.overlaps(kept, truth, is_crowd)
            areas = np.array([shape.area(each) for each in truth], dtype=np.float64)
            areas_said = np.array([shape.area_said(each) for each in kept], dtype=np.float64)
            for band in shape.bands:
                low, high = BANDS[band]
                ignored = left | (areas < low) | (areas > high)
                is_far = (areas_said < low) | (areas_said > high)
                states[band].append(_states(overlaps, ignored, is_crowd, is_far))
                self.wanted[band][place] += int((~ignored).sum())
            scores.append(given[best])
            places.append(np.full(len(best), place, np.int64))
            ranks.append(np.arange(len(best), dtype=np.int64))
        joined = np.concatenate(scores)
        order = np.argsort(-joined, kind="stable")
        self.scores = joined[order]
        self.pictures = np.concatenate(places)[order]
        self.ranks = np.concatenate(ranks)[order]
        self.states = {band: np.concatenate(each, axis=1)[:, order] for band, each in states.items()}


def _states(overlaps: Floats, ignored: Flags, is_crowd: Flags, is_far: Flags) -> npt.NDArray[np.int8]:
    """Return what becomes of the predictions about one picture, by falling score; int8 (limits, predictions)."""
    states = np.repeat(np.where(is_far, -1, 0).astype(np.int8)[None, :], len(OVERLAPS), axis=0)
    num_truth = len(ignored)
    if not num_truth:
        return states
    limits = np.minimum(OVERLAPS, 1 - 1e-10)[:, None]
    each_limit = np.arange(len(OVERLAPS))
    free = np.ones((len(OVERLAPS), num_truth), dtype=bool)
    for place, row in enumerate(overlaps):
        fits = (free | is_crowd) & (row >= limits)
        # An object that is ignored only where none fits that must be found.
        must = fits & ~ignored
        among = np.where(must.any(axis=1)[:, None], must, fits)
        # Of equal overlaps the last, as COCO's loop takes it.
        best = num_truth - 1 - np.argmax(np.where(among, row, -1.0)[:, ::-1], axis=1)
        taken = among.any(axis=1)
        states[taken, place] = np.where(ignored[best[taken]], -1, 1)
        free[each_limit[taken], best[taken]] = False
    return states


def _scores(classes: Mapping[str, _Class], counts: Ints, shape: Shape) -> Iterator[Score]:
    means: dict[str, list[float]] = defaultdict(list)
    total = 0
    for label, each in classes.items():
        wanted = int((each.wanted[""] * counts).sum())
        total += wanted
        weights = counts[each.pictures]
        for metric, value in _of_class(each, weights, wanted).items():
            yield Score(metric, label, value, wanted)
            if wanted:
                # A class of which nothing was predicted has no precision: it counts 0 in the mean, as for labels.
                means[MEANS[metric]].append(value or 0.0)
        for band in shape.bands:
            in_band = int((each.wanted[band] * counts).sum())
            if not in_band:
                continue
            if band:
                means[f"map{band}"].append(float(np.mean(precisions(each.states[band], weights, in_band))))
                means[f"mar{band}"].append(_recall(each.states[band], weights, in_band))
            else:
                for number in shape.recalls_at:
                    least = np.where(each.ranks < number, weights, 0)
                    means[f"mar{number}"].append(_recall(each.states[band], least, in_band))
    for metric, values in means.items():
        yield Score(metric, None, sum(values) / len(values), total)


def _of_class(found: _Class, weights: Ints, wanted: int) -> dict[str, float | None]:
    states = found.states[""]
    areas = precisions(states, weights, wanted) if wanted else None
    sure = np.where(found.scores >= SCORE, weights, 0)
    said, hits = int((sure * (states[0] >= 0)).sum()), int((sure * (states[0] == 1)).sum())
    return {
        "ap": None if areas is None else float(areas.mean()),
        "ap50": None if areas is None else float(areas[0]),
        "ap75": None if areas is None else float(areas[OVERLAPS.index(0.75)]),
        "precision": hits / said if said else None,
        "recall": hits / wanted if wanted else None,
        "f1": 2 * hits / (said + wanted) if said + wanted else None,
    }


def precisions(states: npt.NDArray[np.int8], weights: Ints, wanted: int) -> Floats:
    """Return the average precision at each limit; float64 (limits,).

    Args:
        states: Of the predictions by falling score; int8 (limits, predictions), 1 right, 0 wrong, -1 not counted.
        weights: How often each counts; (predictions,).
        wanted: Objects to be found, at least 1.
    """
    right = np.cumsum((states == 1) * weights, axis=1)
    said = np.cumsum((states >= 0) * weights, axis=1)
    precision = np.divide(right, said, out=np.zeros(right.shape), where=said > 0)
    # The best precision at this recall or beyond.
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    found = np.zeros(len(states))
    for limit, recall in enumerate(right / wanted):
        places = np.searchsorted(recall, RECALLS, side="left")
        inside = places < len(recall)
        found[limit] = envelope[limit][places[inside]].sum() / len(RECALLS)
    return found


def _recall(states: npt.NDArray[np.int8], weights: Ints, wanted: int) -> float:
    return float((((states == 1) * weights).sum(axis=1) / wanted).mean())
