"""The one size of all pictures of a dataset, from their headers: what lets a reader give them as one array."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import pyarrow as pa

from lakehouse.derived.identity import FRAME
from lakehouse.derived.places import read_place
from lakehouse.derived.reading import read_by
from lakehouse.home import Root
from lakehouse.lake import Lake
from lakehouse.media.kinds.registry import Judges, judges_of
from lakehouse.objects import read_bytes
from loaders.decoding.verdict import DecodeError, picture_size

HEADS = (4 << 10, 64 << 10)
"""Bytes that hold the header of most pictures, and of nearly all; where they do not (a long profile, an index at the
end) all bytes are read."""

FIRST = 64
"""Pictures that are looked at before a pool is asked: most datasets of several sizes show it here."""

PER_TASK = 2_000

SIZES = pa.schema([pa.field("height", pa.int32()), pa.field("width", pa.int32())])

Size = tuple[int, int]


def common_size(lake: Lake, places: Sequence[str]) -> Size | None:
    """Return (height, width) if all pictures have it; None if they differ, or one has a header that nobody reads.

    A function of the bytes alone: what was measured before, or on which machine, changes no published folder.

    Args:
        lake: The lake.
        places: As `read_derived` takes them, of each picture.

    Raises:
        IngestError: If an object is missing.
    """
    places = _of_one_video(places)
    root, judges = lake.home, judges_of(lake.config)
    found = {_size(root, place, judges) for place in places[:FIRST]}
    if len(found) == 1 and len(places) > FIRST:
        rest = pa.table({"place": pa.array(places[FIRST:], pa.string())})
        sizes = lake.engine.map_batches(
            lake.engine.from_arrow(rest), functools.partial(sizes_of, root=root, judges=judges), SIZES,
            rows_per_task=PER_TASK, label="sizes of pictures",
        )  # fmt: skip
        table = lake.engine.arrow(sizes)
        pairs = zip(table["height"].to_pylist(), table["width"].to_pylist(), strict=True)
        found |= {None if None in pair else pair for pair in pairs}
    return found.pop() if len(found) == 1 else None


def sizes_of(batches: Iterator[pa.RecordBatch], *, root: Root, judges: Judges) -> Iterator[pa.RecordBatch]:
    """Yield the different sizes of the pictures of each batch of places."""
    for batch in batches:
        found = {_size(root, place, judges) or (None, None) for place in batch.column("place").to_pylist()}
        rows = [{"height": height, "width": width} for height, width in found]
        yield pa.RecordBatch.from_pylist(rows, schema=SIZES)


def _of_one_video(places: Sequence[str]) -> list[str]:
    """Return the places, of the frames of each video one: they are as large as its first."""
    found: dict[str, str] = {}
    for place in places:
        derived = read_place(place)
        found.setdefault(derived.parent if derived.operation == FRAME else place, place)
    return list(found.values())


def _size(root: Root, place: str, judges: Judges) -> Size | None:
    if read_place(place).operation:
        return picture_size(memoryview(read_by(root, place, judges)))
    uri = place.rpartition("#")[0]
    for most in (*HEADS, None):
        head = read_bytes(root, uri, most=most)
        try:
            return picture_size(memoryview(head))
        except DecodeError:
            if most is None or len(head) < most:
                return None
    return None
