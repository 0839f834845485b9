"""Small real datasets: PNG pictures whose pixels, ids and labels all follow from one number."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from loaders import Field, Layout

FIELDS = (
    Field("entity_id", pa.string()),
    Field("image", pa.binary(), codec="image", shape=(6, 5, 3)),
    Field("label_index", pa.int64()),
    Field("weight", pa.float64(), nullable=True),
    Field("soft", pa.list_(pa.float32()), shape=(3,)),
    Field("votes", pa.map_(pa.string(), pa.int64()), nullable=True),
    Field("number", pa.int64()),
)
SMALL = Layout(row_group_bytes=2_000, part_bytes=6_000)
"""About eight rows in a row group, three row groups in a file."""


def pixels(number: int) -> np.ndarray:
    """The picture of sample `number`: uint8 (6, 5, 3)."""
    return ((np.arange(90).reshape(6, 5, 3) * 7 + number * 13) % 256).astype(np.uint8)


def png(array: np.ndarray) -> bytes:
    """Encode a picture."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def rows_of(count: int, *, split: str = "train") -> list[dict[str, Any]]:
    """Return `count` samples."""
    return [
        {
            "entity_id": f"id-{number:04d}",
            "split": split,
            "image": png(pixels(number)),
            "label_index": number % 10,
            "weight": None if number % 7 == 0 else number / 2,
            "soft": [0.25, 0.5, number / 8],
            "votes": {"cat": number, "dog": 1},
            "number": number,
        }
        for number in range(count)
    ]


def numbers_of(batch: dict[str, Any]) -> list[int]:
    """Return the real samples of a batch."""
    keep = ~batch["is_pad"] if "is_pad" in batch else slice(None)
    return [int(number) for number in batch["number"][keep]]


STORED = (Field("entity_id", pa.string()), Field("image", pa.binary(), codec="image", shape=(6, 5, 3)),
          Field("number", pa.int64()))  # fmt: skip


def read_png(uri: str) -> bytes:
    """The bytes behind png:<number>: what an object store would give."""
    return png(pixels(int(uri.removeprefix("png:"))))


def small_rows(count: int) -> pa.Table:
    """Rows without bytes, as a query over the members of a dataset gives them."""
    numbers = range(count)
    return pa.table(
        {
            "entity_id": [f"id-{n:04d}" for n in numbers],
            "split": ["test" if n % 5 == 0 else "train" for n in numbers],
            "bytes": [len(read_png(f"png:{n}")) for n in numbers],
            "object_uri": [f"png:{n}" for n in numbers],
            "number": pa.array(numbers, pa.int64()),
            "unused": ["x"] * count,
        }
    )
