"""What the results of one annotation say: an answer for each control of the labelling interface."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.labelstudio import shapes
from lakehouse.opinions.formats.labelstudio.spans import span_fields
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Region, Value
from lakehouse.opinions.reading.json_fields import Object, as_list, as_number, as_object, as_text, list_in, size_in

SCALARS = ("choices", "rating", "number", "textarea", "taxonomy", "ranker", "pairwise", "datetime")
SPANS = ("hypertextlabels", "paragraphlabels")
BESIDE = ("relation",)
"""Types of results that answer no control."""

PATH = "/"
"""Between the levels of a taxonomy."""


@dataclass(frozen=True, slots=True)
class Control:
    """What one control of a file asks.

    Attributes:
        name: `from_name`.
        kind: value_kind of its answers.
        of: `to_name`: the object that it asks about.
        types: Types of its results.
        parts: Controls whose results are part of this one's: a Rectangle beside Labels.
    """

    name: str
    kind: str
    of: str
    types: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Context:
    """What results need to be understood.

    Attributes:
        subject_kind: image, audio, text ...: tells sound from text where results do not.
        text: The text that spans lie in; None if the file does not hold it.
        sizes: `to_name` -> size of the picture, from any result of the task.
    """

    subject_kind: str
    text: str | None = None
    sizes: Mapping[str, shapes.Size] = field(default_factory=dict)


def type_of(result: Object) -> str:
    """Return the type of a result, in lower case."""
    return as_text(result.get("type"), "type").lower()


def control_of(result: Object) -> str:
    """Return the control that a result answers.

    Raises:
        RejectedInputError: wrong_type, if it names none.
    """
    return as_text(result.get("from_name"), "from_name")


def is_beside(result: Object) -> bool:
    """Return whether a result answers no control, as a relation between regions."""
    return type_of(result) in BESIDE


def grouped(results: Iterable[Object]) -> list[list[Object]]:
    """Return the results that are one thing: those of one `id` (a box, its label, what was said of it)."""
    found: dict[object, list[Object]] = {}
    for place, result in enumerate(results):
        if not is_beside(result):
            identity = result.get("id")
            found.setdefault(place if identity in (None, "") else str(identity), []).append(result)
    return list(found.values())


def heads(group: Sequence[Object]) -> list[Object]:
    """Return the results of a group that make it an answer: of a region the one with the labels, else each."""
    regional = [each for each in group if type_of(each) not in SCALARS]
    if not regional:
        return list(group)
    labelled = [each for each in regional if type_of(each).endswith("labels")]
    return (labelled or regional)[:1]


def is_part(result: Object, head: Object) -> bool:
    """Return whether a result draws the region that another control labels: a Rectangle beside Labels."""
    return type_of(result) not in SCALARS and control_of(result) != control_of(head) and type_of(head) not in SCALARS


def sizes_of(results: Iterable[Object]) -> dict[str, shapes.Size]:
    """Return the size of each object that any result states."""
    found: dict[str, shapes.Size] = {}
    for result in results:
        width, height = size_in(result, "original_width"), size_in(result, "original_height")
        if width is not None and height is not None:
            found.setdefault(str(result.get("to_name")), (width, height))
    return found


def kind_of(result: Object, subject_kind: str) -> str:
    """Return the value_kind that a result speaks for; a choice among several is found by `labels` elsewhere.

    Raises:
        RejectedInputError: unknown_result, if its type is not read.
    """
    kind = type_of(result)
    if kind in ("rating", "number"):
        return "number"
    if kind in ("textarea", "datetime"):
        return "text"
    if kind in ("choices", "taxonomy"):
        several = len(list_in(as_object(result.get("value"), "value"), kind)) > 1
        return "labels" if several else "label"
    if kind in ("ranker", "pairwise"):
        return "ranking" if kind == "ranker" else "label"
    return "spans" if _holds(result, subject_kind) == "span" else "regions"


def value_of(control: Control, results: Sequence[Object], context: Context) -> Value:
    """Return what the results of one annotation say to a control; None if nothing.

    Raises:
        RejectedInputError: If they cannot be read.
    """
    mine = {control.name, *control.parts}
    groups = [group for group in grouped(results) if any(control_of(each) in mine for each in heads(group))]
    if control.kind in ("regions", "spans"):
        return tuple(region for group in groups for region in regions_of(group, context))
    said = [each for group in groups for each in group if control_of(each) == control.name]
    if not said:
        return None
    if len(said) > 1:
        raise RejectedInputError("several_values", f"answers control {control.name!a:.80} {len(said)} times")
    return _scalar(said[0], control.kind)


def frame_of(control: Control, context: Context) -> shapes.Size | None:
    """Return the size of the picture that a control asks about; None if nobody states it."""
    return context.sizes.get(control.of)


def regions_of(group: Sequence[Object], context: Context) -> Iterator[Region]:
    """Yield the regions of one thing: one, of an object in a video one for each stated frame.

    Raises:
        RejectedInputError: If it cannot be read.
    """
    head = heads(group)[0]
    geometry = next((each for each in group if type_of(each) not in (*SCALARS, "labels")), head)
    if geometry.get("image_rotation"):
        raise RejectedInputError(
            "image_rotated", "was drawn on a picture that was turned in the tool: turn it back there and export again"
        )
    labels = _labels(head)
    attrs = {control_of(each): _said(each) for each in group if type_of(each) in SCALARS}
    if len(labels) > 1:
        attrs["labels"] = json.dumps(labels, ensure_ascii=False)
    score = head.get("score", geometry.get("score"))
    common: shapes.Fields = {
        "label": labels[0] if labels else None,
        "region_id": None if head.get("id") is None else str(head["id"]),
        "score": None if score is None else as_number(score, "score"),
        "parent_region_id": None if head.get("parentID") is None else str(head["parentID"]),
    }
    for fields in _fields(geometry, context):
        held = {**(fields.pop("attrs", None) or {}), **attrs}
        if "frame_start" in fields:
            fields["track_id"] = common["region_id"]
        yield Region(**common, **fields, attrs=held or None)


def _fields(result: Object, context: Context) -> Iterator[shapes.Fields]:
    value, kind = as_object(result.get("value"), "value"), type_of(result)
    holds = _holds(result, context.subject_kind)
    if holds == "interval":
        yield shapes.interval_fields(value)
        return
    if holds == "span":
        yield span_fields(value, context.text)
        return
    size = context.sizes.get(str(result.get("to_name")))
    if size is None:
        raise RejectedInputError("no_frame_size", "states no original_width and original_height for its percents")
    if kind == "videorectangle":
        yield from shapes.track_regions(value, size)
    else:
        yield shapes.shape_fields(kind.removesuffix("labels"), value, size)


def _holds(result: Object, subject_kind: str) -> str:
    """Return whether a result is a span, an interval or a shape."""
    kind = type_of(result)
    if kind in SPANS:
        return "span"
    if kind.removesuffix("labels") in shapes.SHAPES.values() or kind == "videorectangle":
        return "shape"
    value = as_object(result.get("value"), "value")
    if kind != "labels":
        raise RejectedInputError("unknown_result", f"has a result of type {kind!a:.80}, which is not read")
    if "channel" in value or "original_length" in result:
        return "interval"
    if "text" in value or "startOffset" in value or subject_kind == "text":
        return "span"
    if "start" in value and subject_kind in ("audio", "video"):
        return "interval"
    if "x" in value or "points" in value or "sequence" in value:
        return "shape"
    raise RejectedInputError(
        "unknown_labels", "has labels of a stretch, and nothing says of what; set subject_kind = audio or text"
    )


def _labels(result: Object) -> list[str]:
    kind = type_of(result)
    value = as_object(result.get("value"), "value")
    key = kind if kind.endswith("labels") else "labels"
    return [parse.label_id(as_text(each, "label")) for each in list_in(value, key if key in value else "labels")]


def _said(result: Object) -> str:
    """Return what was said of a region, as text: of several values JSON."""
    value = _scalar(result, kind_of(result, ""))
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _scalar(result: Object, kind: str) -> Value:
    value, of = as_object(result.get("value"), "value"), type_of(result)
    if of in ("rating", "number"):
        return as_number(value.get(of), of)
    if of == "datetime":
        return as_text(value.get(of), of)
    if of == "textarea":
        found = value.get("text")
        texts = [found] if isinstance(found, str) else [as_text(each, "text") for each in list_in(value, "text")]
        return "\n".join(texts)
    if of == "pairwise":
        return parse.label_id(as_text(value.get("selected"), "selected"))
    if of == "ranker":
        ranked = value.get("ranker")
        if not isinstance(ranked, list):
            raise RejectedInputError("ranker_buckets", "ranks into several lists; one list is read")
        return tuple(as_text(each, "ranker") for each in ranked)
    if of == "taxonomy":
        chosen = [PATH.join(as_text(step, "taxonomy") for step in as_list(each, "taxonomy"))
                  for each in list_in(value, of)]  # fmt: skip
    else:
        chosen = [as_text(each, "choices") for each in list_in(value, of)]
    names = tuple(parse.label_id(each) for each in chosen)
    if kind == "labels":
        return tuple(sorted(set(names)))
    if len(names) != 1:
        raise RejectedInputError("several_values", f"chooses {len(names)}; state kinds.CONTROL = labels if it may")
    return names[0]
