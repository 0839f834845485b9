"""One file inside a container, as the container tells of it."""

from __future__ import annotations

import datetime
import os
import re
import urllib.parse
from dataclasses import dataclass

from lakehouse.errors import RejectedInputError
from lakehouse.ingestion.sources.listing import plain_path
from lakehouse.ingestion.storing.items import Described, Item, Readable

DIVIDER = "!/"
"""Between the address of a container and the name of what is in it: `a.zip!/b/c.png`, as in Java and Commons VFS."""

DRIVE = re.compile(rb"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    Attributes:
        name: As the archive has it, bytes.
        size: Bytes by what the archive says.
        content: Its bytes; None for what is refused unread.
        mtime: Modification time, None where none is told.
        etag: What tells its content, None where nothing does.
        rule: Why it is refused unread.
        reason: The same for a person.
    """

    name: bytes
    size: int
    content: Readable | None = None
    mtime: datetime.datetime | None = None
    etag: str | None = None
    rule: str | None = None
    reason: str | None = None


def tidy(name: bytes) -> bytes:
    """Return a name of a member without `./` and doubled slashes.

    Raises:
        RejectedInputError: If it leads out of the place that an archive is unpacked to. Nothing is unpacked here; but a
            name that means to is not taken for the name of a file.
    """
    steps = [step for step in name.split(b"/") if step not in (b"", b".")]
    if name.startswith((b"/", b"\\")) or DRIVE.match(name):
        raise RejectedInputError("unsafe_name", "an absolute name in an archive")
    if b".." in name.replace(b"\\", b"/").split(b"/"):
        raise RejectedInputError("unsafe_name", "a name in an archive that leads out of it (..)")
    if not steps or b"\0" in name:
        raise RejectedInputError("unsafe_name", "no name of a file")
    return b"/".join(steps)


def item_of(
    container: str, path: str, member: Member, name: bytes, described: Described | None = None
) -> Item:
    """Return a member as something to store.

    Args:
        container: URI of the container.
        path: Of the container, relative to the drop.
        member: The member.
        name: Its name to use.
        described: What is said about it.
    """
    return Item(
        uri=container + DIVIDER + urllib.parse.quote_from_bytes(name),
        path=path + DIVIDER + plain_path(name),
        name=os.path.basename(name).decode("utf-8", "replace"),
        size=member.size,
        content=member.content,
        mtime=member.mtime,
        etag=member.etag,
        rule=member.rule,
        reason=member.reason,
        described=described or Described(),
        container_uri=container,
    )
