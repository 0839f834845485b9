"""Writing CVAT's XML 1.1: `annotations.xml` of all pictures, and one file of tracks for each video.

Several labels of a picture are its tags.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePosixPath
from xml.sax.saxutils import escape, quoteattr

from lakehouse.opinions.formats.cvat.shapes import OWN, USUAL
from lakehouse.opinions.formats.losing import Loss, lost_fields, other_kinds
from lakehouse.opinions.formats.writer import Ontology, Place, Said, Writer
from lakehouse.opinions.geometry.regions import box_of_region, mask_bounds, mask_of_region, parts_of
from lakehouse.opinions.reading.answer import Region

KINDS = ("box", "polygon", "polyline", "point", "keypoints", "ellipse", "mask")
PICTURES = "annotations.xml"
HELD = ("angle", "area", "track_id", "frame_start", "frame_end")
HIDDEN = ("interpolation", "keyframe", "keypoints")
"""Attributes of regions that CVAT says in its own way."""

Attributes = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CvatWriting:
    """Options of writing CVAT's XML: none."""


def lost_in_cvat(said: Said, _options: CvatWriting) -> Iterator[Loss]:
    """Yield what CVAT has no place for."""
    yield from other_kinds(said, KINDS)
    yield from lost_fields(said, region=HELD)
    name, is_video = said.subject.name, _is_video(said)
    for each in said.regions:
        if len(each.part_sizes or ()) > 1:
            yield "part_sizes", f"{name}: parts of a {each.kind} become shapes of their own"
        if each.label is None:
            yield "no_label", f"{name}: a {each.kind} without label, which every shape has; it is not written"
        if is_video and each.frame_start is None:
            yield "no_frame", f"{name}: a {each.kind} of no frame is written at frame 0"
        if each.kind == "mask" and not is_video and not mask_bounds(each)[2]:
            yield "empty_mask", f"{name}: a mask of {each.label} has no pixel set, and is not written"
        if each.kind == "mask" and is_video:
            yield "mask", f"{name}: a mask of a video is not written"
    if is_video and said.answer.value_kind == "labels":
        yield "tags", f"{name}: CVAT has tags of pictures; those of a video are not written"
    if None in said.size and not is_video:
        yield "size", f"{name}: nobody has measured it, and its picture says 0"


def write_cvat(said: Iterable[Said], place: Place, ontology: Ontology, _options: CvatWriting) -> None:
    """Write all pictures into one file, and each video into one called as it is."""
    taken = [PICTURES]
    pictures = False
    for each in said:
        if _is_video(each):
            name = PurePosixPath(each.subject.name).with_suffix(".xml").as_posix()
            while name in taken:
                name = f"{name.removesuffix('.xml')}_.xml"
            taken.append(name)
            place.write(name, "".join(_video(each, ontology)).encode())
        pictures = pictures or not _is_video(each)
    if pictures:
        lines = (_image(number, each, ontology) for number, each in enumerate(_pictures(said)))
        head = _meta("annotation", _count(_pictures(said)), ontology, said)
        place.write(PICTURES, (line.encode() for line in chain([head], lines, ["</annotations>\n"])))


def _pictures(said: Iterable[Said]) -> Iterator[Said]:
    return (each for each in said if not _is_video(each))


def _count(said: Iterable[Said]) -> int:
    return sum(1 for _ in said)


def _is_video(said: Said) -> bool:
    return said.subject.media_type.startswith("video/") or any(each.frame_start is not None for each in said.regions)


def _image(number: int, said: Said, ontology: Ontology) -> str:
    width, height = said.size
    head = {"id": number, "name": said.subject.name, "width": width or 0, "height": height or 0}
    shapes = "".join(line for each in _labelled(said) for line in _shapes(each, ontology, {}, is_track=False))
    return f"  <image{_attributes(head)}>\n{shapes}{''.join(_tags(said, ontology))}  </image>\n"


def _tags(said: Said, ontology: Ontology) -> Iterator[str]:
    if said.answer.value_kind != "labels" or not isinstance(said.answer.value, tuple):
        return
    for label in map(str, said.answer.value):
        head = _attributes({"label": ontology.name(label), "source": said.answer.ext.get(f"{label}.source", "manual")})
        inside = "".join(
            f"      <attribute name={quoteattr(name.removeprefix(f'{label}.'))}>{escape(text)}</attribute>\n"
            for name, text in said.answer.ext.items()
            if name.startswith(f"{label}.") and name != f"{label}.source"
        )
        yield f"    <tag{head}>\n{inside}    </tag>\n" if inside else f"    <tag{head}/>\n"


