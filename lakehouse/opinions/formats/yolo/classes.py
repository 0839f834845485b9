"""The class list of YOLO files: which name a class number has. A wrong list would turn every label into another."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.opinions.formats.yolo.options import YoloOptions
from lakehouse.opinions.formats.yolo.plain_yaml import Value, read_yaml
from lakehouse.opinions.reading.values import label_id

YAML = ("data.yaml", "data.yml", "dataset.yaml")
TEXT = ("classes.txt", "obj.names", "_darknet.labels", "labels.txt")
MAX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Classes:
    """What a number means.

    Attributes:
        names: Number -> label.
        keypoints: Names of keypoints; where nobody tells them, their numbers from 0.
        dimensions: Numbers of each keypoint: 2 (x, y) or 3 (with visibility); 0: there are no keypoints.
        file: Where it is told; None: by the options.
    """

    names: Mapping[int, str]
    keypoints: tuple[str, ...] = ()
    dimensions: int = 0
    file: Path | None = None


def classes_of(path: Path, options: YoloOptions) -> Classes:
    """Return the class list of a folder or file of labels.

    Raises:
        IngestError: If there is none, it contradicts itself or another that lies beside it, or a pose has no
            `kpt_shape`.
    """
    candidates = [Path(options.classes_file)] if options.classes_file else [
        place / name for place in _places(path) for name in (*YAML, *TEXT)
    ]  # fmt: skip
    return _classes(str(path), options, tuple(map(_stamp, candidates)))


def _places(path: Path) -> list[Path]:
    folder = path if path.is_dir() else path.parent
    return [folder, *folder.absolute().parents[:2]]


def _stamp(file: Path) -> tuple[int, int] | None:
    """Return what is another where somebody has written to a file: its list is read anew then."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=8)
def _classes(path: str, options: YoloOptions, _stamps: tuple[tuple[int, int] | None, ...]) -> Classes:
    if options.classes:
        found = Classes(dict(enumerate(label_id(name, "class") for name in options.classes)))
    elif options.classes_file:
        found = _read(Path(options.classes_file))
    else:
        found = _beside(Path(path))
    shape = options.kpt_shape or (len(found.keypoints), found.dimensions)
    if options.task != "pose":
        return found
    if not shape[1]:
        raise IngestError(
            f"{path}: nobody tells how many keypoints a pose has; give --option kpt_shape=17,3, or a data.yaml with it"
        )
    names = found.keypoints if len(found.keypoints) == shape[0] else tuple(map(str, range(shape[0])))
    return Classes(found.names, names, shape[1], found.file)


def _beside(path: Path) -> Classes:
    told = []
    for place in _places(path):
        told += [_read(place / name) for name in (*YAML, *TEXT) if (place / name).is_file()]
        if told:
            break
    if not told:
        raise IngestError(
            f"{path}: no {YAML[0]} or {TEXT[0]} tells what the class numbers mean; give --option classes_file=FILE, or "
            "--option classes=NAME,NAME in the order of their numbers"
        )
    for other in told[1:]:
        if dict(other.names) != dict(told[0].names):
            raise IngestError(
                f"{other.file} and {told[0].file} tell the class numbers otherwise; say which holds: --option "
                "classes_file=FILE"
            )
    return told[0]


def _read(file: Path) -> Classes:
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_BYTES).decode("utf-8-sig")
        if file.suffix.lower() in (".yaml", ".yml"):
            return _from_yaml(read_yaml(text, {"names", "nc", "kpt_shape", "kpt_names"}), file)
        lines = [line.strip() for line in text.splitlines()]
        while lines and not lines[-1]:
            lines.pop()
        return _checked(dict(enumerate(lines)), file)
    except (OSError, UnicodeDecodeError) as error:
        raise IngestError(f"{file}: the class list cannot be read: {error}") from error
    except RejectedInputError as error:
        raise IngestError(f"{file}: is no class list: {error.reason}") from error


def _from_yaml(values: Mapping[str, Value], file: Path) -> Classes:
    names = values.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise RejectedInputError("bad_yaml", "has no `names`")
    count = values.get("nc", len(names))
    if count != len(names):
        raise RejectedInputError("bad_yaml", f"nc says {count} classes, `names` has {len(names)}")
    found = _checked({key: str(name) for key, name in names.items()}, file)
    shape = values.get("kpt_shape")
    if shape is None:
        return found
    if not isinstance(shape, list) or len(shape) != 2 or not all(isinstance(each, int) for each in shape):
        raise RejectedInputError("bad_yaml", f"kpt_shape must be two whole numbers, found {shape!a:.80}")
    number, dimensions = int(shape[0]), int(shape[1])
    if number < 1 or dimensions not in (2, 3):
        raise RejectedInputError("bad_yaml", f"kpt_shape must be number of keypoints and 2 or 3, found {shape}")
    stated = values.get("kpt_names")
    called = tuple(map(str, stated)) if isinstance(stated, list) and len(stated) == number else ()
    return Classes(found.names, called or tuple(map(str, range(number))), dimensions, file)


def _checked(names: Mapping[object, str], file: Path) -> Classes:
    found: dict[int, str] = {}
    for number, name in names.items():
        if not isinstance(number, int) or number < 0:
            raise RejectedInputError("bad_yaml", f"class numbers must be whole and 0 or more, found {number!a:.80}")
        found[number] = label_id(name.strip(), f"name of class {number}")
    if len(set(found.values())) < len(found):
        raise RejectedInputError("bad_yaml", "two classes have one name")
    return Classes(found, file=file)
