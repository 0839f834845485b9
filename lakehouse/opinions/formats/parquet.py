"""Parquet as Hugging Face's `datasets` writes it: `image {bytes, path}`, class labels as numbers, objects with boxes.

What the numbers of a class column mean, its schema metadata says (`huggingface` -> `info.features`, ClassLabel names).
https://huggingface.co/docs/datasets/object_detection
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.errors import ConfigError, IngestError, RejectedInputError
from lakehouse.names import nearest
from lakehouse.opinions.formats.common import CommonOptions, reject
from lakehouse.opinions.formats.format import Format, Stated
from lakehouse.opinions.formats.parquet_write import PARQUET_WRITER
from lakehouse.opinions.reading import values as parse
from lakehouse.opinions.reading.answer import Frame, Item, Note, Region, Value

ROWS_PER_BATCH = 64
BOX_FORMATS = ("xywh", "xyxy")
CATEGORIES = ("category", "categories", "label", "labels")
UNLABELLED = -1
"""What `datasets` writes for a class that nobody stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetOptions(CommonOptions):
    """Options of Parquet.

    Attributes:
        media: Column of the pictures or sounds; "" takes the only one that holds bytes and path.
        columns: Column of answers -> question. None stated: every column of classes, and `objects`; one answers
            `question`, of several each is `question.column`.
        actor_column: Column that says who answered; "": nobody does.
        box_format: xywh (as COCO, and as `datasets` documents it) or xyxy.
        subject: bytes: the thing of exactly these bytes, by path where there are none; path: what `path` says.
    """

    media: str = ""
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    actor_column: str = ""
    box_format: str = "xywh"
    subject: str = "bytes"

    def __post_init__(self) -> None:
        if self.box_format not in BOX_FORMATS:
            raise ConfigError(f"parquet: box_format must be xywh or xyxy, found {self.box_format!r}")
        if self.subject not in ("bytes", "path"):
            raise ConfigError(f"parquet: subject must be bytes or path, found {self.subject!r}")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns of a file are what.

    Attributes:
        media: Column of bytes and path.
        answers: Column -> question.
        names: Column -> names of its classes.
    """

    media: str
    answers: Mapping[str, str]
    names: Mapping[str, tuple[str, ...]]


def parquet_files(path: Path) -> list[str]:
    """Return the Parquet files of a folder (recursive, by name) relative to it; of one file [""].

    Raises:
        IngestError: If there is none.
    """
    if path.is_file():
        return [""]
    files = sorted(each.relative_to(path).as_posix() for each in path.rglob("*.parquet") if each.is_file())
    if not files:
        raise IngestError(f"{path}: no .parquet file there; give a file, or the folder that holds them")
    return files


def read_parquet(path: Path, part: str, options: ParquetOptions) -> Iterator[Item]:
    """Give one answer or reject for each row and column of answers; a row without a class says nothing.

    Raises:
        IngestError: If a file is no Parquet, or nobody can say which columns hold the answers.
    """
    file, shown = path / part if part else path, part or path.name
    with _opened(file) as opened:
        layout = _layout(opened.schema_arrow, options, file)
        wanted = [layout.media, *layout.answers, *filter(None, (options.actor_column,))]
        wanted += [name for name in ("width", "height") if name in opened.schema_arrow.names]
        number, unlabelled = 0, 0
        try:
            for batch in opened.iter_batches(batch_size=ROWS_PER_BATCH, columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    for column in layout.answers:
                        item = _item(row, column, f"{shown}: row {number}", layout, options)
                        unlabelled += item is None
                        if item is not None:
                            yield item
        except (pa.ArrowException, OSError) as error:
            raise IngestError(f"{file}: cannot be read after row {number}: {error}") from error
    if unlabelled:
        yield Note(shown, "not_labelled", f"{unlabelled} values are null or -1, which says nothing")


def stated_in_parquet(path: Path, options: ParquetOptions) -> Stated:
    """Return the names of the classes of the first file, in the order of their numbers."""
    part = parquet_files(path)[0]
    file = path / part if part else path
    with _opened(file) as opened:
        layout = _layout(opened.schema_arrow, options, file)
    mine = [names for column, names in layout.names.items() if layout.answers.get(column) == options.question]
    return Stated(labels=mine[0]) if mine else Stated()


def features_of(schema: pa.Schema) -> Mapping[str, Any]:
    """Return what `datasets` says of the columns; {} of other files."""
    text = (schema.metadata or {}).get(b"huggingface")
    try:
        found = json.loads(text)["info"]["features"] if text else {}
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _opened(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise IngestError(f"{file}: is no Parquet file that can be read: {error}") from error


def _layout(schema: pa.Schema, options: ParquetOptions, file: Path) -> Layout:
    features = features_of(schema)
    media = [name for name in schema.names if _is_media(schema.field(name).type)]
    if options.media:
        media = [options.media] if options.media in schema.names else []
    if len(media) != 1:
        raise IngestError(f"{file}: {len(media)} columns hold bytes and path; say which is meant: --option media=NAME")
    names = {name: found for name in schema.names if (found := _class_names(features.get(name)))}
    answers = [name for name in schema.names if name in names or _is_objects(schema.field(name).type)]
    if options.columns:
        missing = [name for name in options.columns if name not in schema.names]
        if missing:
            raise IngestError(f"{file}: no column {missing[0]!r}{nearest(missing[0], schema.names)}")
        return Layout(media[0], options.columns, names)
    if not answers:
        shown = ", ".join(name for name in schema.names if name != media[0])
        raise IngestError(
            f"{file}: no column of classes and no `objects`; say which column answers what: --option "
            f"columns=COLUMN=QUESTION (there are {shown})"
        )
    question = options.question
    return Layout(
        media[0], {name: question if len(answers) == 1 else f"{question}.{name}" for name in answers}, names
    )


def _is_media(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind)) and {"bytes", "path"} <= {kind.field(i).name for i in range(kind.num_fields)}


def _is_objects(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
    return bool(pa.types.is_struct(inner) and inner.get_field_index("bbox") >= 0)


def _class_names(feature: object) -> tuple[str, ...]:
    """Return the class names anywhere in a feature: of the column, or of what its lists and objects hold."""
    if isinstance(feature, list):
        return next((found for each in feature if (found := _class_names(each))), ())
    if not isinstance(feature, Mapping):
        return ()
    if feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list):
        return tuple(str(each) for each in feature["names"])
    inside = [feature[key] for key in (*CATEGORIES, "feature") if key in feature]
    return next((found for each in inside if (found := _class_names(each))), ())


def _item(row: Mapping[str, Any], column: str, where: str, layout: Layout, options: ParquetOptions) -> Item | None:
    value = row[column]
    if value is None or (isinstance(value, int) and value == UNLABELLED and column in layout.names):
        return None
    try:
        actor = str(row[options.actor_column] or "") if options.actor_column else options.actor
        frame = Frame(row.get("width"), row.get("height"))
        kind, said = _value(value, layout.names.get(column, ()), options)
        return options.answer(
            _subject(row[layout.media], options),
            said,
            value_kind=kind,
            question=layout.answers[column],
            actor_id=actor,
            frame=frame if kind == "regions" else Frame(),
            where=where,
        )
    except RejectedInputError as error:
        return reject(f"{where}, {column}", error.rule, error.reason)


def _subject(media: object, options: ParquetOptions) -> str:
    found = media if isinstance(media, Mapping) else {}
    data, path = found.get("bytes"), found.get("path")
    if options.subject == "bytes" and data:
        return hashlib.sha256(data).hexdigest()
    if not path:
        raise RejectedInputError("no_subject", "has neither bytes nor a path")
    return parse.check_text(str(path), "path")


def _value(value: object, names: tuple[str, ...], options: ParquetOptions) -> tuple[str, Value]:
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, int) and names:
        return "label", _name(value, names)
    if isinstance(value, int | float):
        return "number", _float(value, "value")
    if isinstance(value, str):
        return "text", parse.check_text(value, "value")
    if isinstance(value, Mapping) or (isinstance(value, list) and value and isinstance(value[0], Mapping)):
        return "regions", tuple(_boxes(value, names, options))
    if isinstance(value, list):
        return "labels", tuple(sorted({_name(each, names) for each in value}))
    raise RejectedInputError("wrong_type", f"holds {type(value).__name__}, which is no answer")


def _name(number: object, names: tuple[str, ...]) -> str:
    if isinstance(number, str):
        return parse.label_id(number)
    if not isinstance(number, int) or not 0 <= number < len(names):
        raise RejectedInputError("unknown_class", f"has class {number!a:.40}; there are {len(names)}")
    return parse.label_id(names[number])


def _boxes(value: object, names: tuple[str, ...], options: ParquetOptions) -> Iterator[Region]:
    objects = value if isinstance(value, list) else _rows(value)
    for each in objects:
        box = each.get("bbox")
        if not isinstance(box, list) or len(box) != 4:
            raise RejectedInputError("no_box", "has an object without a box of four numbers")
        x, y, w, h = (_float(side, "bbox") for side in box)
        if options.box_format == "xyxy":
            w, h = w - x, h - y
        if w < 0 or h < 0:
            raise RejectedInputError("inverted_box", f"has a box of {w:g} x {h:g} px; is box_format right?")
        kind = next((each[key] for key in CATEGORIES if each.get(key) is not None), None)
        score, crowd, area = each.get("score"), each.get("iscrowd"), each.get("area")
        yield Region(
            kind="box", label=None if kind is None else _name(kind, names), x=x, y=y, w=w, h=h,
            region_id=None if each.get("id") is None else str(each["id"]),
            score=None if score is None else _float(score, "score"),
            iscrowd=None if crowd is None else bool(crowd),
            area=None if area is None else _float(area, "area"),
        )  # fmt: skip


def _float(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RejectedInputError("not_a_number", f"{what} must be numbers, found {value!a:.80}")
    return parse.finite(float(value), what)


def _rows(objects: object) -> list[Mapping[str, Any]]:
    """Return objects that are stated as one list a field, as one mapping each."""
    fields = {key: found for key, found in objects.items() if found is not None} if isinstance(objects, Mapping) else {}
    sizes = {len(found) for found in fields.values()}
    if len(sizes) > 1:
        raise RejectedInputError("ragged_objects", f"has lists of {sorted(sizes)} things for its objects")
    return [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)]


PARQUET = Format(
    ParquetOptions,
    parquet_files,
    read_parquet,
    "",
    endings=(".parquet",),
    stated=stated_in_parquet,
    writer=PARQUET_WRITER,
)
