"""What every format needs to be told, and how a record's own text is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.errors import IngestError
from lakehouse.opinions.reading.answer import Answer, Reject, Value

Line = tuple[int, bytes | None]

MAX_RAW_CHARACTERS = 10_000
"""What silver.rejected keeps of a record that did not pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonOptions:
    """Options of every format.

    Attributes:
        question: Question that is answered where the record itself names none.
        actor: Who answers where the record itself names nobody.
        question_version: Version of the question.
        subject_kind: image, audio, video, text ...
        slot: Tells apart several valid answers of one actor, where the record itself does not.
    """

    question: str
    actor: str
    question_version: int = 1
    subject_kind: str = "image"
    slot: str = ""

    def answer(
        self, subject_key: str, value: Value, *, value_kind: str = "regions", question: str = "", **stated: Any
    ) -> Answer:
        """Return an answer of a record that tells neither who gave it nor when.

        Args:
            subject_key: The subject as the record names it.
            value: What is said; see `Answer`.
            value_kind: Its kind.
            question: What is asked; "": `question` of the options.
            stated: Other fields of the answer, as the record states them.
        """
        common: dict[str, Any] = {
            "actor_id": self.actor, "question_id": question or self.question, "question_version": self.question_version,
            "subject_kind": self.subject_kind, "slot": self.slot, "event_time_source": "unknown",
        }  # fmt: skip
        return Answer(subject_key=subject_key, value=value, value_kind=value_kind, **(common | stated))


class Lines:
    """Physical lines of a UTF-8 file, each of bounded length; lines can be put back.

    Iterating gives (line number from 1, bytes with line end), and None in place of a line that is too long.

    Args:
        path: The file.
        limit: Longest line, bytes with its end.

    Raises:
        IngestError: If the file cannot be opened, or is UTF-16.
    """

    def __init__(self, path: Path, *, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._number = 0
        self._back: list[Line] = []
        try:
            self._stream = path.open("rb")
        except OSError as error:
            raise IngestError(f"{path}: cannot be read ({error.strerror}); give an existing file") from error

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        if self._back:
            return self._back.pop()
        line = self._stream.readline(self._limit + 1)
        if not line:
            raise StopIteration
        self._number += 1
        if self._number == 1:
            line = _without_bom(line, self._path)
        if len(line) <= self._limit:
            return self._number, line
        while not line.endswith(b"\n") and (line := self._stream.readline(1 << 20)):
            pass
        return self._number, None

    def put_back(self, lines: list[Line]) -> None:
        """Give these lines again, in this order, before all others."""
        self._back.extend(reversed(lines))


SIDECARS = ("_export.json", "_exporting.json")
"""What an export leaves beside its files in a bucket: no annotations."""


def plain_files(path: Path, pattern: str) -> list[str]:
    """Return the files of a folder that match a pattern, by name; of one file [""].

    Raises:
        IngestError: If there is none.
    """
    if not path.is_dir():
        return [""]
    files = sorted(file.name for file in path.glob(pattern) if file.is_file() and file.name not in SIDECARS)
    if not files:
        raise IngestError(f"{path}: no {pattern} file there; give a file, or the folder that holds them")
    return files


def reject(where: str, rule: str, reason: str, raw: str | None = None) -> Reject:
    """Return a reject whose text every table can hold: cut, without NUL and half surrogates."""
    if raw is not None:
        raw = raw[:MAX_RAW_CHARACTERS].replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
    reason = reason[:1_000].replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode()
    return Reject(where, rule, reason, raw)


def _without_bom(line: bytes, path: Path) -> bytes:
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise IngestError(f"{path}: is UTF-16; save it as UTF-8")
    if b"\x00" in line[:2]:
        raise IngestError(f"{path}: begins as UTF-16 without its mark does; save it as UTF-8")
    return line.removeprefix(b"\xef\xbb\xbf")
