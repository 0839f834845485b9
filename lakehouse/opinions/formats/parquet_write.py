"""Writing Parquet that Hugging Face's `datasets` reads: the things, their class or boxes, and who said so."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.errors import ConfigError
from lakehouse.opinions.formats.losing import Loss, lost_fields, other_kinds
from lakehouse.opinions.formats.writer import ClassNumbers, Ontology, Place, Said, Writer
from lakehouse.opinions.reading.answer import Region

MEDIA = {"image": "Image", "audio": "Audio", "video": "Video"}
HOLDS = ("label", "labels", "number", "text", "bool", "regions")
PLAIN: dict[str, tuple[str, pa.DataType]] = {
    "number": ("float64", pa.float64()), "text": ("string", pa.string()), "bool": ("bool", pa.bool_()),
}  # fmt: skip
FIELDS = ("id", "area", "score", "iscrowd")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetWriting:
    """Options of writing Parquet.

    Attributes:
        split: Begins the names of the files, as `datasets` looks for them.
        content: Whether the bytes of the things go out as well; else their path alone.
        rows_per_file: Rows of one file; that many things are held in memory at once.
    """

    split: str = "train"
    content: bool = True
    rows_per_file: int = 1_000

    def __post_init__(self) -> None:
        if self.rows_per_file < 1:
            raise ConfigError(f"parquet: rows_per_file must be 1 or more, found {self.rows_per_file}")


def lost_in_parquet(said: Said, _options: ParquetWriting) -> Iterator[Loss]:
    """Yield what has no column."""
    yield from other_kinds(said, ("box",))
    yield from lost_fields(
        said, answer=("confidence", "event_time", "slot"), region=("region_id", "score", "iscrowd", "area")
    )
    for each in said.regions:
        for name, text in (each.attrs or {}).items():
            yield "attrs", f"{said.subject.name}: {name} = {text} of a {each.kind}"


def write_parquet(said: Iterable[Said], place: Place, ontology: Ontology, options: ParquetWriting) -> None:
    """Write one row for each answer, under `data/`; the answers of several people stand in several rows.

    Raises:
        ConfigError: If the lake does not hold the bytes of a thing.
    """
    total = sum(1 for _ in said)
    files = max(1, -(-total // options.rows_per_file))
    rows = iter(said)
    for number in range(files):
        found = list(islice(rows, options.rows_per_file))
        name = f"data/{options.split}-{number:05}-of-{files:05}.parquet"
        place.write(name, _file(found, ontology, options))


def _file(said: list[Said], ontology: Ontology, options: ParquetWriting) -> bytes:
    first = said[0].answer
    schema = _schema(first.value_kind, first.subject_kind, ontology)
    table = pa.Table.from_pylist([_row(each, ontology, options, schema) for each in said], schema=schema)
    data = io.BytesIO()
    pq.write_table(table, data, compression="none" if options.content else "zstd", row_group_size=100)
    return data.getvalue()


def _schema(kind: str, subject_kind: str, ontology: Ontology) -> pa.Schema:
    names = [ontology.name(label) for label in ontology.labels]
    classes: dict[str, object] = {"names": names, "_type": "ClassLabel"}
    media = subject_kind if subject_kind in MEDIA else "file"
    features: dict[str, Any] = {}
    if media in MEDIA:
        features[media] = {"_type": MEDIA[media]}
    else:
        features[media] = {"bytes": _plain("binary"), "path": _plain("string")}
    columns = [(media, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))]
    if kind == "regions":
        lists = {"bbox": pa.list_(pa.float64()), "category": pa.int64(), "id": pa.string(), "area": pa.float64(),
                 "score": pa.float64(), "iscrowd": pa.bool_()}  # fmt: skip
        columns += [("width", pa.int32()), ("height", pa.int32()),
                    ("objects", pa.struct([(name, pa.list_(of)) for name, of in lists.items()]))]  # fmt: skip
        features |= {"width": _plain("int32"), "height": _plain("int32")}
        features["objects"] = {
            "bbox": _list(_list(_plain("float64"))), "category": _list(classes), "id": _list(_plain("string")),
            "area": _list(_plain("float64")), "score": _list(_plain("float64")), "iscrowd": _list(_plain("bool")),
        }  # fmt: skip
    elif kind == "label":
        columns.append(("label", pa.int64()))
        features["label"] = classes
    elif kind == "labels":
        columns.append(("labels", pa.list_(pa.int64())))
        features["labels"] = _list(classes)
    else:
        columns.append((kind, PLAIN[kind][1]))
        features[kind] = _plain(PLAIN[kind][0])
    for name in ("actor", "slot"):
        columns.append((name, pa.string()))
        features[name] = _plain("string")
    columns += [("confidence", pa.float64()), ("event_time", pa.timestamp("us", tz="UTC"))]
    features |= {"confidence": _plain("float64"), "event_time": _plain("timestamp[us, tz=UTC]")}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}, ensure_ascii=False).encode()}
    return pa.schema(columns, metadata=metadata)


def _row(said: Said, ontology: Ontology, options: ParquetWriting, schema: pa.Schema) -> dict[str, object]:
    answer, value = said.answer, said.answer.value
    numbers = ClassNumbers({label: place for place, label in enumerate(ontology.labels)})
    row: dict[str, object] = {
        schema.names[0]: {"bytes": _content(said) if options.content else None, "path": said.subject.name},
        "actor": answer.actor_id,
        "slot": answer.slot,
        "confidence": answer.confidence,
        "event_time": answer.event_time,
    }
    if answer.value_kind == "regions":
        row["width"], row["height"] = said.size
        boxes = [each for each in said.regions if each.kind == "box"]
        row["objects"] = {
            "bbox": [[each.x, each.y, each.w, each.h] for each in boxes],
            "category": [None if each.label is None else numbers[each.label] for each in boxes],
            "id": [each.region_id for each in boxes],
            **{name: [getattr(each, name) for each in boxes] for name in FIELDS[1:]},
        }
    elif answer.value_kind == "label":
        row["label"] = None if value is None else numbers[str(value)]
    elif answer.value_kind == "labels":
        row["labels"] = [numbers[str(each)] for each in (value if isinstance(value, tuple) else ())]
    else:
        row[answer.value_kind] = value
    return row


def _content(said: Said) -> bytes:
    if said.subject.content is None:
        raise ConfigError(
            f"parquet: the lake does not hold the bytes of {said.subject.name}; write paths alone: "
            "--option content=false"
        )
    return said.subject.content()


def _plain(kind: str) -> dict[str, object]:
    return {"dtype": kind, "_type": "Value"}


def _list(feature: dict[str, object]) -> dict[str, object]:
    return {"feature": feature, "_type": "Sequence"}


def _writes(region: Region, _options: ParquetWriting) -> bool:
    return region.kind == "box"


PARQUET_WRITER = Writer(ParquetWriting, HOLDS, lost_in_parquet, write_parquet, one_each=False, writes=_writes)
