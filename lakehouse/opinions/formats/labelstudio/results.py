"""Results of Label Studio made of answers: what an annotation of ours looks like there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.labelstudio import shapes
from lakehouse.opinions.formats.labelstudio.spans import span_value
from lakehouse.opinions.formats.writer import Ontology
from lakehouse.opinions.geometry.regions import parts_of, polygon_fields
from lakehouse.opinions.reading.answer import Region, Value

Result = dict[str, object]

SCALARS = {"label": "choices", "labels": "choices", "number": "number", "text": "textarea", "ranking": "ranker"}
"""value_kind -> type of the result that says it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Naming:
    """How the results of one control are called.

    Attributes:
        control: `from_name`.
        of: `to_name`.
        size: Of the picture that percents refer to; None: nobody knows it.
        text: What spans lie in; None: nobody knows it.
        ontology: Names of labels.
    """

    control: str
    of: str
    size: shapes.Size | None
    text: str | None
    ontology: Ontology


def results_of(kind: str, value: Value, naming: Naming) -> tuple[list[Result], list[RejectedInputError]]:
    """Return the results that say a value, and why parts of it (one region, or a track) are in none.

    A polygon of several parts is several polygons: one of Label Studio has one part.
    """
    if kind in ("regions", "spans"):
        regions = [each for each in (value if isinstance(value, tuple) else ()) if isinstance(each, Region)]
        found: list[Result] = []
        lost: list[RejectedInputError] = []
        for place, each in enumerate(_things([one for region in regions for one in _single(region)]), start=1):
            try:
                found += _region_results(each, place, naming)
            except RejectedInputError as error:
                lost.append(error)
        return found, lost
    if kind not in SCALARS:
        return [], [RejectedInputError("unknown_value", f"Label Studio has no result for answers of kind {kind}")]
    of = SCALARS[kind]
    return [{"id": naming.control, "type": of, "from_name": naming.control, "to_name": naming.of,
             "value": {"text" if of == "textarea" else of: _scalar(of, value, naming.ontology)}}], []  # fmt: skip


def _single(region: Region) -> Iterator[Region]:
    """Yield a region, of several parts each as one of its own."""
    if region.kind not in ("polygon", "polyline") or len(region.part_sizes or ()) < 2:
        yield region
        return
    for place, points in enumerate(parts_of(region), start=1):
        fields = polygon_fields([points], closed=region.kind == "polygon")
        named = None if region.region_id is None else f"{region.region_id}{'' if place == 1 else f'-{place}'}"
        yield dataclasses.replace(region, **fields, area=None, region_id=named)


def _scalar(of: str, value: Value, ontology: Ontology) -> object:
    if of == "number":
        return value
    if of == "textarea":
        return [value]
    if of == "ranker":
        return list(value) if isinstance(value, tuple) else []
    names = value if isinstance(value, tuple) else (value,)
    return [ontology.name(str(each)) for each in names]


def _things(regions: Sequence[Region]) -> Iterator[list[Region]]:
    """Yield each region alone, and those of a track together."""
    tracks: dict[str, list[Region]] = {}
    for each in regions:
        if each.track_id is None or each.frame_start is None:
            yield [each]
        else:
            tracks.setdefault(each.track_id, []).append(each)
    for found in tracks.values():
        yield sorted(found, key=lambda each: each.frame_start or 0)


def _region_results(regions: list[Region], place: int, naming: Naming) -> Iterator[Result]:
    region = regions[0]
    attrs = region.attrs or {}
    is_track = region.track_id is not None and region.frame_start is not None
    value: Mapping[str, object]
    if region.kind == "span":
        kind, value = "", span_value(region, naming.text)
    elif is_track:
        if naming.size is None:
            raise RejectedInputError("no_frame_size", "percents need the size of the picture, which nobody states")
        kind, value = "videorectangle", shapes.sequence_of(regions, naming.size)
    else:
        kind, value = shapes.value_of(region, naming.size)
    labels = _labels(region, naming.ontology)
    key = "labels" if is_track else f"{kind}labels"
    head: Result = {
        "id": region.track_id if is_track else region.region_id,
        "type": kind if is_track or (not labels and kind) else key,
        "from_name": naming.control,
        "to_name": naming.of,
        "value": {**value, **({key: labels} if labels else {})},
    }
    if naming.size is not None and kind:
        head |= {"original_width": naming.size[0], "original_height": naming.size[1], "image_rotation": 0}
    if region.score is not None:
        head["score"] = region.score
    if region.parent_region_id is not None:
        head["parentID"] = region.parent_region_id
    said = {name: text for name, text in attrs.items() if not _is_part(name, region)}
    if head["id"] is None:
        del head["id"]
        if said:
            # What is said of a region is found by the id that they share.
            head["id"] = f"{naming.control}-{place}"
    yield head
    for name, text in said.items():
        yield {"id": head["id"], "type": "textarea", "from_name": name, "to_name": naming.of,
               "value": {**value, "text": [text]}}  # fmt: skip


def _is_part(name: str, region: Region) -> bool:
    """Return whether an attribute is part of the value of its region; others are said beside it, as texts."""
    return name in ("interpolation", "labels", "rendered") or (name == "text" and region.kind == "span")


def _labels(region: Region, ontology: Ontology) -> list[str]:
    several = (region.attrs or {}).get("labels")
    if several is not None:
        found = json.loads(several)
        return [str(each) for each in found] if isinstance(found, list) else []
    return [] if region.label is None else [ontology.name(region.label)]
