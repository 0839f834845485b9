"""Pictures as Petastorm's image codec stores them: grey or RGB as they are in the file, nothing converted."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from loaders.decoding.arrays import each
from loaders.decoding.pictures import decode_stored, stored_form
from loaders.errors import DecodeError

MAX_PIXELS = 40_000_000
"""A picture with more is refused before memory is taken."""

_KINDS = {"png": "PNG", "jpeg": "JPEG", "jpg": "JPEG", "bmp": "BMP", "webp": "WEBP", "tiff": "TIFF", "tif": "TIFF"}


def encode(pixels: NDArray[Any], kind: str, quality: int) -> bytes:
    """Return a picture, (H, W) or (H, W, 3), as a file.

    Raises:
        ValueError: If such pixels cannot be stored as this kind of file.
    """
    if kind.lower() not in _KINDS:
        raise ValueError(f"unknown image codec {kind!r}; known: {', '.join(_KINDS)}")
    file = io.BytesIO()
    options: dict[str, Any] = {"quality": quality} if kind.lower() in ("jpeg", "jpg") else {}
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, _KINDS[kind.lower()], **options)
    return file.getvalue()


def decode(raw: memoryview) -> NDArray[Any]:
    """Return the pixels of a file, C-contiguous.

    Raises:
        DecodeError: If it is no picture, a damaged one, too large, or neither grey nor RGB.
    """
    return _new(raw, *_form(raw))


def decode_all(values: pa.Array) -> NDArray[Any] | list[NDArray[Any]]:
    """Return pictures, none of them null, as one array (n, H, W[, 3]) if all have one form, else one array each.

    Raises:
        DecodeError: As `decode`; its `row` says which.
    """
    forms = each(values, _form)
    if not forms or any(form != forms[0] for form in forms):
        return each(values, decode)
    shape, dtype = forms[0]
    block = np.empty((len(forms), *shape), dtype=dtype)
    rows = iter(block)
    each(values, lambda raw: decode_stored(raw, next(rows), max_pixels=MAX_PIXELS))
    return block


def _form(raw: memoryview) -> tuple[tuple[int, ...], np.dtype[Any]]:
    shape, dtype = stored_form(raw)
    if shape[0] * shape[1] > MAX_PIXELS:
        raise DecodeError(f"{shape[1]}x{shape[0]} pixels are more than {MAX_PIXELS:,}")
    return shape, dtype


def _new(raw: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    out = np.empty(shape, dtype=dtype)
    decode_stored(raw, out, max_pixels=MAX_PIXELS)
    return out
