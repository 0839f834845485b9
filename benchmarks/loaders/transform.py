"""The photo transform, the same for everyone: decode, torchvision's RandomResizedCrop box, bilinear resize to 224."""

from __future__ import annotations

import math
import random
from typing import Any

import cv2
import numpy as np
import simplejpeg

cv2.setNumThreads(1)

SIZE = 224


def decode_and_crop(jpeg: bytes, generator: random.Random, out: np.ndarray[Any, Any] | None = None) -> Any:
    """Return uint8 RGB of shape (224, 224, 3): all pixels decoded, a random box of them resized."""
    return crop(simplejpeg.decode_jpeg(jpeg, colorspace="RGB"), generator, out)


def crop(image: Any, generator: random.Random, out: np.ndarray[Any, Any] | None = None) -> Any:
    """Return a random box of a decoded picture, resized."""
    top, left, height, width = crop_box(image.shape[0], image.shape[1], generator)
    piece = image[top : top + height, left : left + width]
    return cv2.resize(piece, (SIZE, SIZE), dst=out, interpolation=cv2.INTER_LINEAR)


def crop_box(height: int, width: int, generator: random.Random) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) as torchvision's RandomResizedCrop draws it: scale 0.08-1, ratio 3/4-4/3."""
    area = height * width
    for _ in range(10):
        target = area * generator.uniform(0.08, 1.0)
        ratio = math.exp(generator.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < w <= width and 0 < h <= height:
            return generator.randint(0, height - h), generator.randint(0, width - w), h, w
    w, h = min(width, round(height * 4 / 3)), min(height, round(width / (3 / 4)))
    return (height - h) // 2, (width - w) // 2, h, w
