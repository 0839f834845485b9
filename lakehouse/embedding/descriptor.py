"""descriptor: a vector of colours and edges of a picture, without weights, the same on every machine.

Of the picture at 64 x 64 px (area average): the mean RGB of 4 x 4 cells (48 numbers), and of 4 x 4 cells the strength
of luma's gradients in 8 directions (128 numbers, each cell scaled to length 1 where it has edges: histograms of
oriented gradients, Dalal and Triggs 2005, without blocks). Both halves are scaled to length 1: cosine similarity is
the mean of theirs. It finds scenes that look alike; what things are it does not know.

Legend: N pictures, H, W rows and columns of pixels, G cells, C channels, B directions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lakehouse.embedding.embedder import Embedder, Floats, Model
from lakehouse.media.view import ImageView

SIDE_PX, CELLS, DIRECTIONS = 64, 4, 8
LENGTH = CELLS * CELLS * (3 + DIRECTIONS)

_LUMA = np.array([299, 587, 114], np.int64)
_CELL_PX = SIDE_PX // CELLS
# Directions are told apart by the signs of dx, dy and |dx| - |dy|: whole numbers, no arctangent of some library.


def prepare(view: ImageView) -> npt.NDArray[np.uint8]:
    """Return the picture at 64 x 64 px; uint8 (64, 64, 3)."""
    return np.asarray(view.picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX), np.uint8)


def described(pictures_NHWC: npt.NDArray[np.uint8]) -> Floats:
    """Return the descriptors of pictures; float32, shape (n, 176)."""
    pixels = pictures_NHWC.astype(np.int64)
    colours_NGC = _summed(pixels).reshape(len(pixels), -1)
    luma_NHW = pixels @ _LUMA
    across = np.zeros_like(luma_NHW)
    down = np.zeros_like(luma_NHW)
    across[:, :, 1:-1] = luma_NHW[:, :, 2:] - luma_NHW[:, :, :-2]
    down[:, 1:-1, :] = luma_NHW[:, 2:, :] - luma_NHW[:, :-2, :]
    strength = np.abs(across) + np.abs(down)
    direction = 4 * (across < 0) + 2 * (down < 0) + (np.abs(across) < np.abs(down))
    edges_NHWB = strength[..., None] * (direction[..., None] == np.arange(DIRECTIONS))
    cells_NGB = _scaled(_summed(edges_NHWB).reshape(len(pixels), CELLS * CELLS, DIRECTIONS).astype(np.float64))
    halves = (_scaled(colours_NGC.astype(np.float64)), _scaled(cells_NGB.reshape(len(pixels), -1)))
    return np.concatenate(halves, axis=1).astype(np.float32)


def _summed(values_NHWK: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    n, _, _, k = values_NHWK.shape
    cells: npt.NDArray[np.int64] = values_NHWK.reshape(n, CELLS, _CELL_PX, CELLS, _CELL_PX, k).sum(axis=(2, 4))
    return cells


def _scaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return vectors of length 1; what is zero stays zero."""
    length = np.sqrt((values * values).sum(axis=-1, keepdims=True))
    scaled: npt.NDArray[np.float64] = np.divide(values, length, out=np.zeros_like(values), where=length > 0)
    return scaled


def _load(device: str, weights: Path | None) -> Model:
    if device != "cpu":
        raise ValueError("it runs on the cpu alone; leave --device out")
    def model(pictures: npt.NDArray[Any]) -> Floats:
        return described(pictures)

    return model


DESCRIPTOR = Embedder("descriptor", 1, ("image/",), prepare, _load)
