"""Everything the lakehouse raises on purpose.

PetrelError (schemas.errors)
├── LoaderError                         everything that reading and publishing datasets raises: loaders/errors.py
├── ConfigError (ValueError)            a setting is unknown, of the wrong type or out of range
├── EnvironmentProblemError (RuntimeError)   Java, jars, disk: the message ends with the command that fixes it
├── TableError
│   ├── TableNotFoundError (FileNotFoundError)
│   ├── VersionUnavailableError (LookupError)
│   ├── ReadOnlyCommitError (PermissionError)   the lake was opened as a commit has it: writing needs a branch
│   ├── UnfinishedMergeError (RuntimeError)   a merge or revert was killed and cannot be finished: undo it
│   ├── UnknownCommitError (OSError)    a bucket did not say whether it has made a commit
│   └── ConcurrentWriteError (RuntimeError)
│       └── LockLostError               the lock was taken over while its holder was held up
├── BytesNeededError (RuntimeError)     bytes cannot be deleted: dataset versions have them
├── EntityNotFoundError (LookupError)   no such entity in this lake, or none whose bytes anybody keeps
├── IngestError (RuntimeError)          a step cannot go on; nothing half-done is visible
│   ├── DamagedObjectError              an object of the lake has other bytes than it is named by
│   └── RejectedInputError (ValueError) one input did not pass; carries the rule and the reason
├── RecipeError (ValueError)            a dataset recipe cannot be followed
├── QueryRefusedError (PermissionError) user SQL that is not one read-only query over known views
├── QueryFailedError (ValueError)       user SQL that may run and cannot: no such column, wrong types ...
│   └── TensorError                     a function over arrays cannot be computed for a row
└── CheckFailedError (AssertionError)   a gate, an evaluation or a balance did not hold
"""

from __future__ import annotations

import unicodedata

from schemas.errors import PetrelError

__all__ = [
    "CheckFailedError",
    "ConcurrentWriteError",
    "ConfigError",
    "DamagedObjectError",
    "EntityNotFoundError",
    "EnvironmentProblemError",
    "IngestError",
    "LockLostError",
    "PetrelError",
    "QueryFailedError",
    "QueryRefusedError",
    "ReadOnlyCommitError",
    "RecipeError",
    "RejectedInputError",
    "TableError",
    "TableNotFoundError",
    "TensorError",
    "UnfinishedMergeError",
    "UnknownCommitError",
    "VersionUnavailableError",
    "one_line",
    "printable",
]


def one_line(error: object, *, limit: int = 300) -> str:
    """Return what an error of another library says, as one line of at most `limit` characters."""
    return printable(" ".join(str(error).split())[:limit])


def printable(text: str) -> str:
    """Return the text with every control character written out: what moves the cursor, colours, or turns text around.

    Names and values come from files of strangers; on a terminal they would be commands to it.
    """
    if text.isprintable():
        return text
    return "".join(each.encode("unicode_escape").decode() if _controls(each) else each for each in text)


def _controls(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind[0] == "C" or kind in ("Zl", "Zp")


class ConfigError(PetrelError, ValueError):
    """A setting is unknown, of the wrong type, or out of range."""


class EnvironmentProblemError(PetrelError, RuntimeError):
    """The machine lacks something; the message ends with the one command that fixes it."""


class TableError(PetrelError):
    """Something about a table."""


class TableNotFoundError(TableError, FileNotFoundError):
    """No such table in this lake."""


class VersionUnavailableError(TableError, LookupError):
    """The table exists, this version of it cannot be read."""


class ReadOnlyCommitError(TableError, PermissionError):
    """The lake was opened as a commit has it, which nobody changes any more."""


class UnfinishedMergeError(TableError, RuntimeError):
    """A merge or revert was killed, and cannot be finished as it is; the message says why, and how it is undone."""


class UnknownCommitError(TableError, OSError):
    """A bucket did not answer when it was asked to commit; whether it did is seen by whoever reads the table next."""


class ConcurrentWriteError(TableError, RuntimeError):
    """Another writer kept the table busy for longer than we wait."""


class LockLostError(ConcurrentWriteError):
    """The lock was taken over, or may have been, while its holder was held up; nothing was written."""


class BytesNeededError(PetrelError, RuntimeError):
    """Bytes cannot be deleted: dataset versions have them, which the message names."""


class EntityNotFoundError(PetrelError, LookupError):
    """No such entity in this lake, or none whose bytes anybody keeps."""


class IngestError(PetrelError, RuntimeError):
    """A step cannot go on."""


class DamagedObjectError(IngestError):
    """An object of the lake has other bytes than those it is named by."""


class RejectedInputError(IngestError, ValueError):
    """One input did not pass.

    Attributes:
        rule: Short stable name of the rule, for example `truncated`.
        reason: One sentence for a person.
    """

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(f"{rule}: {reason}")
        self.rule = rule
        self.reason = reason

    def __reduce__(self) -> tuple[type[RejectedInputError], tuple[str, str]]:
        return type(self), (self.rule, self.reason)


class RecipeError(PetrelError, ValueError):
    """A dataset recipe cannot be followed."""


class QueryRefusedError(PetrelError, PermissionError):
    """User SQL that is not one read-only query over known views."""


class QueryFailedError(PetrelError, ValueError):
    """User SQL that may run and cannot."""


class TensorError(QueryFailedError):
    """A function over arrays that cannot be computed for a row; the message names both."""


class CheckFailedError(PetrelError, AssertionError):
    """A gate, an evaluation or a balance did not hold."""
