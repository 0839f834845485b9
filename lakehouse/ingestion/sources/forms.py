"""What a source can be, and what each form of it is told by `[sources.options]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.typed import fill

FILES, ARCHIVES, WEBDATASET, PARQUET = "files", "archives", "webdataset", "parquet"
MANIFEST, DATABASE, CAPTURE, ITEMS = "manifest", "database", "capture", "items"
CONTAINERS = (ARCHIVES, WEBDATASET, PARQUET)
"""Forms whose files hold files."""
LINKED = (FILES, MANIFEST)
"""Forms whose files have an address of their own, which a link can name."""


@dataclass(frozen=True, slots=True)
class NoOptions:
    """A form that is told nothing."""


@dataclass(frozen=True, slots=True)
class WebdatasetOptions:
    """Tar shards in which files of one key are one sample.

    Attributes:
        metadata: Endings of what describes the other files of its sample; it is kept as their sidecar record.
    """

    metadata: tuple[str, ...] = ("json", "txt", "text", "cls", "cls2", "caption", "transcript", "id", "index", "label")


@dataclass(frozen=True, slots=True)
class ParquetOptions:
    """Parquet shards with files in a column, as Hugging Face's `datasets` writes them.

    Attributes:
        columns: Columns of bytes, or of `{bytes, path}`, that hold the files; none: every such column.
        name: Column that names the file of its row; "": the `path` beside the bytes, else the row.
    """

    columns: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """A list of files: JSON lines, CSV or TSV.

    Attributes:
        uri: Column of the URI, or of a path relative to the manifest.
        sha256: Column of the SHA-256 that the bytes must have; "": none is stated.
        size: Column of the bytes that it must have; "": none is stated.
        allow: Places beside that of the manifest that files may be in: folders, `s3://bucket/prefix`, `https://host/`.
    """

    uri: str = "uri"
    sha256: str = ""
    size: str = ""
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """A table of SQLite or PostgreSQL, or a query, read from where the last run ended.

    Attributes:
        table: Table, or view, to read; or else:
        query: One SELECT.
        cursor: Columns that only grow, most significant first, as `updated_at` or `id`.
        key: Columns that name a row.
        name: Column that names the files of a row; "": key and column.
        overlap: Rows are read again from so far before the last one on, in units of a single cursor column (seconds
            for times): what a slow transaction committed late is found so.
        rows_per_commit: Rows between two commits.
        password_env: Variable of the environment that has the password; "": what libpq takes, PGPASSWORD or ~/.pgpass.
    """

    cursor: tuple[str, ...]
    key: tuple[str, ...]
    table: str = ""
    query: str = ""
    name: str = ""
    overlap: float = 0.0
    rows_per_commit: int = 10_000
    password_env: str = ""

    def __post_init__(self) -> None:
        if bool(self.table) == bool(self.query):
            raise ConfigError("state either table or query")
        if not self.cursor or not self.key:
            raise ConfigError("name the columns of the cursor and those of the key")
        if self.overlap and len(self.cursor) != 1:
            raise ConfigError("overlap needs a cursor of one column")
        if self.overlap < 0 or self.rows_per_commit < 1:
            raise ConfigError("overlap must be 0 or more, rows_per_commit 1 or more")


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """What a served model saw, said and was told, as files and JSON lines in any order.

    Attributes:
        question: Question that the model and its users answer.
        inputs: Patterns of the raw inputs; the name without its ending is the id of the event.
        records: Patterns of the files of JSON lines.
    """

    question: str
    inputs: tuple[str, ...] = ("inputs/*",)
    records: tuple[str, ...] = ("*.jsonl",)


FORMS: Mapping[str, type[object]] = {
    FILES: NoOptions, ARCHIVES: NoOptions, WEBDATASET: WebdatasetOptions, PARQUET: ParquetOptions,
    MANIFEST: ManifestOptions, DATABASE: DatabaseOptions, CAPTURE: CaptureOptions, ITEMS: NoOptions,
}  # fmt: skip


def options_of(form: str, options: Mapping[str, object], *, where: str) -> object:
    """Return the options of a form.

    Raises:
        ConfigError: If there is no such form, or an option is unknown, missing or of the wrong type.
    """
    if form not in FORMS:
        raise ConfigError(f"{where}: unknown form `{form}`{nearest(form, FORMS)}")
    try:
        return fill(FORMS[form], options, where=f"{where}: options", word="option")
    except ConfigError as error:
        if str(error).startswith(where):
            raise
        raise ConfigError(f"{where}: options: {error}") from error
