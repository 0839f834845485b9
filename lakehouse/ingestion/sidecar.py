"""Sidecars: what a CSV or JSON file beside the media says about each file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.errors import IngestError
from lakehouse.ingestion.source import Source
from lakehouse.objects import file_uri

PER_FILE = "per_file"
"""`sidecar = "per_file"`: the record of `a/b.png` is the JSON object in `a/b.png.json`, or else `a/b.json`."""


@dataclass(frozen=True, slots=True)
class SidecarRecord:
    """One record as received."""

    origin: str
    ordinal: int
    text: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Stated:
    """What a sidecar states about one file; empty values where it states nothing."""

    text: str | None = None
    captured_at: datetime | None = None
    group_keys: tuple[tuple[str, str], ...] = ()


class Sidecars:
    """The sidecar records of one source, found by relative path or file name."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.records: list[SidecarRecord] = []
        self._by_key: dict[str, SidecarRecord] = {}
        if source.sidecar and source.sidecar != PER_FILE:
            self.records = list(_read(Path(source.folder) / source.sidecar))
            self._by_key = {self._key(record): record for record in self.records}

    def of(self, path: str) -> Stated:
        """Return what is stated about the file at a relative path.

        Raises:
            IngestError: If a time of capture cannot be read.
        """
        if self._source.sidecar == PER_FILE:
            record = self._beside(path)
        else:
            record = self._by_key.get(path) or self._by_key.get(path.rpartition("/")[2])
        return Stated() if record is None else self._stated(record)

    def _key(self, record: SidecarRecord) -> str:
        key = record.values.get(self._source.sidecar_key)
        if not isinstance(key, str) or not key:
            raise IngestError(
                f"{record.origin}:{record.ordinal}: no `{self._source.sidecar_key}`; set sidecar_key of source "
                f"{self._source.name} to the column that names the file, one of {', '.join(record.values)}"
            )
        return key

    def _beside(self, path: str) -> SidecarRecord | None:
        media = Path(self._source.folder) / path
        for candidate in (media.with_name(media.name + ".json"), media.with_suffix(".json")):
            if candidate.is_file():
                return next(_read(candidate), None)
        return None

    def _stated(self, record: SidecarRecord) -> Stated:
        groups = {}
        for name, column in self._source.group_keys.items():
            value = record.values.get(column)
            if value not in (None, ""):
                groups[name] = str(value)
        return Stated(record.text, self._captured_at(record), tuple(sorted(groups.items())))

    def _captured_at(self, record: SidecarRecord) -> datetime | None:
        value = record.values.get(self._source.captured_at) if self._source.captured_at else None
        if value in (None, ""):
            return None
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError as error:
            raise IngestError(
                f"{record.origin}:{record.ordinal}: {self._source.captured_at} = {value!r} is not an ISO 8601 time"
            ) from error
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _read(path: Path) -> Iterator[SidecarRecord]:
    origin = file_uri(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise IngestError(f"sidecar {path} cannot be read: {error}") from error
    if path.suffix.lower() in (".csv", ".tsv"):
        lines = csv.DictReader(text.splitlines(), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        for ordinal, row in enumerate(lines, start=1):
            values: dict[str, object] = {key: value for key, value in row.items() if key is not None}
            yield SidecarRecord(origin, ordinal, json.dumps(values, ensure_ascii=False), values)
        return
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise IngestError(f"sidecar {path} is not JSON: {error}") from error
    found = content if isinstance(content, list) else [content]
    for ordinal, item in enumerate(found, start=1):
        if not isinstance(item, dict):
            raise IngestError(f"sidecar {path}, record {ordinal}: expected an object, found {type(item).__name__}")
        yield SidecarRecord(origin, ordinal, json.dumps(item, ensure_ascii=False), item)