def _labelled(said: Said) -> list[Region]:
    return [each for each in said.regions if each.label is not None]


def _video(said: Said, ontology: Ontology) -> Iterator[str]:
    last = max((each.frame_end or each.frame_start or 0 for each in said.regions), default=0)
    yield _meta("interpolation", last + 1, ontology, [said])
    tracks: dict[str, list[Region]] = {}
    for place, each in enumerate(_labelled(said)):
        if each.kind != "mask":
            # A shape of no track is a track of its own.
            tracks.setdefault(each.track_id if each.track_id is not None else f"\x00{place}", []).append(each)
    numbers = _numbers(tracks)
    for name, regions in tracks.items():
        ordered = sorted(regions, key=lambda each: each.frame_start or 0)
        head = {"id": numbers[name], "label": ontology.name(ordered[0].label)}
        yield f"  <track{_attributes(head)}>\n"
        for place, each in enumerate(ordered):
            start = each.frame_start or 0
            end = start if each.frame_end is None else each.frame_end
            key = 0 if (each.attrs or {}).get("keyframe") == "0" else 1
            yield from _shapes(each, ontology, {"frame": start, "keyframe": key, "outside": 0}, is_track=True)
            leaves = end < last if place + 1 == len(ordered) else end + 1 < (ordered[place + 1].frame_start or 0)
            if leaves:
                gone = {"frame": end + 1, "keyframe": 1, "outside": 1}
                yield from _shapes(each, ontology, gone, is_track=True)
        yield "  </track>\n"
    yield "</annotations>\n"


def _numbers(tracks: Iterable[str]) -> dict[str, str]:
    """Return track -> its id: its own, or the next number that no track has."""
    names = list(tracks)
    free = (str(number) for number in range(len(names) * 2 + 1) if str(number) not in names)
    return {name: next(free) if name.startswith("\x00") else name for name in names}


def _meta(mode: str, size: int, ontology: Ontology, said: Iterable[Said]) -> str:
    skeletons: dict[str, str] = {}
    labels = dict.fromkeys(ontology.name(label) for label in ontology.labels)
    source, frame = "", ""
    for each in said:
        if each.answer.value_kind == "labels" and isinstance(each.answer.value, tuple):
            labels |= dict.fromkeys(ontology.name(str(label)) for label in each.answer.value)
        for region in _labelled(each):
            labels.setdefault(ontology.name(region.label))
            if region.kind == "keypoints":
                skeletons.setdefault(ontology.name(region.label), (region.attrs or {}).get("keypoints", ""))
        if mode == "interpolation":
            width, height = each.size
            source = f"<source>{escape(each.subject.name)}</source>"
            if width is not None and height is not None:
                frame = f"<original_size><width>{width}</width><height>{height}</height></original_size>"
    named = "".join(_label(name, skeletons.get(name)) for name in labels if name)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
        f"  <meta><task><size>{size}</size><mode>{mode}</mode>{frame}{source}<labels>{named}</labels></task></meta>\n"
    )


def _label(name: str, keypoints: str | None) -> str:
    points = json.loads(keypoints) if keypoints else []
    kind = "<type>skeleton</type>" if points else ""
    parts = "".join(f"<label><name>{escape(each)}</name><parent>{escape(name)}</parent></label>" for each in points)
    return f"<label><name>{escape(name)}</name>{kind}</label>{parts}"


def _shapes(region: Region, ontology: Ontology, at: Attributes, *, is_track: bool) -> Iterator[str]:
    attrs = dict(region.attrs or {})
    own = {name: attrs.pop(name, usual) for name, usual in USUAL.items()}
    if "group_id" in attrs:
        own["group_id"] = attrs.pop("group_id")
    head: dict[str, object] = {} if is_track else {"label": ontology.name(region.label)}
    head |= {**at, **own}
    if is_track:
        head.pop("source")
    plain = {name: text for name, text in attrs.items() if name not in HIDDEN}
    for tag, where, inside in _outlines(region, plain):
        said = "".join(
            f"      <attribute name={quoteattr(name.removeprefix('attribute.') if _is_own(name) else name)}>"
            f"{escape(text)}</attribute>\n"
            for name, text in plain.items()
        )
        body = inside + said
        opening = f"    <{tag}{_attributes({**head, **where})}"
        yield f"{opening}>\n{body}    </{tag}>\n" if body else f"{opening}/>\n"


