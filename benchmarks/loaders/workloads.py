"""The data that all loaders read: made once, the same bytes for everyone, named by their SHA-256.

| workload   | rows      | one row                                              | batch |
|------------|-----------|------------------------------------------------------|-------|
| photos256  | 5,000     | JPEG, short side 256, quality 90, ~30 KB; int64 id   |    64 |
| tensors32  | 50,000    | uint8 (3, 32, 32); its first four bytes are the id   |   256 |
| tensors224 | 2,000     | float32 (3, 224, 224); its first number is the id    |    64 |
| tabular    | 2,000,000 | 20 float32; the first is the id                      | 4,096 |
| audit      | 5,003     | uint8 (3, 32, 32), for the order audit               |    16 |

The 5,000 photos are 1,000 distinct pictures, five times over: sample `i` is picture `i % 1000`, with a JPEG comment
that holds `i`, so that no format saves space by finding equal values. They are crops of real pictures (BCCD blood
smears, two photos of scikit-learn), rescaled, mirrored and roughened with noise until their mean size is that of 1,000
real photos of the same short side (29.7 KB).
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import mmap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loaders.places import cache_folder, picture_folder

logger = logging.getLogger(__name__)

DISTINCT_PHOTOS = 1000
SHORT_SIDE = 256
COLUMNS = tuple(f"f{index:02d}" for index in range(20))

_VERSION = 1
_COMMENT = b"\xff\xfe"
_CHUNK_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Workload:
    """What is read.

    Attributes:
        name: As on the command line.
        kind: `photos`, `tensors` or `table`.
        rows: Samples of an epoch.
        batch: Samples of a batch.
        shape: Shape of one delivered sample.
        dtype: Element type of one delivered sample.
    """

    name: str
    kind: str
    rows: int
    batch: int
    shape: tuple[int, ...]
    dtype: str


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("photos256", "photos", 5_000, 64, (224, 224, 3), "uint8"),
        Workload("tensors32", "tensors", 50_000, 256, (3, 32, 32), "uint8"),
        Workload("tensors224", "tensors", 2_000, 64, (3, 224, 224), "float32"),
        Workload("tabular", "table", 2_000_000, 4096, (20,), "float32"),
        Workload("audit", "tensors", 5_003, 16, (3, 32, 32), "uint8"),
    )
}


class Data:
    """The generated data of one workload, opened for reading.

    Attributes:
        workload: What it is the data of.
        sha256: Names the content; written into every result.
        source_bytes: What the samples weigh as they are: JPEG bytes, or elements.
    """

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self._folder = _folder(workload)
        note = json.loads((self._folder / "data.json").read_text())
        self.sha256: str = note["sha256"]
        self.source_bytes: int = note["source_bytes"]

    @cached_property
    def array(self) -> np.ndarray[Any, Any]:
        """All samples of a `tensors` or `table` workload, mapped from the file; shape (rows, *shape)."""
        array: np.ndarray[Any, Any] = np.load(self._folder / "data.npy", mmap_mode="r")
        return array

    @cached_property
    def _photos(self) -> tuple[mmap.mmap, list[int]]:
        with (self._folder / "photos.bin").open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return mapped, np.load(self._folder / "offsets.npy").tolist()

    def photo(self, index: int) -> bytes:
        """Return the JPEG file of sample `index`."""
        mapped, offsets = self._photos
        return mapped[offsets[index] : offsets[index + 1]]


def make_data(workload: Workload) -> Data:
    """Generate what is missing, check the rest against its SHA-256, and return it."""
    folder = _folder(workload)
    note_path = folder / "data.json"
    if note_path.exists():
        if _digest(folder) == json.loads(note_path.read_text())["sha256"]:
            return Data(workload)
        logger.warning("data of %s was altered; made again", workload.name)
        note_path.unlink()
    logger.info("making data workload=%s", workload.name)
    folder.mkdir(parents=True, exist_ok=True)
    make = _make_photos if workload.kind == "photos" else _make_array
    note = make(workload, folder)
    note_path.write_text(json.dumps({**note, "sha256": _digest(folder)}))
    return Data(workload)


def _make_array(workload: Workload, folder: Path) -> dict[str, Any]:
    random = np.random.default_rng(20_26)
    shape = (workload.rows, *workload.shape)
    array = np.lib.format.open_memmap(folder / "data.npy", mode="w+", dtype=workload.dtype, shape=shape)
    for start in range(0, workload.rows, _CHUNK_ROWS):
        rows = array[start : start + _CHUNK_ROWS]
        ids = np.arange(start, start + len(rows))
        if workload.dtype == "uint8":
            rows[:] = random.integers(0, 256, rows.shape, dtype=np.uint8)
            rows.reshape(len(rows), -1)[:, :4] = ids.astype("<u4").view(np.uint8).reshape(-1, 4)
        else:
            rows[:] = random.standard_normal(rows.shape, dtype=np.float32)
            rows.reshape(len(rows), -1)[:, 0] = ids
    array.flush()
    return {"source_bytes": array.nbytes}


def _make_photos(workload: Workload, folder: Path) -> dict[str, Any]:
    pictures = _pictures()
    offsets = [0]
    with (folder / "photos.bin").open("wb") as file:
        distinct = [_photo(pictures, index) for index in range(DISTINCT_PHOTOS)]
        for index in range(workload.rows):
            jpeg = distinct[index % DISTINCT_PHOTOS]
            file.write(jpeg[:2] + _COMMENT + (6).to_bytes(2, "big") + index.to_bytes(4, "big") + jpeg[2:])
            offsets.append(file.tell())
    np.save(folder / "offsets.npy", np.array(offsets))
    return {"source_bytes": offsets[-1], "pictures": len(pictures)}


def _photo(pictures: list[Any], index: int) -> bytes:
    """Return photo `index` as JPEG: a random piece of a real picture, of a usual aspect ratio, with sensor noise."""
    from PIL import Image

    random = np.random.default_rng((1, index))
    # The two detailed photos give half of all pieces, in as many different crops.
    source = pictures[index % 2] if index % 4 < 2 else pictures[int(random.integers(len(pictures)))]
    aspect = float(random.choice([4 / 3, 4 / 3, 3 / 2, 3 / 2, 3 / 4, 2 / 3, 1.0, 16 / 9]))
    height = min(source.height, source.width / aspect) * random.uniform(0.55, 1.0)
    width = height * aspect
    left, top = random.uniform(0, source.width - width), random.uniform(0, source.height - height)
    scale = SHORT_SIDE / min(width, height)
    size = (max(SHORT_SIDE, round(width * scale)), max(SHORT_SIDE, round(height * scale)))
    piece = source.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
    if random.random() < 0.5:
        piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(piece, dtype=np.float32)
    pixels = pixels + random.standard_normal(pixels.shape[:2], dtype=np.float32)[..., None] * random.uniform(*_NOISE)
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


_NOISE = (1.5, 7.3)
"""Range of the standard deviation of the noise, in grey levels; it sets the mean size of a photo."""


def _pictures() -> list[Any]:
    """Return the real pictures: first the two of scikit-learn, then those of BCCD."""
    from PIL import Image

    try:
        from sklearn.datasets import load_sample_images
    except ImportError as error:
        raise RuntimeError("photos are made from pictures of scikit-learn; install the extra `demo`") from error
    pictures = [Image.fromarray(array) for array in load_sample_images().images]
    paths = sorted(picture_folder().glob("*.jpg"))
    if not paths:
        raise RuntimeError("photos are made from BCCD pictures; set PETREL_TEST_DATA to the folder with bccd/")
    return pictures + [Image.open(path).convert("RGB") for path in paths]


def _folder(workload: Workload) -> Path:
    return cache_folder() / "data" / f"{workload.name}-v{_VERSION}"


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name != "data.json":
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
