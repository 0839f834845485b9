"""Sidecars: what a CSV or JSON file beside the media says about each file."""

from __future__ import annotations

import csv
import io
import json
import os
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from lakehouse.config import StoreConfig
from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.ingestion.sources.source import PER_FILE, Source
from lakehouse.names import nearest
from lakehouse.objects import file_uri, in_bucket
from loaders.errors import LoaderError

FIELD_CHARACTERS = 128 << 10
"""Longest value of a CSV sidecar: a longer one is an open quote that swallowed the rest of the file."""


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

    def __init__(self, source: Source, stores: Iterable[StoreConfig] = ()) -> None:
        self._source, self._stores = source, tuple(stores)
        self.records: list[SidecarRecord] = []
        self._by_key: dict[str, SidecarRecord] = {}
        if source.sidecar and source.sidecar != PER_FILE:
            try:
                self.records = list(_records(self._file(source.sidecar)))
            except FileNotFoundError as error:
                raise IngestError(f"sidecar {source.folder}/{source.sidecar} cannot be read: {error}") from error
            for record in self.records:
                self._add(self._key(record), record)
            self._check_columns()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the one sidecar file; empty where each file has a record of its own, or there is none."""
        return tuple(sorted({name for record in self.records for name in record.values}))

    def of(self, path: str) -> Stated:
        """Return what is stated about the file at a relative path.

        Raises:
            RejectedInputError: bad_sidecar, if the record that lies beside the file cannot be read, or its time of
                capture: it may be half written, and the others are none the worse for it.
            IngestError: If a time of capture in the one sidecar of all files cannot be read.
        """
        try:
            return self._of(path)
        except IngestError as error:
            # A bucket that does not answer is no fault of a file.
            if self._source.sidecar != PER_FILE or isinstance(error.__cause__, LoaderError):
                raise
            raise RejectedInputError("bad_sidecar", str(error)) from error

    def _of(self, path: str) -> Stated:
        # The listing encodes what is not plain text; sidecars name a file by its own name.
        own = os.fsdecode(urllib.parse.unquote_to_bytes(path))
        if self._source.sidecar == PER_FILE:
            record = self._beside(own)
        else:
            keys = (own, own.rpartition("/")[2], path, path.rpartition("/")[2])
            record = next((self._by_key[key] for key in keys if key in self._by_key), None)
        if record is None:
            return Stated()
        return stated(self._source, record.values, record.text, where=f"{record.origin}:{record.ordinal}")

    def _add(self, key: str, record: SidecarRecord) -> None:
        first = self._by_key.setdefault(key, record)
        if first.values != record.values:
            raise IngestError(
                f"{record.origin}: says different things about `{key}` in records {first.ordinal} and "
                f"{record.ordinal}; keep one of them, or name files by their path"
            )

    def _check_columns(self) -> None:
        known = self.columns
        for column in (*self._source.group_keys.values(), self._source.captured_at):
            if self.records and column and column not in known:
                # A group key that is misspelt would let groups leak from train to test without a word.
                raise IngestError(f"{self.records[0].origin}: no record has `{column}`{nearest(column, known)}")

    def _key(self, record: SidecarRecord) -> str:
        key = record.values.get(self._source.sidecar_key)
        if not isinstance(key, str) or not key:
            raise IngestError(
                f"{record.origin}:{record.ordinal}: no `{self._source.sidecar_key}`; set sidecar_key of source "
                f"{self._source.name} to the column that names the file, one of {', '.join(record.values)}"
            )
        return key

    def _beside(self, path: str) -> SidecarRecord | None:
        for candidate in (f"{path}.json", str(PurePosixPath(path).with_suffix(".json"))):
            if self._source.is_local:
                beside = Path(self._source.folder) / candidate
                if not beside.is_file() or beside.is_symlink():
                    continue
            try:
                return next(_records(self._file(candidate)), None)
            except FileNotFoundError:
                continue
        return None

    def _file(self, path: str) -> _File:
        """Read a file of the source.

        Raises:
            FileNotFoundError: If a bucket has none of this name.
            IngestError: If it cannot be read.
        """
        if self._source.is_local:
            place = Path(self._source.folder) / path
            try:
                return _File(file_uri(place), str(place), place.read_bytes())
            except OSError as error:
                raise IngestError(f"sidecar {place} cannot be read: {error}") from error
        url = f"{self._source.folder}/{path}"
        try:
            storage, name = in_bucket(url, self._stores)
            return _File(url, url, storage.read_whole(name))
        except LoaderError as error:
            raise IngestError(f"sidecar {url} cannot be read: {error}") from error


def stated(source: Source, values: Mapping[str, object], text: str, *, where: str) -> Stated:
    """Return what a record says of its file, by the columns that the source names.

    Raises:
        IngestError: If the time of capture cannot be read.
    """
    groups = {}
    for name, column in source.group_keys.items():
        value = values.get(column)
        if value not in (None, ""):
            groups[name] = str(value)
    return Stated(text, _captured_at(source, values, where), tuple(sorted(groups.items())))


def _captured_at(source: Source, values: Mapping[str, object], where: str) -> datetime | None:
    value = values.get(source.captured_at) if source.captured_at else None
    if value in (None, ""):
        return None
    try:
        moment = datetime.fromisoformat(str(value))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise IngestError(f"{where}: {source.captured_at} = {value!r} is not an ISO 8601 time") from error


@dataclass(frozen=True, slots=True)
class _File:
    """A sidecar file: its URI, what to call it, and its bytes."""

    uri: str
    path: str
    data: bytes


def _records(file: _File) -> Iterator[SidecarRecord]:
    path = file.path
    try:
        # Line ends become "\n", as where a file is opened for its text.
        text = io.TextIOWrapper(io.BytesIO(file.data), encoding="utf-8-sig").read()
    except UnicodeDecodeError as error:
        raise IngestError(f"sidecar {path} cannot be read: {error}") from error
    suffix = PurePosixPath(path).suffix.lower()
    rows = _csv_rows(path, text, suffix) if suffix in (".csv", ".tsv") else _json_rows(path, text)
    for ordinal, values in enumerate(rows, start=1):
        record = SidecarRecord(file.uri, ordinal, json.dumps(values, ensure_ascii=False), values)
        try:
            record.text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise IngestError(f"sidecar {path}, record {ordinal}: half of a surrogate pair is no text") from error
        yield record


def _csv_rows(path: str, text: str, suffix: str) -> Iterator[Mapping[str, object]]:
    # Not splitlines(): it also splits at form feeds and line separators inside a field.
    # A limit of the whole process, which readers of annotations raise for theirs.
    csv.field_size_limit(FIELD_CHARACTERS)
    lines = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if suffix == ".tsv" else ",")
    try:
        for row in lines:
            yield {key: value for key, value in row.items() if key is not None}
    except csv.Error as error:
        raise IngestError(f"sidecar {path}, line {lines.line_num}: not CSV: {error}") from error


def _json_rows(path: str, text: str) -> Iterator[Mapping[str, object]]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON number")

    try:
        content = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise IngestError(f"sidecar {path} is not JSON: {error}") from error
    for ordinal, item in enumerate(content if isinstance(content, list) else [content], start=1):
        if not isinstance(item, dict):
            raise IngestError(f"sidecar {path}, record {ordinal}: expected an object, found {type(item).__name__}")
        yield item
