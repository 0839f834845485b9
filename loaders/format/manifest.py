"""The two JSON files of the format: `_manifest.json` of a split and `_dataset.json` of a whole version.

FORMAT.md is the contract; this module is its only reader and writer. Everything read is checked: a manifest is
data from elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loaders.errors import CorruptionError, FormatError
from loaders.format.fields import Field, check_fields, field_from_json, schema_id
from loaders.stores.schemes import open_files
from loaders.stores.storage import Files
from schemas.canonical import canonical_json, sha256_text
from schemas.digest import Digest, parse_digest

FORMAT_NAME = "petrel-dataset"
FORMAT_VERSION = 1
STRATA_VERSION = 2
"""Of the manifest of a split with several strata, whose order a reader of before does not know."""
MANIFEST = "_manifest.json"
DATASET = "_dataset.json"
CARDS = ("_card.html", "_card.md")
"""What people read about the version, written on request after it is published; no part of it."""
COMMON_METADATA = "_common_metadata"
UNFINISHED = "_unfinished"
"""In a split folder of a bucket while its version is being published: `_dataset.json` alone says whether it counts."""

LABEL_INDEX = "label_index"
"""The column of class numbers in the datasets of a lake."""

JSON_LIMIT_BYTES = 256 << 20
"""Larger than the manifest of 100,000 parts; a longer file is not one of ours."""

PART_NAME = re.compile(r"part-[0-9]{5,9}\.parquet")
SPLIT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FREE, _EXPANSION = 4 << 20, 64
"""A part may claim this many rows, and bytes in a row group, or this many times its size in the file."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PartReceipt:
    """One published Parquet file, as the task that wrote it saw it.

    Attributes:
        name: File name, `part-00000.parquet`.
        bytes: Size of the file.
        rows: Rows in the file.
        row_groups: Rows in each row group, in order.
        row_group_bytes: Bytes of each row group, uncompressed.
        sha256: SHA-256 of the whole file, 64 hex digits.
        footer_bytes: Size of the Parquet footer with its 8 closing bytes.
        footer_sha256: SHA-256 of the last `footer_bytes` bytes.
        rows_sha256: SHA-256 of the row hashes in file order: the content *and* its order, free of Parquet.
        digest: Content of the rows, free of order.
    """

    name: str
    bytes: int
    rows: int
    row_groups: tuple[int, ...]
    row_group_bytes: tuple[int, ...]
    sha256: str
    footer_bytes: int
    footer_sha256: str
    rows_sha256: str
    digest: Digest

    def to_json(self) -> dict[str, object]:
        """Return the entry of this part in the manifest; also how a receipt travels between processes."""
        return {
            "name": self.name,
            "bytes": self.bytes,
            "rows": self.rows,
            "row_groups": list(self.row_groups),
            "row_group_bytes": list(self.row_group_bytes),
            "sha256": self.sha256,
            "footer_bytes": self.footer_bytes,
            "footer_sha256": self.footer_sha256,
            "rows_sha256": self.rows_sha256,
            "digest": str(self.digest),
        }

    @classmethod
    def from_json(cls, entry: object) -> PartReceipt:
        """Read what `to_json` gave.

        Raises:
            FormatError: If something is missing, of the wrong type, or does not add up.
        """
        record = _Record(entry, "a part")
        receipt = cls(
            name=record.text("name", PART_NAME),
            bytes=record.count("bytes"),
            rows=record.count("rows"),
            row_groups=record.counts("row_groups"),
            row_group_bytes=record.counts("row_group_bytes"),
            sha256=record.text("sha256", _SHA256),
            footer_bytes=record.count("footer_bytes"),
            footer_sha256=record.text("footer_sha256", _SHA256),
            rows_sha256=record.text("rows_sha256", _SHA256),
            digest=record.digest("digest"),
        )
        if sum(receipt.row_groups) != receipt.rows or receipt.digest.rows != receipt.rows:
            raise FormatError(f"{receipt.name}: {receipt.rows} rows, but its row groups or its digest say otherwise")
        if len(receipt.row_group_bytes) != len(receipt.row_groups) or 0 in receipt.row_groups:
            raise FormatError(f"{receipt.name}: every row group needs its rows (at least one) and its bytes")
        room = max(_FREE, _EXPANSION * receipt.bytes)
        if receipt.rows > room or max(receipt.row_group_bytes, default=0) > room:
            claim = f"{receipt.rows:,} rows in row groups of up to {max(receipt.row_group_bytes, default=0):,} bytes"
            raise FormatError(f"{receipt.name}: {claim} do not fit into a file of {receipt.bytes:,} bytes")
        if not 0 < receipt.footer_bytes <= receipt.bytes:
            raise FormatError(f"{receipt.name}: a footer of {receipt.footer_bytes} in {receipt.bytes} bytes")
        return receipt


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one split folder holds: the only list of its files.

    Attributes:
        split: Name of the split.
        dataset_id: Id of the dataset version, "" if it came from no lake.
        seed: Seed of the row order at write.
        fields: The columns, in stored order.
        parts: The Parquet files, in reading order.
        lineage: JSON object for people and tools; no part of the content.
        writer: Versions that wrote it; no part of the content.
        order_by: Column of the sequences that stand together, and the one they are ordered by; () without
            sequences. Their effect is in the parts already.
        strata: Parts of each stratum, in order: those that were written together, rows in one random order; () where
            all parts were.
    """

    split: str
    dataset_id: str
    seed: int
    fields: tuple[Field, ...]
    parts: tuple[PartReceipt, ...]
    lineage: Mapping[str, object] = field(default_factory=dict)
    writer: Mapping[str, object] = field(default_factory=dict)
    order_by: tuple[str, ...] = ()
    strata: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of all parts together."""
        return sum(part.rows for part in self.parts)

    @property
    def format_version(self) -> int:
        """Version of the format that can say all of this."""
        return STRATA_VERSION if self.strata else FORMAT_VERSION

    @property
    def all_strata(self) -> tuple[int, ...]:
        """Parts of each stratum, in order, also of a single one."""
        return self.strata or (len(self.parts),)

    @property
    def stratum_by_group(self) -> tuple[int, ...]:
        """Number of the stratum of every row group, parts in order."""
        strata = (at for at, count in enumerate(self.all_strata) for _ in range(count))
        return tuple(at for at, part in zip(strata, self.parts, strict=True) for _ in part.row_groups)

    @property
    def digest(self) -> Digest:
        """Content of all rows, free of order and layout."""
        return sum((part.digest for part in self.parts), Digest())

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the class numbers in `label_index`, else in the first column that has any; () without.

        Folders of before fields named them have them in their lineage.
        """
        named = sorted((entry for entry in self.fields if entry.classes), key=lambda entry: entry.name != LABEL_INDEX)
        if named:
            return named[0].classes or ()
        found = self.lineage.get("classes")
        return tuple(map(str, found)) if isinstance(found, list) else ()

    @property
    def row_groups(self) -> tuple[int, ...]:
        """Rows of every row group, parts in order."""
        return tuple(rows for part in self.parts for rows in part.row_groups)

    @property
    def fingerprint(self) -> str:
        """64 hex digits of columns, rows, their order and their row groups: what the order of reading rests on.

        Free of Parquet and of library versions: written again from the same rows it is the same.
        """
        layout = [[part.rows_sha256, list(part.row_groups)] for part in self.parts]
        strata = [list(self.strata)] if self.strata else []
        return sha256_text(canonical_json([FORMAT_NAME, self.format_version, schema_id(self.fields), layout, *strata]))

    @property
    def sha256(self) -> str:
        """SHA-256 of the text of `_manifest.json`, 64 hex digits."""
        return sha256_text(self.to_json())

    def to_json(self) -> str:
        """Return the text of `_manifest.json`."""
        return _dump(
            {
                "format": FORMAT_NAME,
                "format_version": self.format_version,
                "split": self.split,
                "dataset_id": self.dataset_id,
                "rows": self.rows,
                "seed": self.seed,
                **({"order_by": list(self.order_by)} if self.order_by else {}),
                **({"strata": list(self.strata)} if self.strata else {}),
                "content_digest": str(self.digest),
                "fingerprint": self.fingerprint,
                "schema": {"id": schema_id(self.fields), "fields": [entry.to_json() for entry in self.fields]},
                "parts": [part.to_json() for part in self.parts],
                "lineage": dict(self.lineage),
                "writer": dict(self.writer),
            }
        )


@dataclass(frozen=True, slots=True)
class SplitEntry:
    """One split in `_dataset.json`."""

    rows: int
    manifest_sha256: str
    content_digest: Digest
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A published dataset version: its splits and where it came from."""

    dataset_id: str
    splits: Mapping[str, SplitEntry]
    lineage: Mapping[str, object] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of all splits together."""
        return sum(entry.rows for entry in self.splits.values())

    @property
    def content_digest(self) -> Digest:
        """Content of all rows of all splits, free of order and layout."""
        return sum((entry.content_digest for entry in self.splits.values()), Digest())

    def same_content(self, other: Dataset) -> bool:
        """Whether both hold the same rows in the same splits, order and row groups, for the same version."""
        ours, theirs = (
            {name: (entry.content_digest, entry.fingerprint) for name, entry in one.splits.items()}
            for one in (self, other)
        )
        return self.dataset_id == other.dataset_id and ours == theirs

    def to_json(self) -> str:
        """Return the text of `_dataset.json`."""
        splits = {
            name: {
                "rows": entry.rows,
                "manifest_sha256": entry.manifest_sha256,
                "content_digest": str(entry.content_digest),
                "fingerprint": entry.fingerprint,
            }
            for name, entry in self.splits.items()
        }
        return _dump(
            {
                "format": FORMAT_NAME,
                "format_version": FORMAT_VERSION,
                "dataset_id": self.dataset_id,
                "rows": self.rows,
                "content_digest": str(self.content_digest),
                "splits": splits,
                "lineage": dict(self.lineage),
            }
        )


def read_manifest(folder: str | Path | Files) -> Manifest:
    """Read and check the manifest of a split folder, of a path, a URL or files that are already open.

    Raises:
        FormatError: If the folder is no split of a published dataset; the message says what it is instead.
        StorageError, DeadlineError: If the storage refuses or does not answer in time.
    """
    with _opened(folder) as files:
        return _checked_manifest(files)


def _checked_manifest(files: Files) -> Manifest:
    path = f"{files.root}/{MANIFEST}"
    record = _load(files, MANIFEST, newest=STRATA_VERSION)
    if record is None:
        raise FormatError(_what_is(files))
    has_strata = record.get("format_version") == STRATA_VERSION
    schema = _Record(record.get("schema"), f"schema in {path}")
    fields = schema.get("fields")
    if not isinstance(fields, list):
        raise FormatError(f"{path}: schema.fields must be a list")
    manifest = Manifest(
        split=record.text("split", SPLIT_NAME),
        dataset_id=record.text("dataset_id"),
        seed=record.integer("seed"),
        fields=check_fields([field_from_json(entry) for entry in fields]),
        parts=tuple(PartReceipt.from_json(entry) for entry in record.list("parts")),
        lineage=record.object("lineage"),
        writer=record.object("writer"),
        order_by=record.texts("order_by"),
        strata=record.counts("strata") if has_strata else (),
    )
    if has_strata and (len(manifest.strata) < 2 or 0 in manifest.strata or sum(manifest.strata) != len(manifest.parts)):
        raise FormatError(f"{path}: strata {list(manifest.strata)} do not add up to {len(manifest.parts)} parts")
    names = [part.name for part in manifest.parts]
    if len(set(names)) != len(names):
        raise FormatError(f"{path}: a part is listed twice")
    stated = (record.count("rows"), record.text("content_digest"), record.text("fingerprint"))
    found = (manifest.rows, str(manifest.digest), manifest.fingerprint)
    if stated != found:
        raise FormatError(f"{path}: states rows, digest, fingerprint {stated}, its parts give {found}; publish again")
    return manifest


def read_dataset(folder: str | Path | Files) -> Dataset:
    """Read and check `_dataset.json`, like `read_manifest`.

    Raises:
        FormatError: If there is none, or it is not what this version knows.
        StorageError, DeadlineError: If the storage refuses or does not answer in time.
    """
    with _opened(folder) as files:
        return _checked_dataset(files)


def _checked_dataset(files: Files) -> Dataset:
    path = f"{files.root}/{DATASET}"
    record = _load(files, DATASET)
    if record is None:
        raise FormatError(f"{files.root} holds no published dataset: {DATASET} is missing")
    splits: dict[str, SplitEntry] = {}
    for name, value in record.object("splits").items():
        if not SPLIT_NAME.fullmatch(name):
            raise FormatError(f"{path}: {name!r} is no name of a split")
        entry = _Record(value, f"split {name} in {path}")
        splits[name] = SplitEntry(
            rows=entry.count("rows"),
            manifest_sha256=entry.text("manifest_sha256", _SHA256),
            content_digest=entry.digest("content_digest"),
            fingerprint=entry.text("fingerprint", _SHA256),
        )
    return Dataset(record.text("dataset_id"), splits, record.object("lineage"))


def _what_is(files: Files) -> str:
    root = files.root
    if files.is_local and not Path(root).exists():
        return f"there is no folder {root}"
    if _has(files, "_delta_log"):
        return f"{root} is a Delta table, not a published dataset; build a dataset from it and run materialise"
    if _has(files, DATASET):
        splits = ", ".join(f"{root}/{name}" for name in sorted(_checked_dataset(files).splits))
        return (
            f"{root} holds a whole dataset version; give make_reader one of its splits: {splits}, or several "
            "of them by splits=[...]"
        )
    if _has(files, UNFINISHED):
        return f"{root} is no published dataset: it is being published, or its publisher was killed: publish it again"
    if _has(files, COMMON_METADATA):
        return f"{root} holds no {MANIFEST}; it looks like a Petastorm dataset: write it again with write_dataset"
    return f"{root} is no published dataset: {MANIFEST} is missing; write one with materialise or write_dataset"


def _has(files: Files, name: str) -> bool:
    try:
        files.size(name)
    except FileNotFoundError:
        return False
    except CorruptionError:  # a folder
        return True
    return True


@contextmanager
def _opened(folder: str | Path | Files) -> Iterator[Files]:
    """Open a path or a URL, and close it again; leave open what was."""
    if not isinstance(folder, str | Path):
        yield folder
        return
    files = open_files(folder)
    try:
        yield files
    finally:
        files.close()


def _load(files: Files, name: str, *, newest: int = FORMAT_VERSION) -> _Record | None:
    """Read one of our JSON files, None if there is none."""
    path = f"{files.root}/{name}"
    try:
        size = files.size(name)
        if size > JSON_LIMIT_BYTES:
            raise FormatError(f"{path} has {size:,} bytes, expected at most {JSON_LIMIT_BYTES:,}")
        record = _Record(json.loads(files.read(name, 0, size)), path)
    except FileNotFoundError:
        return None
    except CorruptionError as error:
        raise FormatError(str(error)) from error
    except FormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not readable: {error}; publish the dataset again") from error
    if record.get("format") != FORMAT_NAME:
        raise FormatError(f"{path}: expected format {FORMAT_NAME!r}, found {record.get('format')!r}")
    if record.get("format_version") not in range(FORMAT_VERSION, newest + 1):
        raise FormatError(
            f"{path}: format version {record.get('format_version')!r}, this reader knows {newest}; "
            "read it with the Petrel that wrote it, or publish the dataset again"
        )
    return record


def _dump(record: Mapping[str, object]) -> str:
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


class _Record:
    """A JSON object whose entries are checked as they are read."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise FormatError(f"{where}: expected a JSON object, found {type(value).__name__}")
        self._value: dict[str, object] = value
        self._where = where

    def get(self, key: str) -> object:
        return self._value.get(key)

    def text(self, key: str, pattern: re.Pattern[str] | None = None) -> str:
        value = self._value.get(key)
        if not isinstance(value, str) or (pattern and not pattern.fullmatch(value)):
            wanted = f"text like {pattern.pattern}" if pattern else "text"
            raise FormatError(f"{self._where}: {key} must be {wanted}, found {value!r}")
        return value

    def integer(self, key: str) -> int:
        value = self._value.get(key)
        if type(value) is not int:
            raise FormatError(f"{self._where}: {key} must be an integer, found {value!r}")
        return value

    def count(self, key: str) -> int:
        value = self.integer(key)
        if not 0 <= value < 1 << 62:
            raise FormatError(f"{self._where}: {key} must not be negative, found {value}")
        return value

    def list(self, key: str) -> Sequence[object]:
        value = self._value.get(key)
        if not isinstance(value, list):
            raise FormatError(f"{self._where}: {key} must be a list, found {type(value).__name__}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts that may be left out."""
        values = self._value.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise FormatError(f"{self._where}: {key} must be a list of texts, found {values!r}")
        return tuple(str(value) for value in values)

    def counts(self, key: str) -> tuple[int, ...]:
        values = self.list(key)
        if any(type(value) is not int or value < 0 for value in values):
            raise FormatError(f"{self._where}: {key} must be a list of counts")
        return tuple(int(str(value)) for value in values)

    def digest(self, key: str) -> Digest:
        try:
            return parse_digest(self.get(key))
        except ValueError as error:
            raise FormatError(f"{self._where}: `{key}`: {error}") from error

    def object(self, key: str) -> Mapping[str, object]:
        value = self._value.get(key)
        if not isinstance(value, dict):
            raise FormatError(f"{self._where}: {key} must be a JSON object, found {type(value).__name__}")
        return value
