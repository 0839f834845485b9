"""Transforms for tests: worker processes import them by their place."""

from __future__ import annotations

import numpy as np

from lakehouse.deriving.transform import transform
from lakehouse.deriving.values import Made


@transform(version=3, origin="real")
def tiles(pixels, *, side: int = 16):
    """Cut into squares, as many as fit."""
    for top in range(0, pixels.shape[0] - side + 1, side):
        for left in range(0, pixels.shape[1] - side + 1, side):
            yield Made(pixels[top : top + side, left : left + side], (1, 0, -left, 0, 1, -top))


def plain(pixels):
    """Give it back; no transform."""
    return pixels


@transform
def nothing(pixels):
    """Make nothing."""
    return


@transform
def fails(pixels):
    """Fail on bright ones."""
    if pixels.mean() > 128:
        raise ValueError(f"too bright at {hex(id(pixels))}")
    return pixels


@transform
def wrong(pixels):
    """Make what nobody can store."""
    return {"a": 1}


@transform(takes="text", media_types=("text/",), origin="real")
def words(text, *, least: int = 1):
    """Give the words one by one."""
    return [word for word in text.split() if len(word) >= least]


@transform
def mean(pixels):
    """Give the mean colour."""
    return pixels.mean(axis=(0, 1)).astype(np.float32)


@transform(takes="bytes", origin="real")
def same(data):
    """Give it back."""
    return data


@transform
def forever(pixels):
    """Never end."""
    while True:
        yield pixels[:1, :1]


@transform(takes="text", media_types=("text/",))
def emptied(text):
    """Make an empty text."""
    return ""


@transform(takes="text", media_types=("text/",))
def shouted(text, *, scale: float = 1.0):
    """Make a text of capitals."""
    return text.upper()