def _outlines(region: Region, attrs: dict[str, str]) -> Iterator[tuple[str, Attributes, str]]:
    """Yield tag, attributes and inner elements of each shape; what it says of points is taken out of `attrs`."""
    x, y, w, h = box_of_region(region)
    turn = {"rotation": _number(region.angle)} if region.angle else {}
    if region.kind == "box":
        corners = zip(("xtl", "ytl", "xbr", "ybr"), (x, y, x + w, y + h), strict=True)
        yield "box", {**{name: _number(value) for name, value in corners}, **turn}, ""
    elif region.kind == "ellipse":
        sides = zip(("cx", "cy", "rx", "ry"), (x + w / 2, y + h / 2, w / 2, h / 2), strict=True)
        yield "ellipse", {**{name: _number(value) for name, value in sides}, **turn}, ""
    elif region.kind in ("polygon", "polyline"):
        for part in parts_of(region):
            yield region.kind, {"points": _pairs(part.tolist())}, ""
    elif region.kind == "point":
        yield "points", {"points": _pairs([[x, y]])}, ""
    elif region.kind == "mask" and mask_bounds(region)[2]:
        left, top, width, height = mask_bounds(region)
        inside = mask_of_region(region, region.mask_h or 0, region.mask_w or 0)[top : top + height, left : left + width]
        yield "mask", {"rle": _rows(inside.ravel().tolist()), "left": left, "top": top, "width": width,
                       "height": height}, ""  # fmt: skip
    elif region.kind == "keypoints":
        yield _points(region, attrs)


def _points(region: Region, attrs: dict[str, str]) -> tuple[str, Attributes, str]:
    names = json.loads((region.attrs or {}).get("keypoints", "[]"))
    points = region.points or ()
    if len(names) != len(points):
        return "points", {"points": _pairs([[each["x"] or 0, each["y"] or 0] for each in points])}, ""
    lines = []
    for name, each in zip(names, points, strict=True):
        said = {key.removeprefix(f"{name}."): attrs.pop(key) for key in list(attrs) if key.startswith(f"{name}.")}
        inner = "".join(f"<attribute name={quoteattr(key)}>{escape(text)}</attribute>" for key, text in said.items())
        head = {"label": name, "outside": int(each.get("v") == 0), "occluded": int(each.get("v") == 1),
                "points": _pairs([[each["x"] or 0, each["y"] or 0]])}  # fmt: skip
        lines.append(f"      <points{_attributes(head)}>{inner}</points>\n")
    return "skeleton", {}, "".join(lines)


def _rows(flat: list[bool]) -> str:
    runs, value, count = [], False, 0
    for each in flat:
        if each != value:
            runs.append(count)
            value, count = each, 0
        count += 1
    return ", ".join(map(str, [*runs, count]))


def _is_own(name: str) -> bool:
    return name.removeprefix("attribute.") in OWN


def _pairs(points: Iterable[Iterable[float]]) -> str:
    return ";".join(",".join(_number(each) for each in pair) for pair in points)


def _number(value: float | None) -> str:
    return f"{round(value or 0.0, 9):.15g}"


def _attributes(values: Attributes) -> str:
    return "".join(f" {name}={quoteattr(str(value))}" for name, value in values.items())


def _left_out(said: Said, _options: CvatWriting) -> bool:
    if said.answer.value_kind == "labels":
        return _is_video(said)
    return bool(said.regions) and not any(map(_writes, said.regions))


def _writes(region: Region) -> bool:
    if region.label is None:
        return False
    if region.kind == "mask":
        return region.frame_start is None and mask_bounds(region)[2] > 0
    return region.kind in KINDS


CVAT_WRITER = Writer(CvatWriting, ("regions", "labels"), lost_in_cvat, write_cvat, left_out=_left_out)
