"""Manifests: JSON lines, CSV or TSV that list files of any storage, each with what is said of it."""

from __future__ import annotations

import csv
import functools
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from lakehouse.errors import ConfigError, IngestError, RejectedInputError
from lakehouse.home import Home
from lakehouse.ingestion.sources.forms import ManifestOptions
from lakehouse.ingestion.sources.listing import Listed, instant, plain_path
from lakehouse.ingestion.sources.prefix import etag_of
from lakehouse.ingestion.sources.redirects import WEB, check_redirects
from lakehouse.ingestion.sources.sidecar import FIELD_CHARACTERS, Stated, stated
from lakehouse.ingestion.sources.source import Source
from lakehouse.objects import below, file_uri, in_bucket, uri_path
from loaders.errors import DeadlineError, ForbiddenError, FormatError, LoaderError, StorageError
from loaders.stores.ahead import ahead

LINE_BYTES = 16 << 20
"""Of one record; a manifest without line ends is none."""

SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Named:
    """A file that a manifest names, as it is found.

    Attributes:
        listed: The file, or why it cannot be landed.
        said: What the record says of it.
        sha256: Hash that its bytes must have; None where none is stated.
    """

    listed: Listed
    said: Stated
    sha256: str | None = None


def list_manifest(source: Source, home: Home) -> Iterator[Named]:
    """Yield the files that a manifest names, in its order; each is looked at, several at once.

    Raises:
        IngestError: If the manifest cannot be read, or has no column of URIs.
    """
    reading = functools.partial(_named, source=source, home=home)
    yield from ahead(reading, enumerate(_records(source, home), start=1))


def manifest_columns(source: Source, home: Home) -> dict[str, str]:
    """Return the columns of a manifest: of CSV its header, of JSON lines the keys of the first record.

    Raises:
        IngestError: If it cannot be read, or its first record is none.
    """
    first = next(_records(source, home), None)
    if isinstance(first, RejectedInputError):
        raise IngestError(f"source {source.name}: {source.folder}: the first record: {first.reason}")
    return dict.fromkeys(first or {}, "")


def has_header(source: Source) -> bool:
    """Say whether all records of a manifest have the same columns: JSON lines leave out what they do not state."""
    return PurePosixPath(source.folder).suffix.lower() in (".csv", ".tsv")


def _named(numbered: tuple[int, Mapping[str, object] | RejectedInputError], source: Source, home: Home) -> Named:
    number, found = numbered
    where = f"{source.address}#{number}"
    if isinstance(found, RejectedInputError):
        return Named(_refused(where, f"record {number}", found), Stated())
    options: ManifestOptions = source.chosen_options
    text = json.dumps(found, ensure_ascii=False)
    told, said = found.get(options.uri), Stated(text)
    try:
        try:
            said = stated(source, found, text, where=where)
        except IngestError as error:
            raise RejectedInputError("bad_record", str(error)) from error
        if not isinstance(told, str) or not told:
            raise RejectedInputError("bad_record", f"names no file in `{options.uri}`")
        sha256, size = _stated_bytes(found, options)
        place = _place_of(told, source)
        listed = _look(place, told, source, home)
        if size is not None and listed.rule is None and listed.size_bytes != size:
            raise RejectedInputError("size_mismatch", f"{listed.size_bytes} bytes, expected {size}")
        return Named(listed, said, sha256)
    except RejectedInputError as error:
        uri = told if isinstance(told, str) and told else where
        return Named(_refused(uri if "://" in uri else f"{where}/{uri}", uri, error), said)


def _stated_bytes(found: Mapping[str, object], options: ManifestOptions) -> tuple[str | None, int | None]:
    sha256 = size = None
    if options.sha256 and found.get(options.sha256) not in (None, ""):
        sha256 = str(found[options.sha256]).lower()
        if not SHA256.fullmatch(sha256):
            raise RejectedInputError("bad_record", f"{options.sha256} = {sha256[:80]!r} is no SHA-256 in hex")
    if options.size and found.get(options.size) not in (None, ""):
        text = str(found[options.size])
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise RejectedInputError("bad_record", f"{options.size} = {text[:80]!r} is no number of bytes")
        size = int(text)
    return sha256, size


def _place_of(told: str, source: Source) -> str:
    """Return the URI of a file that a manifest names, if it may be there."""
    if "\0" in told:
        raise RejectedInputError("bad_record", "a name with a zero byte")
    if told.startswith("file:"):
        try:
            place = file_uri(uri_path(told))
        except IngestError as error:
            raise RejectedInputError("bad_record", "expected file:///path") from error
    elif "://" in told:
        place = told
    elif source.is_local:
        place = file_uri(os.path.join(os.path.dirname(source.folder), told))
    else:
        place = f"{source.folder.rpartition('/')[0]}/{told}"
    if not place.startswith("file:"):
        steps = place.partition("://")[2].split("/")
        if any(step in ("", ".", "..") for step in steps[:-1]) or steps[-1] in ("", ".", ".."):
            raise RejectedInputError("bad_record", "a URI with empty steps, . or ..")
    if not _is_allowed(place, source):
        raise RejectedInputError("not_allowed", "lies neither beside the manifest nor at a place that `allow` names")
    return place


