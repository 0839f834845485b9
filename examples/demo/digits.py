"""The demo's data: scikit-learn's handwritten digits as files, with several sources of labels that disagree.

    images/<digit>/<index>.png     1,797 greyscale images of 8x8 pixels; the folder is the data set's own label
    labels/annotators.csv          three people, with abstentions and answers given again a week later
    labels/apprentice.jsonl        one more person, in a hurry, about half of the images
    labels/crowd.csv               anonymous votes, counted, about every third image
    leftovers/                     a copy of an image, a cut one, an empty one and a web page called .png

The same bytes on every machine; see `examples.demo.annotators` for how the answers are simulated.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from examples.demo.annotators import APPRENTICE, answer_of, answers_of_people, votes_of_crowd
from examples.demo.png import encode_grey
from lakehouse.errors import EnvironmentProblemError

NUM_DIGITS = 1797
GREY_LEVELS = 16
"""Pixels count from 0 (paper) to 16 (ink)."""

STAMP = "_written.json"
CONTENT_VERSION = 1
"""Raised when the files would change: older folders are written again."""


@dataclass(frozen=True, slots=True)
class Digit:
    """One image: its place in the data set, pixels (uint8, 8x8) and the data set's own label."""

    index: int
    pixels: npt.NDArray[np.uint8]
    label: int

    @property
    def path(self) -> str:
        """Path relative to `images/`."""
        return f"{self.label}/{self.index:04d}.png"


def write_digits(folder: Path, *, limit: int = NUM_DIGITS) -> bool:
    """Write the files; those that are there with the same bytes stay untouched.

    Args:
        folder: Where to.
        limit: Only the first `limit` images.

    Returns:
        Whether anything had to be done: False if a complete folder was there.

    Raises:
        EnvironmentProblemError: If scikit-learn is not installed.
    """
    stamp = {"version": CONTENT_VERSION, "images": limit}
    if _stamp_of(folder) == stamp and _count_images(folder / "images") == limit:
        return False
    digits = load_digits(limit)
    for path, content in files_of(digits):
        _write_if_other(folder / path, content)
    _write_if_other(folder / STAMP, json.dumps(stamp).encode())
    return True


def load_digits(limit: int = NUM_DIGITS) -> list[Digit]:
    """Return the first `limit` digits that scikit-learn carries (UCI ML repository, CC BY 4.0)."""
    try:
        from sklearn import datasets
    except ImportError as error:
        raise EnvironmentProblemError(
            "the demo's digits come with scikit-learn, which is not installed; "
            "run: pip install 'petrel-lakehouse[demo]', or give a folder of your own with --data"
        ) from error
    found = datasets.load_digits()
    # Ink dark on paper light, as on the forms they were scanned from.
    grey = np.rint((GREY_LEVELS - found.images) * (255 / GREY_LEVELS)).astype(np.uint8)
    return [Digit(index, grey[index], int(found.target[index])) for index in range(limit)]


def files_of(digits: Sequence[Digit]) -> Iterator[tuple[str, bytes]]:
    """Give (relative path, content) of every file, in a fixed order."""
    for digit in digits:
        yield f"images/{digit.path}", encode_grey(digit.pixels)
    yield "labels/annotators.csv", _annotators_csv(digits)
    yield "labels/apprentice.jsonl", _apprentice_jsonl(digits)
    yield "labels/crowd.csv", _crowd_csv(digits)
    image = encode_grey(digits[0].pixels)
    yield "leftovers/copy of 0000.png", image
    yield "leftovers/cut.png", image[: len(image) // 2]
    yield "leftovers/empty.png", b""
    yield "leftovers/page.png", b"<!doctype html><title>404</title><p>Not found\n"


def _annotators_csv(digits: Sequence[Digit]) -> bytes:
    rows = [
        (digit.path, said.annotator, said.answer, said.said_at.isoformat())
        for digit in digits
        for said in answers_of_people(digit.index, digit.label)
    ]
    return _csv([("image", "annotator", "answer", "said_at"), *rows])


def _apprentice_jsonl(digits: Sequence[Digit]) -> bytes:
    lines = []
    for digit in digits:
        said = answer_of(APPRENTICE, digit.index, digit.label)
        if said is not None:
            record = {
                "subject": digit.path,
                "actor": f"human:{said.annotator}",
                "label": said.answer,
                "confidence": said.confidence,
                "event_time": said.said_at.isoformat(),
            }
            lines.append(json.dumps(record) + "\n")
    return "".join(lines).encode()


def _crowd_csv(digits: Sequence[Digit]) -> bytes:
    rows = [
        (digit.path, label, str(votes))
        for digit in digits
        for label, votes in votes_of_crowd(digit.index, digit.label).items()
    ]
    return _csv([("image", "label", "count"), *rows])


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _stamp_of(folder: Path) -> object:
    try:
        return json.loads((folder / STAMP).read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _count_images(folder: Path) -> int:
    return sum(1 for _ in folder.glob("*/*.png")) if folder.is_dir() else 0


def _write_if_other(path: Path, content: bytes) -> None:
    # An untouched file keeps its time, and `land` need not read it again.
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)
