"""WebDataset: tar shards in which files that share a key, the name up to its first dot, are one sample.

What describes a sample (`0001.json`, `0001.cls`) is the sidecar record of its other files (`0001.jpg`), untouched.
https://github.com/webdataset/webdataset
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from lakehouse.errors import RejectedInputError
from lakehouse.ingestion.containers.archive import members_of, wanted_item
from lakehouse.ingestion.containers.container import Container
from lakehouse.ingestion.containers.member import Member, item_of
from lakehouse.ingestion.sources.forms import WebdatasetOptions
from lakehouse.ingestion.storing.items import Described, Item

METADATA_BYTES = 16 << 20
"""Of one file that describes a sample: it is in memory whole."""


@dataclass(slots=True)
class _Sample:
    """Files of one key.

    Attributes:
        key: Of the shard, with folders.
        described: What is said about its files.
        texts: Ending -> what a file says.
        members: Those files, in case that there is nothing to describe.
        files: How many others there are.
    """

    key: bytes
    described: Described = field(default_factory=Described)
    texts: dict[str, str] = field(default_factory=dict)
    members: list[tuple[Member, bytes]] = field(default_factory=list)
    files: int = 0


def read_webdataset(stream: BinaryIO, container: Container) -> Iterator[Item]:
    """Yield the files of the samples; where a sample has nothing but descriptions, these are its files."""
    options: WebdatasetOptions = container.source.chosen_options
    sample: _Sample | None = None
    try:
        for member in members_of(stream, container.budget):
            key, ending = _key(member.name)
            if sample is None or sample.key != key:
                yield from _finish(sample, container)
                sample = _Sample(key)
            if ending in options.metadata and member.content is not None:
                yield from _take(sample, member, ending, container)
            elif item := wanted_item(member, container):
                sample.files += item.content is not None
                yield dataclasses.replace(item, described=sample.described)
    finally:
        if sample is not None:
            _describe(sample, container)
    yield from _finish(sample, container)


def _key(name: bytes) -> tuple[bytes, str]:
    folder, slash, last = name.rpartition(b"/")
    begin, _, ending = last.partition(b".")
    return folder + slash + begin, ending.decode("utf-8", "replace").lower()


def _take(sample: _Sample, member: Member, ending: str, container: Container) -> Iterator[Item]:
    """Read what describes a sample; yields it where it cannot be taken, as refused."""
    try:
        name = container.name_of(member, by_pattern=False)
        if name is None:
            return
        if member.size > METADATA_BYTES:
            raise RejectedInputError("too_large", f"{member.size} bytes to describe a sample, limit {METADATA_BYTES}")
        data = b"".join(iter(lambda: member.content.read(METADATA_BYTES), b""))  # type: ignore[union-attr]
        sample.texts[ending] = _text(data, ending)
        sample.members.append((Member(name, len(data), io.BytesIO(data), member.mtime, member.etag), name))
    except RejectedInputError as error:
        yield item_of(container.uri, container.path, Member(member.name, member.size, rule=error.rule,
                      reason=error.reason), member.name)  # fmt: skip


def _text(data: bytes, ending: str) -> str:
    """Return what a file says, as JSON: of JSON its own text."""
    try:
        text = data.decode("utf-8")
        if ending.rpartition(".")[2] == "json":
            json.loads(text)
            return text
        return json.dumps(text, ensure_ascii=False)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise RejectedInputError("bad_metadata", f"does not describe a sample: {error}") from error


def _describe(sample: _Sample, container: Container) -> None:
    key = json.dumps(sample.key.decode("utf-8", "replace"), ensure_ascii=False)
    parts = [f"{json.dumps(ending)}: {text}" for ending, text in sample.texts.items()]
    values: dict[str, object] = {ending: json.loads(text) for ending, text in sample.texts.items()}
    for each in list(values.values()):
        values |= each if isinstance(each, dict) else {}
    container.describe(values, "{" + ", ".join([f'"__key__": {key}', *parts]) + "}", sample.described, where="a sample")


def _finish(sample: _Sample | None, container: Container) -> Iterator[Item]:
    if sample is None:
        return
    _describe(sample, container)
    if not sample.files:
        for member, name in sample.members:
            yield item_of(container.uri, container.path, member, name)
