"""Landed things and annotation files for tests of opinions, without pictures: an entity is its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lakehouse.lake import Lake
from lakehouse.opinions.formats import read_answers
from lakehouse.opinions.reading.answer import Answer, Item, Reject
from lakehouse.opinions.step import OpinionSource
from lakehouse.query import fetch
from lakehouse.tables.insert import insert_rows
from lakehouse.tables.read import head
from schemas.canonical import content_id
from schemas.tables import DIMENSIONS, ENTITIES, ENTITY_SOURCES, TABLES
from tests.making import add_entities, entity_id

SAID = {"question": "animal", "actor": "human:ann"}


def land(lake: Lake, paths: Iterable[str] | Mapping[str, str], *, source: str = "photos") -> None:
    """Pretend that files have landed at these paths; a mapping says path -> bytes, else the bytes are the path."""
    bytes_at = paths if isinstance(paths, Mapping) else {path: path for path in paths}
    add_entities(lake, sorted(set(bytes_at.values())))
    rows = [
        {
            "entity_id": entity_id(content),
            "landed_id": content_id([source, path, content]),
            "source": source,
            "drop_name": "main",
            "uri": f"file:///drops/{source}/{path}",
            "path": path,
            "name": path.rpartition("/")[2],
            "group_keys": {},
        }
        for path, content in bytes_at.items()
    ]
    insert_rows(lake, ENTITY_SOURCES, rows, step="test")


def land_pictures(
    lake: Lake, paths: Iterable[str], *, width: int = 640, height: int = 480, orientation: int | None = None,
    source: str = "pictures",
) -> None:  # fmt: skip
    """Pretend that pictures of one size have landed at these paths and were measured; there are no bytes."""
    sides = {"width": width, "height": height, "exif_orientation": orientation}
    for path in paths:
        found = entity_id(path)
        entity = {"entity_id": found, "media_type": "image/jpeg", "size_bytes": 1, "storage": "copy",
                  "object_uri": f"objects/{found[:2]}/{found}", "group_keys": {}, "origin": "real"}  # fmt: skip
        named = {"entity_id": found, "landed_id": content_id([source, path]), "source": source, "drop_name": "main",
                 "uri": f"file:///drops/{source}/{path}", "path": path, "name": path.rpartition("/")[2],
                 "group_keys": {}}  # fmt: skip
        rows = [
            {"entity_id": found, "dimension": name, "extractor": "image_header", "extractor_version": 1,
             "value_kind": "number", "number": float(side)} for name, side in sides.items() if side is not None
        ]  # fmt: skip
        for table, new in ((ENTITIES, [entity]), (ENTITY_SOURCES, [named]), (DIMENSIONS, rows)):
            insert_rows(lake, table, new, step="test")


def csv_source(path: Path, text: str | bytes | None = None, **changes: Any) -> OpinionSource:
    """A CSV source with columns subject and label; `text` is written to the file first."""
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return OpinionSource(**{"format": "csv", "path": str(path), "source": "photos", **SAID, **changes})


def jsonl_source(path: Path, text: str, **changes: Any) -> OpinionSource:
    """A source of JSON lines."""
    path.write_text(text, encoding="utf-8")
    return OpinionSource(**{"format": "jsonl", "path": str(path), "source": "photos", **SAID, **changes})


def items(name: str, path: Path, **options: Any) -> list[Item]:
    """What a format reads from a file."""
    return list(read_answers(name, path, {**SAID, **options}))


def answers(name: str, path: Path, **options: Any) -> list[Answer]:
    """What a format reads; the test fails if anything is rejected."""
    found = items(name, path, **options)
    assert not [each for each in found if isinstance(each, Reject)]
    return [each for each in found if isinstance(each, Answer)]


def rules(name: str, path: Path, **options: Any) -> list[tuple[str, str]]:
    """Where and by which rule a format rejects."""
    return [(each.where, each.rule) for each in items(name, path, **options) if isinstance(each, Reject)]


def versions(lake: Lake) -> dict[str, int]:
    """The newest version of every table."""
    return {table.name: head(lake.root, table) for table in TABLES}


def said(lake: Lake, *, view: str = "current_opinions") -> list[tuple[str, str | None]]:
    """What is said about what: (path, label), by path."""
    rows = fetch(
        lake,
        f"select s.path, o.label from {view} o "
        "join silver.entity_sources s on s.entity_id = o.subject_id order by s.path, o.label",
    )
    return [(row["path"], row["label"]) for row in rows]


def counts(read: int = 0, new: int = 0, same: int = 0, rejected: int = 0, unmatched: int = 0) -> dict[str, int]:
    """The counts of a receipt."""
    return {"read": read, "new": new, "same": same, "rejected": rejected, "unmatched": unmatched}
