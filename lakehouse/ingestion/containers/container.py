"""One container that is being read, and what every form of container is given to read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from lakehouse.errors import RejectedInputError
from lakehouse.ingestion.containers.budget import Budget
from lakehouse.ingestion.containers.member import Member, tidy
from lakehouse.ingestion.sources.patterns import Wanted
from lakehouse.ingestion.sources.sidecar import stated
from lakehouse.ingestion.sources.source import Source
from lakehouse.ingestion.storing.items import Described, Item


@dataclass(slots=True)
class Container:
    """A container, and how it is read.

    Attributes:
        uri: Of it.
        path: Relative to the drop.
        source: What it belongs to.
        budget: What it may unpack to.
        wanted: Says which of its files the patterns take.
        left_out: Files that they do not take, and hidden ones, so far.
        names: Hashes of the names so far: a hundred bytes a name less than the names.
    """

    uri: str
    path: str
    source: Source
    budget: Budget
    wanted: Wanted
    left_out: int
    names: set[int]

    def name_of(self, member: Member, *, by_pattern: bool = True) -> bytes | None:
        """Return the name to use for a member, None if it is not wanted; `by_pattern`: and its name does not fit.

        Raises:
            RejectedInputError: If it is unsafe, or was there before.
        """
        name = tidy(member.name)
        if any(step.startswith(b".") for step in name.split(b"/")) or name.startswith(b"__MACOSX/"):
            self.left_out += 1
            return None
        if hash(name) in self.names:
            raise RejectedInputError("duplicate_name", "a second file of this name in the archive; the first is kept")
        self.names.add(hash(name))
        if by_pattern and not self.wanted(name):
            self.left_out += 1
            return None
        return name

    def describe(self, values: Mapping[str, object], text: str, into: Described, *, where: str) -> None:
        """Fill in what a record says of files."""
        found = stated(self.source, values, text, where=f"{self.uri}: {where}")
        into.text, into.captured_at, into.group_keys = found.text, found.captured_at, dict(found.group_keys)


class Reader(Protocol):
    """Reads one form of container."""

    def __call__(self, stream: BinaryIO, container: Container) -> Iterator[Item]:
        """Yield what is in it, each to be stored before the next.

        Raises:
            RejectedInputError: If it cannot be read further; what came before stays.
        """
