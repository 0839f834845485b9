"""Writing YOLO: `labels/` with a text file per picture, `data.yaml` with the class list."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from lakehouse.errors import ConfigError
from lakehouse.opinions.formats.losing import Loss, lost_attributes, lost_fields, other_kinds
from lakehouse.opinions.formats.names import one_name_each
from lakehouse.opinions.formats.splits import split_like
from lakehouse.opinions.formats.writer import ClassNumbers, Ontology, Place, Said, Writer
from lakehouse.opinions.formats.yolo.options import KIND, check_task
from lakehouse.opinions.geometry.polygon import corners_of
from lakehouse.opinions.geometry.raster import Points
from lakehouse.opinions.geometry.regions import box_of_region, parts_of, points_of
from lakehouse.opinions.matching.turning import turned_upright
from lakehouse.opinions.reading.answer import Region

NAME = "yolo"
IMAGES = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloWriting:
    """Options of writing YOLO.

    Attributes:
        task: detect (boxes), segment (polygons), obb (turned boxes) or pose (keypoints).
        digits: Decimals of a coordinate, 1 to 17. Fifteen keep every place to the millionth of a pixel that counts;
            with the six that others write, one of 640 px is kept within 0.0004.
        scores: Write the score of a region as a last number.
    """

    task: str
    digits: int = 15
    scores: bool = False

    def __post_init__(self) -> None:
        check_task(self.task)
        if not 1 <= self.digits <= 17:
            raise ConfigError(f"yolo: digits must be 1 to 17, found {self.digits}")


def lost_in_yolo(said: Said, options: YoloWriting) -> Iterator[Loss]:
    """Yield what files of this task cannot say."""
    kind = KIND[options.task]
    held = (["score"] if options.scores else []) + (["angle"] if options.task == "obb" else [])
    # The number of pixels of a polygon is that of its mask, which its corners tell.
    yield from lost_fields(said, region=[*held, "area"])
    yield from other_kinds(said, (kind,))
    yield from lost_attributes(said, ())
    for each in said.regions:
        if each.kind == kind and each.label is None:
            yield "label", f"{said.subject.name}: a {kind} has no label, and YOLO none without class"
        if options.scores and each.score is None:
            yield "no_score", f"{said.subject.name}: a {kind} has no score, and its line ends without one"
    if said.subject.orientation in (2, 3, 4):
        yield "turn", f"{said.subject.name}: EXIF orientation {said.subject.orientation}; written as it is stored"


def write_yolo(said: Iterable[Said], place: Place, ontology: Ontology, options: YoloWriting) -> None:
    """Write one file for each answer, an empty one where nothing is there, and the class list.

    Pictures that viewers turn by their EXIF orientation are written as they are shown.

    Raises:
        ConfigError: If the size of a picture is not known: coordinates are shares of it; or the question has no labels:
            nobody could read a class list without classes.
    """
    numbers = class_numbers(ontology)
    if not numbers:
        raise ConfigError(
            "yolo: the question has no labels, and a file without classes cannot be read; add them with "
            "`petrel labels add`, or export coco"
        )
    names = one_name_each((_under_images(each.subject.name) for each in said), ".txt")
    for each in said:
        lines = "".join(f"{line}\n" for line in lines_of(each, numbers, options))
        place.write(f"labels/{names[_under_images(each.subject.name)]}", lines.encode())
    place.write("data.yaml", "".join(_yaml(ontology, numbers, sorted(names), options)).encode())


def class_numbers(ontology: Ontology) -> ClassNumbers:
    """Return label -> class number: those that the label set holds for YOLO if they are 0, 1, 2 ...; else its order."""
    held = ontology.export_ids.get(NAME, {})
    stated = {label: int(held[label]) for label in ontology.labels if held.get(label, "").isdecimal()}
    others = [label for label in ontology.labels if label not in stated]
    if len(set(stated.values())) == len(stated):
        free = max(stated.values(), default=-1) + 1
        return ClassNumbers(stated | {label: free + place for place, label in enumerate(others)})
    return ClassNumbers({label: place for place, label in enumerate(ontology.labels)})


def lines_of(said: Said, numbers: dict[str, int], options: YoloWriting) -> Iterator[str]:
    """Yield the lines of one answer: class number and places, as shares of the picture as viewers show it.

    Raises:
        ConfigError: If the size of the picture is not known.
    """
    width, height = said.size
    regions = [each for each in said.regions if each.kind == KIND[options.task] and each.label is not None]
    if not regions:
        return
    if width is None or height is None:
        raise ConfigError(f"yolo: the size of {said.subject.name} is not known; run `petrel dimensions`")
    if said.subject.orientation in (5, 6, 7, 8):
        regions = [turned_upright(each, width, height, said.subject.orientation) for each in regions]
        width, height = height, width
    for region in regions:
        score = [region.score] if options.scores and region.score is not None else []
        for shape in _shapes(region, options.task, width, height):
            shown = " ".join(_number(each, options.digits) for each in [*shape, *score])
            yield f"{numbers[str(region.label)]} {shown}"


def _shapes(region: Region, task: str, width: int, height: int) -> Iterator[list[float]]:
    if task == "segment":
        for points in parts_of(region):
            yield _shares(points, width, height)
        return
    x, y, w, h = box_of_region(region)
    if task == "obb":
        yield _shares(corners_of(x, y, w, h, region.angle), width, height)
        return
    shape = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
    if task == "pose":
        places = points_of(region) / (width, height)
        visible = [point.get("v") or 0 for point in region.points or ()]
        for (a, b), v in zip(places.tolist(), visible, strict=True):
            shape += [a, b, v]
    yield shape


def _shares(points: Points, width: int, height: int) -> list[float]:
    return [float(each) for each in (points / (width, height)).ravel()]


def _number(value: float, digits: int) -> str:
    shown = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def _under_images(name: str) -> str:
    return name.removeprefix(f"{IMAGES}/")


def _yaml(ontology: Ontology, numbers: dict[str, int], names: list[str], options: YoloWriting) -> Iterator[str]:
    tops = {PurePosixPath(each).parts[0] for each in names if "/" in each}
    splits = {key: next((top for top in sorted(tops) if split_like(top) and top.startswith(key)), "")
              for key in ("train", "val", "test")}  # fmt: skip
    yield "# Where the pictures are: in images/, under the same names.\npath: .\n"
    for key, top in splits.items():
        if top or key != "test":
            yield f"{key}: {f'{IMAGES}/{top}' if top else IMAGES}\n"
    yield from class_lines(ontology, numbers)
    if options.task == "pose":
        yield f"kpt_shape: [{len(ontology.keypoints)}, 3]\n"
        yield f"kpt_names: {json.dumps(ontology.keypoints, ensure_ascii=False)}\n"


def class_lines(ontology: Ontology, numbers: dict[str, int]) -> Iterator[str]:
    """Yield the class list as data.yaml has it: `nc`, then `names` by number."""
    yield f"nc: {len(numbers)}\nnames:\n"
    for label, number in sorted(numbers.items(), key=lambda each: each[1]):
        yield f"  {number}: {json.dumps(ontology.name(label), ensure_ascii=False)}\n"


def _writes(region: Region, options: YoloWriting) -> bool:
    return region.kind == KIND[options.task] and region.label is not None


YOLO_WRITER = Writer(YoloWriting, ("regions",), lost_in_yolo, write_yolo, writes=_writes)