def _is_allowed(place: str, source: Source) -> bool:
    if place.startswith("file:"):
        real = os.path.realpath(uri_path(place))
        return any(below(real, root) for root in source.allowed_roots)
    options: ManifestOptions = source.chosen_options
    beside = () if source.is_local else (source.folder.rpartition("/")[0],)
    return any(place.startswith(f"{root.rstrip('/')}/") for root in (*beside, *options.allow) if "://" in root)


def _look(place: str, told: str, source: Source, home: Home) -> Listed:
    if place.startswith("file:"):
        return _look_here(place, told, source)
    if place.startswith(WEB):
        check_redirects(place, functools.partial(_is_allowed, source=source))
    try:
        storage, name = in_bucket(place, home.stores)
        found = storage.stat(name)
    except FileNotFoundError as error:
        raise RejectedInputError("missing_link", "there is nothing at this address") from error
    except ForbiddenError as error:
        raise RejectedInputError("unreadable", "cannot be looked at: the storage denies it to these keys") from error
    except FormatError as error:
        raise RejectedInputError("bad_record", f"no storage has this address: {error}") from error
    except (StorageError, DeadlineError) as error:
        raise RejectedInputError("unreachable", f"cannot be looked at now: {error}") from error
    path = place.partition("://")[2]
    return Listed(place, plain_path(path.encode()), path.rpartition("/")[2], found.size, found.modified,
                  etag=etag_of(found))  # fmt: skip


def _look_here(place: str, told: str, source: Source) -> Listed:
    path = uri_path(place)
    try:
        found = os.stat(path)
    except OSError as error:
        raise RejectedInputError("missing_link", f"cannot be looked at: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise RejectedInputError("not_a_regular_file", "only regular files are read")
    base = os.fsencode(os.path.dirname(os.path.abspath(source.folder))) if source.is_local else b"/"
    relative = os.path.relpath(path, base) if below(path, base) else path.lstrip(b"/")
    return Listed(place, plain_path(relative), os.path.basename(path).decode("utf-8", "replace"), found.st_size,
                  instant(found.st_mtime_ns))  # fmt: skip


def _refused(uri: str, told: str, error: RejectedInputError) -> Listed:
    path = plain_path(told.encode("utf-8", "surrogatepass"))
    return Listed(uri, path, path.rpartition("/")[2], 0, None, rule=error.rule, reason=error.reason)


def _records(source: Source, home: Home) -> Iterator[Mapping[str, object] | RejectedInputError]:
    lines = _lines(source, home)
    if has_header(source):
        csv.field_size_limit(FIELD_CHARACTERS)
        rows = csv.DictReader(lines, delimiter="\t" if source.folder.lower().endswith(".tsv") else ",")
        try:
            for row in rows:
                if None in row or None in row.values():
                    yield RejectedInputError("bad_record", f"line {rows.line_num}: another number of fields than the "
                                             "header has")  # fmt: skip
                else:
                    yield dict(row)
        except csv.Error as error:
            where = f"{source.folder}, line {rows.line_num}"
            raise IngestError(f"source {source.name}: {where}: not CSV: {error}") from error
        return
    for line in lines:
        if line.strip():
            yield _json_record(line)


def _json_record(line: str) -> Mapping[str, object] | RejectedInputError:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON number")

    try:
        found = json.loads(line, parse_constant=refuse)
        line.encode("utf-8")
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        return RejectedInputError("bad_record", f"not JSON: {error}")
    return found if isinstance(found, dict) else RejectedInputError("bad_record", "expected a JSON object")


def _lines(source: Source, home: Home) -> Iterator[str]:
    """Yield the lines of a manifest with their ends; what is no UTF-8 stops it."""
    try:
        if source.is_local:
            with open(source.folder, encoding="utf-8-sig", newline="") as stream:
                while line := stream.readline(LINE_BYTES + 1):
                    yield _checked(line, source)
            return
        storage, name = in_bucket(source.folder, home.stores)
        text = storage.read_whole(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise IngestError(f"source {source.name}: {source.folder} is not UTF-8: {error}") from error
    except FormatError as error:
        raise ConfigError(f"source {source.name}: {source.folder}: {error}") from error
    except (OSError, LoaderError) as error:
        raise IngestError(f"source {source.name}: cannot read the manifest {source.folder}: {error}") from error
    yield from (_checked(line, source) for line in text.splitlines(keepends=True) if line)


def _checked(line: str, source: Source) -> str:
    if len(line) > LINE_BYTES:
        raise IngestError(f"source {source.name}: {source.folder}: a record of more than {LINE_BYTES} characters")
    return line
