"""What came of mending one file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mended:
    """One file that was put right, or could not be.

    Attributes:
        what: Name of the table, id of the entity, or name of the published version that it belongs to.
        name: The file.
        is_done: Whether it is whole now.
        message: What was done, or why nothing could be; one sentence.
    """

    what: str
    name: str
    is_done: bool
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"
