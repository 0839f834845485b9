"""MOT Challenge: one line for each object in each frame of a sequence; frames, ids and pixels count from 1.

`frame, id, left, top, width, height, conf, class, visibility` of ground truth (`gt.txt`), where conf 0 says that the
object is not to be counted; `frame, -1, left, top, width, height, conf, -1, -1, -1` of detections (`det.txt`), where
conf is a score. "All frame numbers, target IDs and bounding boxes are 1-based" (https://motchallenge.net/instructions/).
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.errors import ConfigError, IngestError, RejectedInputError
from lakehouse.opinions.formats.common import CommonOptions, Lines, reject
from lakehouse.opinions.formats.format import Format
from lakehouse.opinions.formats.mot_write import IGNORED, MOT_WRITER
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Frame, Item, Note, Region

WHATS = ("gt", "det")
MAX_LINE_BYTES = 1 << 12
NOTHING = -1.0
MOST_FRAMES = 2**53
"""Beyond it not every whole number is one of those that text is read as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MotOptions(CommonOptions):
    """Options of MOT.

    Attributes:
        what: gt or det; "" tells by the name of the file.
        subject: Name of the video; "" takes `name` of seqinfo.ini beside it, else the folder of the sequence.
        classes: Number of a class -> label; a class that is not named here keeps its number as its label.
        label: Label of objects that state no class.
        origin: 1: frames and pixels count from 1, as MOT says; 0: pixels from 0, as some tools write.
    """

    what: str = ""
    subject: str = ""
    classes: Mapping[str, str] = field(default_factory=dict)
    label: str = "object"
    origin: int = 1

    def __post_init__(self) -> None:
        if self.what not in ("", *WHATS):
            raise ConfigError(f"mot: what must be gt or det, found {self.what!r}")
        if self.origin not in (0, 1):
            raise ConfigError(f"mot: origin must be 1 or 0, found {self.origin}")


def mot_files(path: Path) -> list[str]:
    """Return the gt.txt (where there is none, det.txt) of every sequence in a folder, by name; of one file [""].

    Raises:
        IngestError: If there is none.
    """
    if path.is_file():
        return [""]
    for what in WHATS:
        files = sorted(each.relative_to(path).as_posix() for each in path.rglob(f"{what}.txt") if each.is_file())
        if files:
            return files
    raise IngestError(f"{path}: no gt.txt or det.txt there; give the folder of the sequences, or a file")


def read_mot(path: Path, part: str, options: MotOptions) -> Iterator[Item]:
    """Give the one answer of a sequence: one region for each object in each frame; one bad line rejects it."""
    file, where = path / part if part else path, part or path.name
    try:
        what = options.what or file.stem
        if what not in WHATS:
            raise RejectedInputError("unknown_kind", "is neither gt.txt nor det.txt; set what = gt or det")
        frame, name, last = _sequence(file)
        subject = options.subject or name
        regions = []
        with Lines(file, limit=MAX_LINE_BYTES) as lines:
            for number, line in lines:
                if line is None or line.strip():
                    regions.append(_region(line, number, what, options))
    except RejectedInputError as error:
        yield reject(where, error.rule, error.reason)
        return
    ignored = sum((each.attrs or {}).get("conf") == "0" for each in regions)
    if ignored:
        text = f"{ignored} of {len(regions)} boxes have conf 0: kept as difficult, which counts neither way"
        yield Note(where, "ignored_boxes", text)
    beyond = sum(1 for each in regions if last is not None and (each.frame_start or 0) >= last)
    yield options.answer(
        subject,
        tuple(regions),
        frame=frame,
        notes={"beyond_end": f"{beyond} boxes lie in frames after the last one"} if beyond else {},
        where=where,
    )


def _region(line: bytes | None, number: int, what: str, options: MotOptions) -> Region:
    try:
        cells = ("" if line is None else line.decode("utf-8")).strip().split(",")
    except UnicodeDecodeError as error:
        raise RejectedInputError("not_utf8", f"line {number} is not UTF-8") from error
    if not 6 <= len(cells) <= 10:
        raise RejectedInputError("wrong_column_count", f"line {number} has {len(cells)} columns, expected 6 to 10")
    found = [parse.number(cell, f"line {number}, column {place}") for place, cell in enumerate(cells, start=1)]
    frame, identity, left, top, w, h = found[:6]
    conf, kind, visible = (found[place] if len(found) > place else None for place in (6, 7, 8))
    if not 1 <= frame < MOST_FRAMES or frame != int(frame):
        raise RejectedInputError("bad_frame", f"line {number} is of frame {frame:g}; they are whole and count from 1")
    if w < 0 or h < 0:
        raise RejectedInputError("inverted_box", f"line {number} has a box of {w:g} x {h:g} px")
    attrs: dict[str, str] = {}
    if what == "gt":
        attrs |= IGNORED if conf == 0 else {}
        if visible not in (None, NOTHING):
            attrs["visibility"] = f"{visible:.10g}"
    elif len(found) == 10 and any(each != NOTHING for each in found[7:]):
        attrs["world"] = ",".join(f"{each:.10g}" for each in found[7:])
    named = what == "gt" and kind not in (None, NOTHING)
    return Region(
        kind="box",
        label=parse.label_id(options.classes.get(f"{kind:g}", f"{kind:g}") if named else options.label),
        score=conf if what == "det" and conf not in (None, NOTHING) else None,
        x=left - options.origin, y=top - options.origin, w=w, h=h,
        track_id=None if identity == NOTHING else f"{identity:.15g}",
        frame_start=int(frame) - 1,
        frame_end=int(frame) - 1,
        attrs=attrs or None,
    )  # fmt: skip


def _sequence(file: Path) -> tuple[Frame, str, int | None]:
    """Return picture, name and number of frames of a sequence: as its seqinfo.ini says, else its folder."""
    folder = file.absolute().parent
    folder = folder.parent if folder.name in WHATS else folder
    info = folder / "seqinfo.ini"
    if not info.is_file():
        return Frame(), folder.name, None
    reader = configparser.ConfigParser(interpolation=None)
    try:
        reader.read_string(info.read_text(encoding="utf-8-sig"))
        section = reader["Sequence"]
        sides = [parse.integer(section.get(key, "0"), key) or None for key in ("imWidth", "imHeight", "seqLength")]
    except (configparser.Error, KeyError, UnicodeDecodeError, OSError) as error:
        raise RejectedInputError("bad_seqinfo", f"its {info.name} cannot be read: {error}") from error
    return Frame(sides[0], sides[1]), parse.check_text(section.get("name", folder.name), "name"), sides[2]


MOT = Format(MotOptions, mot_files, read_mot, "regions", one_each=True, writer=MOT_WRITER)
