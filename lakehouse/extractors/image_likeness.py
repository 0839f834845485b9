"""image_likeness: hashes by which pictures are compared with one another, of the whole and of what a crop would leave.

Measured on luma of `ImageView.picture`, reduced to 128 x 128 px at most. Each hash stands five times: of the whole, and
of the four windows of 95 % of width and height at its corners (upper left, upper right, lower left, lower right). A
picture that was cut by up to 5 % looks as one of the windows of the other does. Everything is integers: the same
pixels give the same digits on every machine.

Legend: V views (the whole and four windows), H, W pixels, U, F vertical and horizontal frequencies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.view import ImageView

VIEWS = 5
WHOLE, WINDOW = 0, 0.95
PHASH_BITS, EDGE_BITS = 64, 144

_BASE_PX = 128
_SIDE, _KEPT = 32, 8
_CELLS, _CELL_PX = 9, 4
_SCALE = 1 << 12
_COSINES_UH = np.round(
    np.cos(np.pi * (2 * np.arange(_SIDE)[None, :] + 1) * np.arange(_KEPT)[:, None] / (2 * _SIDE)) * _SCALE
).astype(np.int64)
_FLAT = 4 * (_SIDE * _SIDE // 4 * _SCALE) ** 2
"""Sum of squares of the coefficients, less one factor of the scale, of a picture whose coarse luma has a standard
deviation of 1 of 255: below it, bits are those of noise."""


def measure_likeness(view: ImageView) -> Mapping[str, Value]:
    """Return the values of `IMAGE_LIKENESS` for one image; none of a flat picture, which is like every other.

    Raises:
        RejectedInputError: truncated or undecodable.
    """
    luma = view.luma_picture
    width, height = (min(side, _BASE_PX) for side in luma.size)
    if luma.size != (width, height):
        luma = luma.resize((width, height), Image.Resampling.BOX)
    phashes: list[str] = []
    edges: list[str] = []
    for box in _windows(width, height):
        coefficients_UF = _transformed(luma, box)
        if not phashes and _is_flat(coefficients_UF):
            return {}
        phashes.append(_hex(np.concatenate([[False], coefficients_UF.ravel()[1:] > 0])))
        edges.append(_hex(_edges(luma, box)))
    return {"phash": "".join(phashes), "edge_hash": "".join(edges)}


def _windows(width: int, height: int) -> Iterator[tuple[float, float, float, float]]:
    yield 0, 0, width, height
    for top in (0, 1 - WINDOW):
        for left in (0, 1 - WINDOW):
            yield left * width, top * height, (left + WINDOW) * width, (top + WINDOW) * height


def _resized(luma: Image.Image, side: int, box: tuple[float, float, float, float]) -> npt.NDArray[np.int64]:
    return np.asarray(luma.resize((side, side), Image.Resampling.BILINEAR, box=box)).astype(np.int64)


def _transformed(luma: Image.Image, box: tuple[float, float, float, float]) -> npt.NDArray[np.int64]:
    """Return the lowest coefficients of the cosine transform of a window; int64, shape (8, 8)."""
    found: npt.NDArray[np.int64] = _COSINES_UH @ _resized(luma, _SIDE, box) @ _COSINES_UH.T
    return found


def _is_flat(coefficients_UF: npt.NDArray[np.int64]) -> bool:
    varying = coefficients_UF.ravel()[1:] // _SCALE
    return int((varying * varying).sum()) < _FLAT


def _edges(luma: Image.Image, box: tuple[float, float, float, float]) -> npt.NDArray[np.bool_]:
    """Return which of 9 x 9 cells of a window are darker than their right, then than their lower neighbour; (144,)."""
    pixels_HW = _resized(luma, _CELLS * _CELL_PX, box)
    # (rows of cells, pixels, columns of cells, pixels)
    cells = pixels_HW.reshape(_CELLS, _CELL_PX, _CELLS, _CELL_PX).sum(axis=(1, 3))
    return np.concatenate([(cells[:, :-1] < cells[:, 1:]).ravel(), (cells[:-1] < cells[1:]).ravel()])


def _hex(bits: npt.NDArray[np.bool_]) -> str:
    return np.packbits(bits).tobytes().hex()


IMAGE_LIKENESS = Extractor(
    name="image_likeness",
    version=1,
    media_types=("image/",),
    function=measure_likeness,
    dimensions=(
        Dimension("phash", "text", "Perceptual hash: which of the 63 lowest coefficients of the cosine transform of Y "
                  "at 32 x 32 are positive; 64 bits as 16 hex digits, of the whole picture and of its four corner "
                  "windows of 95 %. Near-duplicates differ in few bits of one pair of views. No value: flat."),
        Dimension("edge_hash", "text", "Which of 9 x 9 cells of Y are darker than their right and their lower "
                  "neighbour: 144 bits as 36 hex digits, of the views of `phash`; confirms it. No value: flat."),
    ),
)
"""Version 1."""
