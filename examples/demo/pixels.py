"""From the reader's images, of any size, to one array of equal squares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def input_form(images: Sequence[Pixels], *, max_side: int) -> tuple[int, int]:
    """Return (side, channels) that suit a batch: the median longer side, at most `max_side` and a multiple of 8.

    One channel if every image is grey, else three.
    """
    longest = float(np.median([max(image.shape[:2]) for image in images]))
    side = int(min(max_side, max(8, -(-longest // 8) * 8)))
    return side, 1 if all(_is_grey(image) for image in images) else 3


def squares(images: Sequence[Pixels], *, side: int, channels: int) -> Pixels:
    """Return uint8 (batch, side, side, channels); what has another shape is stretched, alpha is dropped."""
    # batch: (images, rows, columns, channels).
    batch = np.empty((len(images), side, side, channels), dtype=np.uint8)
    for place, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)
        picture = picture.convert("L" if channels == 1 else "RGB")
        if picture.size != (side, side):
            picture = picture.resize((side, side), Image.Resampling.BILINEAR)
        batch[place] = np.asarray(picture).reshape(side, side, channels)
    return batch


def _is_grey(image: Pixels) -> bool:
    return image.ndim == 2 or image.shape[2] == 1
