"""Archives: every file in them is one of the source, under the name that it has there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import BinaryIO

from lakehouse.errors import RejectedInputError
from lakehouse.ingestion.containers.budget import Budget
from lakehouse.ingestion.containers.container import Container
from lakehouse.ingestion.containers.member import Member, item_of
from lakehouse.ingestion.containers.tar import tar_members
from lakehouse.ingestion.containers.zip import BEGINS, zip_members
from lakehouse.ingestion.storing.items import Item


def read_archive(stream: BinaryIO, container: Container) -> Iterator[Item]:
    """Yield the files of a zip or tar, by its first bytes; archives in it are files as any other."""
    for member in members_of(stream, container.budget):
        if item := wanted_item(member, container):
            yield item


def members_of(stream: BinaryIO, budget: Budget) -> Iterator[Member]:
    """Yield what is in a zip or tar."""
    head = stream.read(4)
    stream.seek(0)
    return zip_members(stream, budget) if head in BEGINS else tar_members(stream, budget)


def wanted_item(member: Member, container: Container) -> Item | None:
    """Return a member as something to store or to refuse; None if the source does not want it."""
    try:
        name = container.name_of(member)
    except RejectedInputError as error:
        refused = dataclasses.replace(member, content=None, rule=error.rule, reason=error.reason)
        return item_of(container.uri, container.path, refused, member.name)
    return None if name is None else item_of(container.uri, container.path, member, name)
