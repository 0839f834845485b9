"""Everything the loaders raise on purpose.

PetrelError (schemas.errors)             the root of the library's errors too
└── LoaderError
    ├── FormatError (ValueError)             a folder, schema or argument is not what the format allows
    ├── StateMismatchError (ValueError)      a saved state belongs to other data, another seed or another layout
    ├── RankMismatchError (ValueError)       the ranks of a run are about to read different things
    ├── CorruptionError (OSError)            bytes differ from what was published
    ├── StorageError (OSError)               the storage refuses or cannot be reached
    │   └── ChangedFileError                 a file is not the version that was to be replaced
    ├── DecodeError (ValueError)             the bytes are as published, but are no image or array
    ├── TransformError (RuntimeError)        the caller's transform raised
    ├── DeadlineError (TimeoutError)         a batch did not come in time
    ├── WorkerDiedError (RuntimeError)       a worker process died, and died again when its work was repeated
    └── AlreadyPublishedError (FileExistsError)  the target holds other content
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.errors import PetrelError


class LoaderError(PetrelError):
    """Root of every error of the loaders."""


class FormatError(LoaderError, ValueError):
    """A folder, schema or argument is not what the format allows."""


class StateMismatchError(LoaderError, ValueError):
    """A saved state belongs to other data, another seed or another layout."""


class RankMismatchError(LoaderError, ValueError):
    """The ranks of a run are about to read different things.

    Attributes:
        values: What differs: for each name, the value on each rank, in rank order.
    """

    def __init__(self, message: str, *, values: Mapping[str, Sequence[object]] | None = None) -> None:
        super().__init__(message)
        self.values = {name: tuple(found) for name, found in (values or {}).items()}


class PlacedError(LoaderError):
    """An error with a place in a dataset.

    Attributes:
        file: Path of the Parquet file, None if the error concerns no single file.
        row_group: Row group in the file, counted from 0, None if unknown.
        row: Row in the row group, counted from 0, None if the whole row group is concerned.
        column: Name of the column, None if unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        row_group: int | None = None,
        row: int | None = None,
        column: str | None = None,
    ) -> None:
        super().__init__(message)
        self.file = file
        self.row_group = row_group
        self.row = row
        self.column = column


class CorruptionError(PlacedError, OSError):
    """Bytes differ from what was published."""


class StorageError(LoaderError, OSError):
    """The storage refuses or cannot be reached; the message holds no key, user or query of a URL."""


class ForbiddenError(StorageError):
    """The storage knows who asks, and denies this file to them."""


class ChangedFileError(StorageError):
    """A file is not the version that was to be replaced."""


class DecodeError(PlacedError, ValueError):
    """The bytes are as published, but are no image or array of the declared kind.

    Attributes:
        rule: Of a picture, what it breaks: truncated, undecodable, too_many_pixels or unsupported_depth.
    """

    def __init__(self, message: str, *, rule: str = "undecodable", **place: Any) -> None:
        super().__init__(message, **place)
        self.rule = rule


class TransformError(LoaderError, RuntimeError):
    """The caller's transform raised; the original error is the cause."""


class DeadlineError(LoaderError, TimeoutError):
    """A batch did not come within its deadline; the message says what the workers were doing."""


class WorkerDiedError(LoaderError, RuntimeError):
    """A worker process died, and another died when its work was repeated; the message says at what and of what."""


class AlreadyPublishedError(LoaderError, FileExistsError):
    """The target folder holds other content; what is published never changes."""
