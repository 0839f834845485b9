"""One line of a YOLO file as a region, in shares of its picture: pixels come with its size."""

from __future__ import annotations

from typing import Any

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.yolo.classes import Classes
from lakehouse.opinions.matching.scaling import OBB
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Region


def region_of(line: str, number: int, classes: Classes, task: str) -> Region:
    """Return the region of one line.

    Args:
        line: Class number and coordinates, divided by blanks.
        number: Of the line, for messages.
        classes: What its numbers mean.
        task: detect, segment, obb or pose.

    Raises:
        RejectedInputError: If it is none of this task, or its class is not in the list.
    """
    first, *rest = line.split()
    place = parse.integer(first, f"class of line {number}")
    label = classes.names.get(place)
    if label is None:
        raise RejectedInputError(
            "unknown_class", f"line {number} has class {place}, and the list has {len(classes.names)} classes"
        )
    numbers = [parse.number(each, f"line {number}") for each in rest]
    shape, used = _shape(numbers, number, classes, task)
    return Region(label=label, score=numbers[used] if used < len(numbers) else None, **shape)


def _shape(numbers: list[float], line: int, classes: Classes, task: str) -> tuple[dict[str, Any], int]:
    """Return what is stated, and how many numbers that takes; one more is the score."""
    count = len(numbers)
    if task == "segment":
        used = count - count % 2
        if used < 6:
            raise _wrong(line, count, "a polygon of class, x, y, x, y, x, y ...", task)
        return {"kind": "polygon", "closed": True, "points": _points(numbers[:used])}, used
    if task == "obb":
        if count not in (8, 9):
            raise _wrong(line, count, "class and four corners", task)
        return {"kind": OBB, "points": _points(numbers[:8])}, 8
    size = len(classes.keypoints) * classes.dimensions if task == "pose" else 0
    if count not in (4 + size, 5 + size):
        what = f"class, box and {len(classes.keypoints)} keypoints" if size else "class, x, y, w, h"
        raise _wrong(line, count, what, task)
    x, y, w, h = numbers[:4]
    if w < 0 or h < 0:
        raise RejectedInputError("inverted_box", f"line {line} has a box of {w:g} x {h:g}")
    # Its centre is stated.
    shape: dict[str, Any] = {"kind": "box", "x": x - w / 2, "y": y - h / 2, "w": w, "h": h}
    if size:
        flat, step = numbers[4 : 4 + size], classes.dimensions
        each = [flat[start : start + step] for start in range(0, size, step)]
        shape |= {"kind": "keypoints", "points": tuple(_keypoint(point, line) for point in each)}
    return shape, 4 + size


def _points(flat: list[float]) -> tuple[dict[str, float], ...]:
    return tuple({"x": x, "y": y} for x, y in zip(flat[::2], flat[1::2], strict=True))


def _keypoint(point: list[float], line: int) -> dict[str, float | int]:
    x, y = point[:2]
    # Of two numbers, 0 0 is the point that nobody labelled.
    v = point[2] if len(point) == 3 else 2.0 * ((x, y) != (0, 0))
    if v not in (0, 1, 2):
        raise RejectedInputError("bad_keypoints", f"line {line}: visibility must be 0, 1 or 2, found {v:g}")
    return {"x": x, "y": y, "v": int(v)} if v else {"x": 0.0, "y": 0.0, "v": 0}


def _wrong(line: int, count: int, what: str, task: str) -> RejectedInputError:
    return RejectedInputError(
        "wrong_count",
        f"line {line} has {count + 1} numbers, expected {what}, and maybe a score: is its task not {task}?",
    )
