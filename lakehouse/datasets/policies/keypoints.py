"""Keypoints: whose answer holds, as points of each object in the order of the question's names."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.datasets.policies.box_samples import PX, boxes_field, corners, sides
from lakehouse.datasets.policies.boxes import stated_of
from lakehouse.datasets.policies.columns import labels_of, names_of, npy_field, one_each
from lakehouse.datasets.policies.keypoint_scores import MEASURES, score_keypoints, weigh_keypoints
from lakehouse.datasets.policies.kind import NO_ANSWER, AnswerKind, Asked, Decision, because_of
from lakehouse.datasets.policies.newest import NEWEST, SAID, newest_sql, unsettled
from lakehouse.datasets.policies.settings import Label
from lakehouse.datasets.policies.sides import side_pairs
from loaders.format.fields import Field, Geometry


def decide(row: Mapping[str, Any], settings: Label, *, names: Sequence[str] = ()) -> Decision:
    """Return the keypoints of one picture, or why they are no answer.

    Args:
        row: Of the tally.
        settings: The recipe's.
        names: The question's names of keypoints; () where it states none.
    """
    nobodys = unsettled(row, settings)
    if nobodys is not None:
        return nobodys
    found = []
    for place, region in enumerate(row["regions"], start=1):
        if not region["points"] or region["kind"] != "keypoints":
            return Decision(reason="not_keypoints", detail=f"region {place} ({region['kind']}) has no keypoints")
        if region["label"] is None:
            return Decision(reason="no_keypoint_label", detail=f"region {place} has no label")
        if names and len(region["points"]) != len(names):
            detail = f"region {place} has {len(region['points'])} keypoints, the question names {len(names)}"
            return Decision(reason="other_keypoints", detail=detail)
        found.append(keypoints_of(region))
    if len({len(each["points"]) for each in found}) > 1:
        return Decision(reason="other_keypoints", detail="its regions have different numbers of keypoints")
    return Decision(answer=found)


def keypoints_of(region: Mapping[str, Any]) -> dict[str, Any]:
    """Return label, points ([x, y, v] each), box and what else a region states.

    A region without a box has the bounds of its labelled points; one without `v` has all points seen.
    """
    points = [[each["x"], each["y"], 2 if each["v"] is None else each["v"]] for each in region["points"] or ()]
    box = {name: region[name] for name in ("x", "y", "w", "h")}
    if None in box.values():
        seen = np.array([point[:2] for point in points if point[2] > 0] or [[0.0, 0.0]], dtype=np.float64)
        (x, y), (far_x, far_y) = seen.min(axis=0), seen.max(axis=0)
        box = {"x": float(x), "y": float(y), "w": float(far_x - x), "h": float(far_y - y)}
    area = {} if region["area"] is None else {"area": region["area"]}
    return {"label": region["label"], "points": points, **box, **area, **stated_of(region)}


def read(regions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the keypoints of one opinion, as answers of datasets have them."""
    return [keypoints_of(region) for region in regions]


def samples(
    members: pa.Table, classes: Sequence[str], *, names: Sequence[str] = (), form: str = "xyxy"
) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `keypoints` float32 (n, K, 3), `boxes` float32 (n, 4), `keypoint_labels` int64 (n,), and what is stated.

    Args:
        members: Members with `answer_json`.
        classes: Labels by their numbers.
        names: Names of the K keypoints; () takes K from the answers.
        form: Of the boxes, `xyxy` or `xywh`.
    """
    answers: list[list[dict[str, Any]]] = [json.loads(text) for text in members["answer_json"].to_pylist()]
    numbers = {len(each["points"]) for answer in answers for each in answer}
    num_points = len(names) or (numbers.pop() if len(numbers) == 1 else None)
    named = f": {', '.join(names)}" if names else ""
    field = Field(
        "keypoints", pa.binary(), codec="npy", shape=(None, num_points, 3), dtype="float32",
        doc=f"x, y, v of each keypoint of each object{named}; {PX}; v is 0 (not labelled: x = y = 0), 1 (hidden) or 2 "
            "(seen).",
        geometry=Geometry("keypoints", of="image", flip_pairs=side_pairs(names)), objects="keypoints",
    )  # fmt: skip
    yield npy_field(field, answers, functools.partial(_points, num_points=num_points or 0))
    yield npy_field(boxes_field(form, objects="keypoints"), answers, corners if form == "xyxy" else sides)
    yield labels_of("keypoint", answers, classes, objects="keypoints")
    yield from one_each("keypoint", answers, objects="keypoints")


def _points(objects: Sequence[Mapping[str, Any]], *, num_points: int) -> npt.NDArray[np.float64]:
    return np.array([each["points"] for each in objects], dtype=np.float64).reshape(len(objects), -1, 3) if objects \
        else np.zeros((0, num_points, 3))


def bind(kind: AnswerKind, asked: Asked) -> AnswerKind:
    """Return the kind with the question's names of keypoints and the recipe's form of boxes."""
    names = tuple(asked.constraints.get("keypoints", ()))
    sigmas = tuple(asked.constraints.get("sigmas", ()))
    return replace(
        kind,
        decide=functools.partial(decide, names=names),
        samples=functools.partial(samples, names=names, form=asked.settings.box_format),
        score=functools.partial(score_keypoints, names=names, sigmas=sigmas),
        weigh=functools.partial(weigh_keypoints, names=names, sigmas=sigmas),
    )


KEYPOINTS = AnswerKind(
    value_kind="regions",
    task="keypoints",
    shapes=("keypoints",),
    policies=NEWEST,
    version=1,
    hears=("event_time", "labels", "regions"),
    tally=newest_sql("regions", labelled=True),
    decide=decide,
    because=because_of("keypoints"),
    reasons=(NO_ANSWER,),
    classes=SAID,
    has_cell=True,
    samples=samples,
    sample_names=names_of("keypoint", "keypoints", "boxes"),
    read=read,
    score=score_keypoints,
    weigh=weigh_keypoints,
    measures=MEASURES,
    constraints=("keypoints", "skeleton", "sigmas"),
    bind=bind,
)
