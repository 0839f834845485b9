"""Writing MOT Challenge: `NAME/gt/gt.txt` for each video, and its seqinfo.ini where its picture's size is known."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from lakehouse.errors import ConfigError
from lakehouse.opinions.formats.losing import Loss, lost_fields, other_kinds
from lakehouse.opinions.formats.writer import ClassNumbers, Ontology, Place, Said, Writer
from lakehouse.opinions.geometry.regions import box_of_region
from lakehouse.opinions.geometry.tracks import shapes_of
from lakehouse.opinions.reading.answer import Region

IGNORED = {"conf": "0", "difficult": "1"}
"""What a box has that is not to be counted; `difficult` is what evaluation goes by."""

MAX_LINES = 10_000_000
"""Of one video, about 400 MB: 46 hours of one object at 60 frames a second, or an hour of 46."""

HELD_ATTRS = (*IGNORED, "visibility", "interpolation", "world")


@dataclass(frozen=True, slots=True, kw_only=True)
class MotWriting:
    """Options of writing MOT.

    Attributes:
        what: gt (conf says whether a box counts) or det (conf is its score; ids and classes are not written).
    """

    what: str = "gt"

    def __post_init__(self) -> None:
        if self.what not in ("gt", "det"):
            raise ConfigError(f"mot: what must be gt or det, found {self.what!r}")


def lost_in_mot(said: Said, options: MotWriting) -> Iterator[Loss]:
    """Yield what MOT has no place for."""
    yield from other_kinds(said, ("box",))
    held = ("track_id", "frame_start", "frame_end", "area", *(("score",) if options.what == "det" else ()))
    yield from lost_fields(said, region=held)
    name = said.subject.name
    for each in said.regions:
        if each.frame_start is None:
            yield "no_frame", f"{name}: a {each.kind} of no frame is not written"
        if options.what == "det" and each.track_id is not None:
            yield "track_id", f"{name}: track {each.track_id}"
        if not _number(each):
            yield "track_id", f"{name}: track {each.track_id!r} is no number from 1, and gets one"
        if options.what == "gt" and each.label is None:
            yield "label", f"{name}: a {each.kind} without label is written as class 1"
        for key, text in (each.attrs or {}).items():
            if key not in HELD_ATTRS:
                yield "attrs", f"{name}: {key} = {text} of a {each.kind}"


def write_mot(said: Iterable[Said], place: Place, ontology: Ontology, options: MotWriting) -> None:
    """Write a folder for each video; boxes between stated frames are worked out, as MOT has one line a frame.

    Raises:
        ConfigError: If the tracks of a video are more lines than a file of MOT is for (`MAX_LINES`), or a label has no
            number.
    """
    for each in said:
        folder = PurePosixPath(each.subject.name).with_suffix("").as_posix()
        lines = (line.encode() for line in _lines(each, ontology, options))
        place.write(f"{folder}/{options.what}/{options.what}.txt", lines)
        width, height = each.size
        if width is not None and height is not None:
            text = f"[Sequence]\nname={each.subject.name}\nimWidth={width}\nimHeight={height}\n"
            place.write(f"{folder}/seqinfo.ini", text.encode())


def _lines(said: Said, ontology: Ontology, options: MotWriting) -> Iterator[str]:
    boxes = [each for each in said.regions if each.kind == "box" and each.frame_start is not None]
    ids = _ids(boxes)
    total = sum((each.frame_end or each.frame_start or 0) - (each.frame_start or 0) + 1 for each in boxes)
    if total > MAX_LINES:
        raise ConfigError(
            f"mot: the tracks of {said.subject.name} would be {total:,} lines, one for each box and frame, at most "
            f"{MAX_LINES:,} are written; export cvat, which has the shapes alone"
        )
    for frame, track, _, region in heapq.merge(*_by_frame(boxes, ids), key=lambda each: each[:3]):
        x, y, w, h = box_of_region(region)
        where = f"{x + 1:.10g},{y + 1:.10g},{w:.10g},{h:.10g}"
        attrs = region.attrs or {}
        if options.what == "det":
            conf = 1.0 if region.score is None else region.score
            text = f"{frame + 1},-1,{where},{conf:.10g},{attrs.get('world', '-1,-1,-1')}\n"
        else:
            counts = 0 if attrs.get("conf") == "0" or attrs.get("difficult") == "1" else 1
            label = region.label or "1"
            kind = label if label.isdecimal() else str(ClassNumbers(ontology.numbers)[label] + 1)
            text = f"{frame + 1},{track},{where},{counts},{kind},{attrs.get('visibility', '-1')}\n"
        yield text


def _by_frame(boxes: list[Region], ids: Mapping[str | None, int]) -> list[Iterator[tuple[int, int, int, Region]]]:
    """Return for each box (frame, number of its track, its place, the box there), frame after frame."""

    def placed(place: int, track: int, shape: Iterator[tuple[int, Region]]) -> Iterator[tuple[int, int, int, Region]]:
        return ((frame, track, place, held) for frame, held in shape)

    found = zip(boxes, shapes_of(boxes), strict=True)
    return [placed(place, ids[each.track_id], shape) for place, (each, shape) in enumerate(found)]


def _ids(regions: Iterable[Region]) -> dict[str | None, int]:
    """Return track -> its number: its own where it is one, else the next free one; -1 of no track."""
    found: dict[str | None, int] = {None: -1}
    tracks = list(dict.fromkeys(each.track_id for each in regions if each.track_id is not None))
    found |= {track: int(track) for track in tracks if track.isdecimal() and int(track) > 0}
    taken, free = set(found.values()), 1
    for track in tracks:
        if track not in found:
            while free in taken:
                free += 1
            found[track] = free
            taken.add(free)
    return found


def _number(region: Region) -> bool:
    return region.track_id is None or (region.track_id.isdecimal() and int(region.track_id) > 0)


def _writes(region: Region, _options: MotWriting) -> bool:
    return region.kind == "box" and region.frame_start is not None


MOT_WRITER = Writer(MotWriting, ("regions",), lost_in_mot, write_mot, writes=_writes)
