"""A dataset that has every kind of column, its truth by other means than the loader, and ways to break it."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders import Field, Layout, write_dataset
from loaders.reading.pages import _struct
from tests.loaders.samples import pixels, png

SIDE = 260
"""Arrays of SIDE x SIDE float32 are read straight from the file: more than 256 KiB."""

FIELDS = (
    Field("entity_id", pa.string()),
    Field("number", pa.int64()),
    Field("flag", pa.bool_()),
    Field("ratio", pa.float32(), nullable=True),
    Field("at", pa.timestamp("us", "UTC")),
    Field("soft", pa.list_(pa.float32()), shape=(3,)),
    Field("image", pa.binary(), codec="image", shape=(6, 5, 3)),
    Field("photo", pa.binary(), codec="image", shape=(None, None, 3), nullable=True),
    Field("small", pa.binary(), codec="ndarray", shape=(4, 8), dtype="float32"),
    Field("large", pa.binary(), codec="ndarray", shape=(SIDE, SIDE), dtype="float32"),
    Field("text", pa.string(), nullable=True),
    Field("words", pa.list_(pa.string())),
    Field("points", pa.list_(pa.float64())),
    Field("votes", pa.map_(pa.string(), pa.int64()), nullable=True),
    Field("npy", pa.binary(), codec="npy", shape=(None, 4), dtype="float32"),
    Field("sound", pa.binary(), codec="audio", shape=(None, 1)),
    Field("raw", pa.binary()),
)
DAY = datetime(2024, 1, 1, tzinfo=UTC)


def wave(number: int) -> np.ndarray:
    """The recording of a row: int16 (40 + number,)."""
    return (np.arange(40 + number) * 97 * (number + 1) % 2000).astype(np.int16)


def truth_of(number: int) -> dict[str, Any]:
    """What the loader is to deliver for a row."""
    return {
        "entity_id": f"id-{number:04d}",
        "number": number,
        "flag": number % 3 == 0,
        "ratio": None if number % 4 == 0 else np.float32(number / 8),
        "at": np.datetime64((DAY + timedelta(seconds=number)).replace(tzinfo=None), "us"),
        "soft": np.array([0.25, number / 8, 1], np.float32),
        "image": pixels(number),
        "photo": None if number % 5 == 0 else np.repeat(pixels(number), 1 + number % 3, axis=0),
        "small": np.arange(32, dtype=np.float32).reshape(4, 8) + number,
        "large": (np.arange(SIDE * SIDE, dtype=np.float32) * (number + 1)).reshape(SIDE, SIDE),
        "text": None if number % 6 == 0 else f"word {number % 3}",
        "words": [f"w{number}"] * (number % 3),
        "points": np.arange(number % 4, dtype=np.float64) + number,
        "votes": None if number % 7 == 0 else {"cat": number, "dog": 1},
        "npy": np.full((number % 3, 4), number, np.float32),
        "sound": (wave(number).astype(np.float32) / 32768)[:, None],
        "raw": bytes([number]) * (number % 4),
    }


def _stored(number: int) -> dict[str, Any]:
    import soundfile

    row = truth_of(number)
    stream, sound = io.BytesIO(), io.BytesIO()
    np.save(stream, row["npy"])
    soundfile.write(sound, wave(number), 8000, format="WAV", subtype="PCM_16")
    return row | {
        "ratio": None if row["ratio"] is None else float(row["ratio"]),
        "at": DAY + timedelta(seconds=number),
        "image": png(row["image"]),
        "photo": None if row["photo"] is None else png(row["photo"]),
        "small": row["small"].tobytes(),
        "large": row["large"].tobytes(),
        "npy": stream.getvalue(),
        "sound": sound.getvalue(),
    }


def write_everything(folder: Path, rows: int, *, columns: set[str] | None = None) -> Path:
    """Publish rows with these columns (all by default), five in a row group; return the folder of the split."""
    fields = [field for field in FIELDS if columns is None or field.name in columns]
    size = 6_000 + (5 * SIDE * SIDE * 4 if columns is None or "large" in columns else 0)
    data = [{name: value for name, value in _stored(n).items() if columns is None or name in columns}
            for n in range(rows)]  # fmt: skip
    write_dataset(data, fields, folder, layout=Layout(row_group_bytes=size, part_bytes=3 * size))
    return folder / "train"


def wrong_cells(batch: dict[str, Any]) -> list[str]:
    """Return what of a batch is not as published, padding aside; rows are known by their number."""
    wrong = []
    pad = batch.get("is_pad", np.zeros(len(batch["number"]), bool))
    for at in np.flatnonzero(~pad).tolist():
        number = int(batch["number"][at])
        if not 0 <= number < 250:
            wrong.append(f"number {number}")
            continue
        truth = truth_of(number)
        for name in batch.keys() - {"is_pad", "_sample_seed"}:
            found, wanted = batch[name][at], truth[name]
            if wanted is None:
                good = found is None or found is np.ma.masked or bool(np.ma.getmaskarray(found).all())
            elif isinstance(wanted, np.ndarray):
                good = found is not None and found.shape == wanted.shape and found.dtype == wanted.dtype
                good = good and not np.ma.getmaskarray(found).any() and bool((np.ma.getdata(found) == wanted).all())
            else:
                good = found is not np.ma.masked and found is not None and bool(found == wanted)
            if not good:
                wrong.append(f"{name} of {number}: {found!r}"[:200])
    return wrong


def places(part: Path) -> list[tuple[int, str, list[tuple[int, int]], list[tuple[int, int]]]]:
    """Return (row group, column, byte ranges of page headers, byte ranges of page bodies) of a file."""
    raw = memoryview(part.read_bytes())
    metadata = pq.read_metadata(part)
    found = []
    for group in range(metadata.num_row_groups):
        described = metadata.row_group(group)
        for index in range(described.num_columns):
            column = described.column(index)
            at = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
            end = at + column.total_compressed_size
            heads, bodies = [], []
            while at < end:
                header, size = _struct(raw[at:end], 0, 0)
                heads.append((at, at + size))
                bodies.append((at + size, at + size + header[3]))
                at += size + header[3]
            found.append((group, column.path_in_schema.split(".")[0], heads, bodies))
    return found


def flip(path: Path, bit: int) -> None:
    """Change one bit of a file."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        old = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([old ^ (1 << bit % 8)]))


def edit_manifest(train: Path, **changes: Any) -> None:
    """Change entries of the manifest of a split."""
    path = train / "_manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
