"""A COCO file as its tables: pictures, categories and annotations, each looked over once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.opinions.reading.strict_json import big_loads
from lakehouse.opinions.reading.whole import whole_text

MAX_BYTES = 2 << 30
MAX_SIDE = 2**31 - 1

Record = dict[str, Any]

_SHOWS = re.compile(rb'"(categories|segments_info|category_id|image_id)"\s*:|"images"\s*:\s*\[')
"""Keys at the head of a file of COCO, and of no other format of labels in JSON that is known here."""


@dataclass(frozen=True, slots=True)
class Category:
    """One category: its name, names of keypoints, and pairs of their places, counted from 1 as the file has them.

    `supercategory`: what it belongs to; "": not stated. `isthing`: "1" of what can be counted, "0" of what only fills
    a place, as sky; "": not stated.
    """

    name: str
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    supercategory: str = ""
    isthing: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One file.

    Attributes:
        images: Pictures in their order.
        annotations: Annotations, or detections of a results file, in their order.
        categories: Id -> category, in the order of the file.
        is_list: Whether it is a results file.
    """

    images: list[Record] = field(default_factory=list)
    annotations: list[Record] = field(default_factory=list)
    categories: Mapping[int, Category] = field(default_factory=dict)
    is_list: bool = False

    def task(self) -> str:
        """Return what the file shows to be: results, panoptic, captions, keypoints or instances."""
        if self.is_list:
            return "results"
        first = self.annotations[0] if self.annotations else {}
        if "segments_info" in first:
            return "panoptic"
        if "caption" in first and "category_id" not in first:
            return "captions"
        with_points = any(each.keypoints for each in self.categories.values())
        return "keypoints" if with_points or "keypoints" in first else "instances"


def looks_like_coco(head: bytes) -> bool:
    """Return whether a file begins as COCO's do."""
    return _SHOWS.search(head) is not None


def read_document(file: Path) -> Document:
    """Return the tables of a file.

    Raises:
        IngestError: If it cannot be read, or is no COCO.
    """
    try:
        found = big_loads(whole_text(file, most=MAX_BYTES, advice="; divide it by pictures"))
        if isinstance(found, list):
            return Document(annotations=_records(found, "results"), is_list=True)
        if not isinstance(found, dict):
            raise RejectedInputError("not_coco", "is neither an object nor a list")
        if "annotations" not in found and "images" not in found:
            raise RejectedInputError("not_coco", "has neither `images` nor `annotations`")
        return Document(
            _records(found.get("images", []), "images"),
            _records(found.get("annotations", []), "annotations"),
            _categories(_records(found.get("categories", []), "categories")),
        )
    except RejectedInputError as error:
        raise IngestError(f"{file}: is not read as COCO: {error.reason}") from error


def integer_id(record: Mapping[str, Any], key: str) -> int:
    """Return the whole number under a key.

    Raises:
        RejectedInputError: bad_id, if there is none.
    """
    value = record.get(key)
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise RejectedInputError("bad_id", f"{key} must be a whole number of 64 bits, found {_shown(value)}")
    return value


def side(image: Mapping[str, Any], key: str) -> int | None:
    """Return the width or height that a picture states, px; None, also for 0, if it states none.

    Raises:
        RejectedInputError: bad_size, if it is no whole number of pixels.
    """
    value = image.get(key)
    if value is None:
        return None
    # Range first: 1e999 is read as inf, which is no int.
    if type(value) not in (int, float) or not 0 <= value <= MAX_SIDE or value != int(value):
        raise RejectedInputError("bad_size", f"{key} must be a whole number of pixels, found {value!a:.80}")
    return int(value) or None


def _shown(value: object) -> str:
    # Thousands of digits are not written out: that takes quadratic time, or raises.
    if isinstance(value, int) and value.bit_length() > 64:
        return f"one of {value.bit_length():,} bits"
    return f"{value!a:.80}"


def _records(value: object, what: str) -> list[Record]:
    if not isinstance(value, list) or not all(type(each) is dict for each in value):
        raise RejectedInputError("not_coco", f"`{what}` must be a list of objects")
    return cast(list[Record], value)


def _categories(records: list[Record]) -> dict[int, Category]:
    found: dict[int, Category] = {}
    names: set[str] = set()
    for each in records:
        number, name = integer_id(each, "id"), each.get("name")
        if not isinstance(name, str) or not name.strip():
            raise RejectedInputError("bad_category", f"category {number} has no name")
        if number in found or name in names:
            raise RejectedInputError("bad_category", f"category {number} {name!a:.80} is there twice")
        names.add(name)
        above, isthing = each.get("supercategory"), each.get("isthing")
        if above is not None and not isinstance(above, str):
            raise RejectedInputError("bad_category", f"category {number} has supercategory {above!a:.80}, no text")
        if isthing not in (None, 0, 1):
            raise RejectedInputError("bad_category", f"category {number} has isthing {isthing!a:.80}, expected 0 or 1")
        found[number] = Category(
            name, _names(each), _edges(each), (above or "").strip(), "" if isthing is None else str(int(isthing))
        )
    return found


def _names(category: Record) -> tuple[str, ...]:
    names = category.get("keypoints") or []
    if not isinstance(names, list) or not all(isinstance(each, str) and each for each in names):
        raise RejectedInputError("bad_category", "`keypoints` of a category must be a list of names")
    return tuple(names)


def _edges(category: Record) -> tuple[tuple[int, int], ...]:
    edges, most = category.get("skeleton") or [], len(category.get("keypoints") or [])
    found = []
    for each in edges if isinstance(edges, list) else [None]:
        ends = each if isinstance(each, list) else []
        if len(ends) != 2 or not all(type(end) is int and 1 <= end <= most for end in ends):
            text = f"`skeleton` has {json.dumps(each):.80}, expected pairs of 1 to {most}"
            raise RejectedInputError("bad_category", text)
        found.append((ends[0], ends[1]))
    return tuple(found)
