"""Read row groups of a published split, and refuse every byte that is not as it was published."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.errors import CorruptionError, FormatError
from loaders.fields import Field, arrow_schema
from loaders.manifest import Manifest, PartReceipt, read_manifest


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row lies: file, row group in the file, row in the row group; all counted from 0."""

    file: str
    row_group: int
    row: int


class Split:
    """The row groups of one split folder, numbered as the manifest lists them. Safe to use from several threads."""

    def __init__(self, folder: str | Path, *, columns: Sequence[str] | None = None, cache_bytes: int = 0) -> None:
        """Open a split folder.

        Args:
            folder: `<dataset>/<split>`.
            columns: Names of the fields to read, in this order; None reads all.
            cache_bytes: Keep all row groups in memory if the files together are not larger.

        Raises:
            FormatError: If the folder is no published split or lacks a column.
            CorruptionError: If a file is missing or has another size than was published.
        """
        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(self.folder)
        self.fields: tuple[Field, ...] = _chosen(self.manifest, columns, self.folder)
        self._groups = [
            (part, at) for part in range(len(self.manifest.parts)) for at in range(len(self._part(part).row_groups))
        ]
        self.rows_by_group = self.manifest.row_groups
        self._starts = np.concatenate([[0], np.cumsum(np.asarray(self.rows_by_group, dtype=np.int64))])
        self._footers: dict[int, Any] = {}
        self._cache: dict[int, pa.Table] | None = None
        total = sum(part.bytes for part in self.manifest.parts)
        self.cached_bytes = total if total <= cache_bytes else 0
        if self.cached_bytes:
            self._cache = {}
        for part in self.manifest.parts:
            self._check_size(part)

    @property
    def largest_row_group_bytes(self) -> int:
        """Bytes of the largest row group, uncompressed, all columns."""
        return max((size for part in self.manifest.parts for size in part.row_group_bytes), default=0)

    def locate(self, row_number: int) -> Place:
        """Return where a row lies, from its number in the split."""
        group = int(np.searchsorted(self._starts, row_number, side="right")) - 1
        part, at = self._groups[group]
        return Place(str(self._path(part)), at, row_number - int(self._starts[group]))

    def group_name(self, group: int) -> str:
        """Return a row group's name for a person."""
        part, at = self._groups[group]
        return f"row group {at} of {self._path(part)}"

    def read_group(self, group: int) -> pa.Table:
        """Return one row group with the chosen columns.

        Raises:
            CorruptionError: If the file, its footer or a page is not what was published.
        """
        if self._cache is not None and (kept := self._cache.get(group)) is not None:
            return kept
        part, at = self._groups[group]
        footer = self._footers.get(part)
        if footer is None:
            footer = self._footers[part] = self._read_footer(part)
        try:
            data = self._read(part, at, footer, [field.name for field in self.fields])
        except MemoryError:
            raise
        except Exception as error:
            raise self._broken(part, at, footer, error) from error
        if data.num_rows != self.rows_by_group[group]:
            raise self._corrupt(part, f"row group {at} has {data.num_rows} rows, not {self.rows_by_group[group]}", at)
        if self._cache is not None:
            self._cache[group] = data
        return data

    def _read(self, part: int, at: int, footer: Any, names: list[str]) -> pa.Table:
        # Not memory mapped: a file that is cut while it is mapped would kill the process by a signal.
        settings: dict[str, Any] = {"metadata": footer, "page_checksum_verification": True}
        with pa.OSFile(str(self._path(part)), "rb") as stream, pq.ParquetFile(stream, **settings) as file:
            data = file.read_row_group(at, columns=names, use_threads=False)
        wanted = arrow_schema([field for field in self.fields if field.name in names])
        return data.select(names).cast(wanted) if data.schema != wanted else data

    def _read_footer(self, part: int) -> Any:
        receipt = self._part(part)
        self._check_size(receipt)
        with self._path(part).open("rb") as stream:
            stream.seek(receipt.bytes - receipt.footer_bytes)
            tail = stream.read(receipt.footer_bytes)
        if hashlib.sha256(tail).hexdigest() != receipt.footer_sha256:
            raise self._corrupt(part, "the footer differs from the one that was published")
        try:
            footer = pq.read_metadata(pa.BufferReader(tail))
        except (OSError, pa.ArrowException) as error:
            raise self._corrupt(part, f"the footer cannot be read: {error}") from error
        rows = tuple(footer.row_group(at).num_rows for at in range(footer.num_row_groups))
        if rows != receipt.row_groups:
            raise self._corrupt(part, "the footer lists other row groups than the manifest")
        return footer

    def _check_size(self, part: PartReceipt) -> None:
        path = self.folder / part.name
        try:
            found = path.stat()
        except FileNotFoundError as error:
            raise CorruptionError(
                f"{path} is listed in the manifest but is missing; copy it again or publish the dataset again",
                file=str(path),
            ) from error
        if not stat.S_ISREG(found.st_mode) or found.st_size != part.bytes:
            raise CorruptionError(
                f"{path}: expected a file of {part.bytes:,} bytes, found {found.st_size:,}; "
                "copy it again or publish the dataset again",
                file=str(path),
            )

    def _broken(self, part: int, at: int, footer: Any, error: Exception) -> CorruptionError:
        """Find the column that cannot be read."""
        for field in self.fields:
            try:
                self._read(part, at, footer, [field.name])
            except Exception as cause:
                return self._corrupt(part, f"row group {at}, column {field.name}: {cause}", at, field.name)
        return self._corrupt(part, f"row group {at}: {error}", at)

    def _corrupt(
        self, part: int, problem: str, row_group: int | None = None, column: str | None = None
    ) -> CorruptionError:
        path = str(self._path(part))
        return CorruptionError(
            f"{path}: {problem}; copy the file again or publish the dataset again",
            file=path,
            row_group=row_group,
            column=column,
        )

    def _part(self, part: int) -> PartReceipt:
        return self.manifest.parts[part]

    def _path(self, part: int) -> Path:
        return self.folder / self._part(part).name


def _chosen(manifest: Manifest, columns: Sequence[str] | None, folder: Path) -> tuple[Field, ...]:
    if columns is None:
        return manifest.fields
    if isinstance(columns, str) or not columns:
        raise FormatError(f"columns must be a list of at least one field name, found {columns!r}")
    known = {field.name: field for field in manifest.fields}
    missing = [name for name in columns if name not in known]
    if missing:
        raise FormatError(f"{folder} has no columns {missing}; it has {sorted(known)}")
    if len(set(columns)) != len(columns):
        raise FormatError(f"a column is named twice: {list(columns)}")
    return tuple(known[name] for name in columns)
