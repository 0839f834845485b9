"""Reading CVAT's XML 1.1: pictures with their shapes and tags, or a video with its tracks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.formats.common import CommonOptions, reject
from lakehouse.opinions.formats.cvat.shapes import Labels, attributes_of, label_of, region_of
from lakehouse.opinions.formats.cvat.tracks import track_regions
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Answer, Frame, Item, Note, Region
from lakehouse.opinions.reading.whole import whole_bytes
from lakehouse.opinions.reading.xml_tree import Element, read_xml

MAX_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CvatOptions(CommonOptions):
    """Options of CVAT's XML.

    Attributes:
        tags: Question that tags of whole pictures answer (as `labels`); "" is `question.tags`.
        empty: Whether a picture without shapes says that nothing is there; else it says nothing. CVAT lists every
            picture of a task, worked on or not.
        video: Name of the video that tracks are about; "" takes the one that the file names.
    """

    tags: str = ""
    empty: bool = True
    video: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """What a file says of the task as a whole.

    Attributes:
        source: Name of the video; None: not stated.
        frame: Picture of the video.
        last: Last frame of the video, from 0; None: not stated.
        labels: What it says of its labels.
    """

    source: str | None
    frame: Frame
    last: int | None
    labels: Labels


def read_cvat(path: Path, part: str, options: CvatOptions) -> Iterator[Item]:
    """Give one answer or reject for each picture, one for its tags, and one for the tracks of a video."""
    file = path / part if part else path
    try:
        root = read_xml(whole_bytes(file, most=MAX_BYTES), max_bytes=MAX_BYTES)
        if root.tag != "annotations":
            raise RejectedInputError("not_cvat", f"root element is <{root.tag[:80]}>, expected <annotations>")
        task = task_of(root)
    except OSError as error:
        yield reject(file.name, "unreadable", f"cannot be read: {error.strerror}")
        return
    except RejectedInputError as error:
        yield reject(file.name, error.rule, error.reason)
        return
    images, tracks = root.all("image"), root.all("track")
    empty = 0
    for image in images:
        where = f"{file.name}: image {image.attributes.get('name', image.attributes.get('id', '?'))}"
        shapes = [each for each in image.children if each.tag != "tag"]
        empty += not shapes
        try:
            frame, subject = _frame(image), parse.check_text(image.attributes.get("name", ""), "name of an image")
            if shapes or options.empty:
                regions = tuple(region_of(each, frame, task.labels) for each in shapes)
                yield _answer(options, subject, regions, frame, where)
        except RejectedInputError as error:
            yield reject(where, error.rule, error.reason)
            continue
        if tags := image.all("tag"):
            yield _tags(tags, options, subject, where)
    if tracks:
        yield _video(tracks, task, options, file.name)
    yield from _notes(root, file.name, empty, options, has_answers=bool(images or tracks))
    used = {each.attributes.get("label", "") for image in images for each in image.children}
    strange = (used | {each.attributes.get("label", "") for each in tracks}) - task.labels.labels - {""}
    if task.labels.labels and strange:
        text = f"has shapes of {len(strange)} labels that its task does not list, such as {min(strange)!a:.80}; kept"
        yield Note(file.name, "labels_not_of_task", text)


def task_of(root: Element) -> Task:
    """Return what <meta> says."""
    meta = root.find("meta") or Element("meta")
    task = next((found for name in ("task", "job", "project") if (found := meta.find(name)) is not None), meta)
    size = task.find("original_size") or meta.find("original_size")
    frame = Frame()
    if size is not None:
        width, height = (size.value(name) for name in ("width", "height"))
        frame = Frame(parse.integer(width or "0", "width") or None, parse.integer(height or "0", "height") or None)
    stop, count = task.value("stop_frame"), task.value("size")
    last = parse.integer(stop, "stop_frame") if stop else parse.integer(count, "size") - 1 if count else None
    points: dict[str, list[str]] = {}
    names = set()
    for label in (task.find("labels") or Element("labels")).all("label"):
        parent, name = label.value("parent"), label.value("name")
        if parent is not None and name is not None:
            points.setdefault(parent, []).append(name)
        elif name:
            names.add(parse.label_id(name))
    return Task(task.value("source") or meta.value("source"), frame, last, Labels(frozenset(names), points))


def _video(tracks: Sequence[Element], task: Task, options: CvatOptions, file: str) -> Item:
    where = f"{file}: tracks"
    try:
        name = options.video or task.source
        if not name:
            raise RejectedInputError("no_video", "has tracks and names no video; set video = NAME")
        regions = tuple(each for track in tracks for each in track_regions(track, task.frame, task.labels, task.last))
        return _answer(options, parse.check_text(name, "source"), regions, task.frame, where)
    except RejectedInputError as error:
        return reject(where, error.rule, error.reason)


def _tags(tags: Sequence[Element], options: CvatOptions, subject: str, where: str) -> Item:
    try:
        labels = tuple(sorted({label_of(each) for each in tags}))
        said = {f"{each.attributes.get('label')}.{name}": text for each in tags
                for name, text in attributes_of(each).items()}  # fmt: skip
    except RejectedInputError as error:
        return reject(f"{where}, tags", error.rule, error.reason)
    question = options.tags or f"{options.question}.tags"
    return options.answer(subject, labels, value_kind="labels", question=question, ext=said, where=where)


def _answer(options: CvatOptions, subject: str, regions: tuple[Region, ...], frame: Frame, where: str) -> Answer:
    return options.answer(
        subject,
        regions,
        frame=frame,
        # A task names its pictures by path; where several have one name, that decides.
        folders=tuple(filter(None, (_folder(subject),))),
        where=where,
    )


def _notes(root: Element, file: str, empty: int, options: CvatOptions, *, has_answers: bool) -> Iterator[Note]:
    if empty and options.empty:
        yield Note(file, "empty_pictures", f"{empty} pictures without shapes are taken as answered with nothing there; "
                   "set empty = false if they were not worked on")  # fmt: skip
    others = sorted({child.tag for child in root.children} - {"version", "meta", "image", "track"})
    if others:
        yield Note(file, "elements_not_read", f"has {', '.join(f'<{each[:80]}>' for each in others[:5])}, not read")
    if not has_answers:
        yield Note(file, "no_pictures", "has neither pictures nor tracks")


def _frame(image: Element) -> Frame:
    sides = [parse.integer(image.attributes.get(name, "0"), name) for name in ("width", "height")]
    if min(sides) < 0:
        raise RejectedInputError("bad_size", f"is of {sides[0]} x {sides[1]} px")
    return Frame(sides[0] or None, sides[1] or None)


def _folder(name: str) -> str:
    parent = PurePosixPath(name.replace("\\", "/")).parent.as_posix()
    return "" if parent in (".", "/") else parent
