"""What it costs to move boxes and masks with their pictures, beside the same batches with nothing to move.

    python -m benchmarks.loaders.objects --pictures 400 --rounds 5

JPEGs of 640 x 480 with 13 boxes each, as BCCD's have, and 4 masks, published twice: with the geometry in the manifest,
and without, as folders of before. Readers take turns, an epoch each, all of them with one thread and the same crops;
the first epoch of each is warm-up. Figures are processor seconds, which other work on the machine changes less, and
ratios to the reader of pictures alone in the same run.

`--plain-only` measures that reader alone, for a comparison with another commit of the loader: run it there, too.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from loaders import Field, ReadOptions, Shuffle, make_reader, write_dataset
from loaders.decoding.decoders import RandomResizedCrop

HEIGHT, WIDTH, BOXES, MASKS = 480, 640, 13, 4
PICTURES = (Field("entity_id", pa.string()), Field("image", pa.binary(), codec="image", shape=(None, None, 3)))


def main() -> None:
    """Publish the pictures, let the readers take turns, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain-only", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        folders, cases = publish(Path(home), arguments.pictures, plain=arguments.plain_only), CASES
        if arguments.plain_only:
            cases = {PLAIN: CASES[PLAIN]}
        readers = {
            name: stack.enter_context(
                make_reader(
                    folders[folder], batch_size=32, columns=["image", *columns], shuffle=Shuffle(seed=1),
                    decoders={"image": RandomResizedCrop(224, scale=(0.3, 1.0), flip=0.5)},
                    options=ReadOptions(pool="inline", **options),
                )
            ) for name, (folder, columns, options) in cases.items()
        }  # fmt: skip
        took: dict[str, list[float]] = {name: [] for name in readers}
        for turn in range(arguments.rounds + 1):
            for name, reader in readers.items():
                started = time.process_time()
                for _ in reader:
                    pass
                if turn:
                    took[name].append(time.process_time() - started)
        for name, seconds in took.items():
            ratio = statistics.median(one / other for one, other in zip(seconds, took[PLAIN], strict=True))
            each = 1e6 * statistics.median(seconds) / arguments.pictures
            sys.stdout.write(f"{name:42} {each:8.0f} us of processor a picture   {ratio:5.2f} x\n")


PLAIN = "pictures"
BOX_COLUMNS = ["boxes", "box_labels"]
CASES: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    PLAIN: ("still", [], {}),
    "pictures of a folder with geometry": ("moving", [], {}),
    "with boxes that do not move": ("still", BOX_COLUMNS, {}),
    "with boxes that move": ("moving", BOX_COLUMNS, {}),
    "with boxes that move, padded": ("moving", BOX_COLUMNS, {"pad_to": {"boxes": 20}}),
    "with masks that do not move": ("still", ["masks"], {}),
    "with masks that move": ("moving", ["masks"], {}),
}
"""Reader -> which folder, columns beside the picture, options."""


def publish(home: Path, count: int, *, plain: bool) -> dict[str, Path]:
    """Write the pictures with geometry in the manifest and without; return the folders of the splits."""
    random = np.random.default_rng(0)
    rows = [row(random, number) for number in range(count)]
    if plain:
        write_dataset(rows, PICTURES, home / "still", seed=1)
        return {"still": home / "still" / "train"}
    moving = (*PICTURES, *objects())
    still = tuple(replace(field, geometry=None, objects=None) for field in moving)
    write_dataset(rows, moving, home / "moving", seed=1)
    write_dataset(rows, still, home / "still", seed=1)
    return {name: home / name / "train" for name in ("still", "moving")}


def objects() -> tuple[Field, ...]:
    """The columns that lie in the pictures."""
    from loaders.format.geometry import Geometry

    return (
        Field("boxes", pa.binary(), codec="npy", shape=(None, 4), dtype="float32", geometry=Geometry("xyxy"),
              objects="boxes"),
        Field("box_labels", pa.list_(pa.int64()), shape=(None,), objects="boxes"),
        Field("masks", pa.binary(), codec="coco_rle", geometry=Geometry("masks"), objects="masks"),
    )  # fmt: skip


def row(random: np.random.Generator, number: int) -> dict[str, object]:
    """One picture of soft noise, boxes, and masks that are discs."""
    small = Image.fromarray(random.integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8))
    picture = io.BytesIO()
    small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(picture, "JPEG", quality=90)
    low = random.uniform((0, 0), (WIDTH - 110, HEIGHT - 110), (BOXES, 2))
    boxes = io.BytesIO()
    np.save(boxes, np.concatenate([low, low + random.uniform(30, 110, (BOXES, 2))], axis=1).astype(np.float32))
    discs = [disc(random) for _ in range(MASKS)]
    return {
        "entity_id": f"{number:06}", "image": picture.getvalue(), "boxes": boxes.getvalue(),
        "box_labels": random.integers(0, 3, BOXES).tolist(),
        "masks": json.dumps({"size": [HEIGHT, WIDTH], "counts": discs}).encode(),
    }  # fmt: skip


def disc(random: np.random.Generator) -> str:
    """COCO's text for the runs of a disc."""
    radius, x, y = random.uniform(20, 60), random.uniform(70, WIDTH - 70), random.uniform(70, HEIGHT - 70)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    flat = ((columns - x) ** 2 + (rows - y) ** 2 < radius**2).T.reshape(-1).astype(np.int8)
    lengths = np.diff([0, *(np.flatnonzero(np.diff(flat)) + 1), len(flat)]).tolist()
    text = ""
    for at, length in enumerate(lengths):
        value = length - lengths[at - 2] if at > 2 else length
        while True:
            group, value = value & 31, value >> 5
            is_last = value == (-1 if group & 16 else 0)
            text += chr(48 + group + (0 if is_last else 32))
            if is_last:
                break
    return text


if __name__ == "__main__":
    main()
