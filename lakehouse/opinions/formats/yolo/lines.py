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
    # A line of millions of numbers is refused before they are read.
    used = _used(len(rest), number, classes, task)
    numbers = [parse.number(each, f"line {number}") for each in rest]
    shape = _shape(numbers[:used], number, classes, task)
    return Region(label=label, score=numbers[used] if used < len(numbers) else None, **shape)


def _used(count: int, line: int, classes: Classes, task: str) -> int:
    """Return how many numbers the shape takes; one more is the score."""
    if task == "segment":
        used = count - count % 2
        if used < 6:
            raise _wrong(line, count, "a polygon of class, x, y, x, y, x, y ...", task)
        return used
    size = len(classes.keypoints) * classes.dimensions if task == "pose" else 0
    used, what = (8, "class and four corners") if task == "obb" else (4 + size, "class, x, y, w, h")
    if count not in (used, used + 1):
        raise _wrong(line, count, f"class, box and {len(classes.keypoints)} keypoints" if size else what, task)
    return used


def _shape(numbers: list[float], line: int, classes: Classes, task: str) -> dict[str, Any]:
    if task == "segment":
        return {"kind": "polygon", "closed": True, "points": _points(numbers)}
    if task == "obb":
        return {"kind": OBB, "points": _points(numbers)}
    x, y, w, h = numbers[:4]
    if w < 0 or h < 0:
        raise RejectedInputError("inverted_box", f"line {line} has a box of {w:g} x {h:g}")
    # Its centre is stated.
    shape: dict[str, Any] = {"kind": "box", "x": x - w / 2, "y": y - h / 2, "w": w, "h": h}
    flat, step = numbers[4:], classes.dimensions
    if flat:
        each = [flat[start : start + step] for start in range(0, len(flat), step)]
        shape |= {"kind": "keypoints", "points": tuple(_keypoint(point, line) for point in each)}
    return shape


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
