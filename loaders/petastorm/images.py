"""Pictures as Petastorm's image codec stores them: grey or RGB as they are in the file, nothing converted."""

from __future__ import annotations

import io
import math
import struct

import numpy as np
import pyarrow as pa
from isal import isal_zlib
from PIL import Image

from loaders.axes import Array
from loaders.decoding.arrays import blobs, each
from loaders.decoding.pictures import StoredForm, decode_stored, stored_form
from loaders.decoding.png import PngHeader, are_alike, read_pngs
from loaders.errors import DecodeError

MAX_PIXELS = 40_000_000
"""A picture with more is refused before memory is taken."""

_SMALL = 16 << 10
"""PNGs with no more bytes of pixels are read many at once: 8 x 8 RGB in 1 us each, not in 5, 32 x 32 in 11, not in 15.
Of larger ones, unpacking takes nearly all of the time, which is the same one by one."""
_AT_ONCE = 4096
"""PNGs that are handed over together."""
_KINDS = {"png": "PNG", "jpeg": "JPEG", "jpg": "JPEG", "bmp": "BMP", "webp": "WEBP", "tiff": "TIFF", "tif": "TIFF"}


def encode(pixels: Array, kind: str, quality: int) -> bytes:
    """Return a picture, (H, W) or (H, W, 3), as a file.

    Raises:
        ValueError: If such pixels cannot be stored as this kind of file.
    """
    name = _KINDS.get(kind.lower())
    if name is None:
        raise ValueError(f"unknown image codec {kind!r}; known: {', '.join(_KINDS)}")
    if pixels.dtype not in (np.uint8, np.uint16) or (pixels.dtype == np.uint16 and name != "PNG") or not pixels.size:
        raise ValueError(f"pixels of {pixels.dtype}, of shape {pixels.shape}, cannot be stored as {kind}")
    if name == "PNG":
        return _png(pixels)
    file = io.BytesIO()
    kinds: dict[str, dict[str, int]] = {"JPEG": {"quality": quality}, "WEBP": {"lossless": True}}
    options = kinds.get(name, {})
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, name, **options)
    return file.getvalue()


def _png(pixels: Array) -> bytes:
    """Return a PNG, of 16 bits and three channels too, which Pillow does not write.

    Bytes are stored as their difference from those of the pixel to the left, packed by ISA-L at level 1: 1 ms for 224 x
    224 RGB, where Pillow takes 4 to 10, and about as small.
    """
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">"))).view(np.uint8).reshape(height, -1)
    step = rows.shape[1] // width
    filtered = np.full((height, 1 + rows.shape[1]), 1, dtype=np.uint8)  # the byte before each row: filter 1, "Sub"
    filtered[:, 1 : 1 + step] = rows[:, :step]
    np.subtract(rows[:, step:], rows[:, :-step], out=filtered[:, 1 + step :])
    header = struct.pack(">II5B", width, height, 8 * pixels.itemsize, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", isal_zlib.compress(filtered.data, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + name + body + isal_zlib.crc32(name + body).to_bytes(4, "big")
        for name, body in chunks
    )


def decode(raw: memoryview) -> Array:
    """Return the pixels of a file, C-contiguous.

    Raises:
        DecodeError: If it is no picture, a damaged one, too large, or neither grey nor RGB.
    """
    return _new(raw, _form(raw))


def decode_all(values: pa.Array) -> Array | list[Array]:
    """Return pictures, none of them null, as one array (n, H, W[, 3]) if all have one form, else one array each.

    Raises:
        DecodeError: As `decode`; its `row` says which.
    """
    block = _alike(values)
    if block is not None:
        return block
    forms = each(values, _form)
    if not forms or any(form[:2] != forms[0][:2] for form in forms):
        rest = iter(forms)
        return each(values, lambda raw: _new(raw, next(rest)))
    block = np.empty((len(forms), *forms[0].shape), dtype=forms[0].dtype)
    places = zip(forms, block, strict=True)
    each(values, lambda raw: decode_stored(raw, *next(places), max_pixels=MAX_PIXELS))
    return block


def _alike(values: pa.Array) -> Array | None:
    """Return small PNGs of one form as one array; None if they are others, or of several forms."""
    data, offsets = blobs(values)
    places = offsets.astype(np.int64)
    if len(places) < 2 or not are_alike(data, places):
        return None
    raw = memoryview(data)  # type: ignore[arg-type]
    row = 0
    try:
        form = _form(raw[places[0] : places[1]])
        is_small = math.prod(form.shape) * form.dtype.itemsize <= _SMALL
        if not isinstance(form.header, PngHeader) or not is_small:
            return None
        block = np.empty((len(values), *form.shape), dtype=form.dtype)
        while row < len(block):
            end = row + _AT_ONCE
            row += read_pngs(data, places[row : end + 1], form.header, block[row:end])
            if row < min(end, len(block)):  # damaged, or of a kind that Pillow reads
                file = raw[places[row] : places[row + 1]]
                found = _form(file)
                if found[:2] != form[:2]:
                    return None
                decode_stored(file, found, block[row], max_pixels=MAX_PIXELS)
                row += 1
    except DecodeError as error:
        error.row = row
        raise
    return block


def _form(raw: memoryview) -> StoredForm:
    form = stored_form(raw)
    if form.shape[0] * form.shape[1] > MAX_PIXELS:
        raise DecodeError(f"{form.shape[1]}x{form.shape[0]} pixels are more than {MAX_PIXELS:,}")
    return form


def _new(raw: memoryview, form: StoredForm) -> Array:
    out = np.empty(form.shape, dtype=form.dtype)
    decode_stored(raw, form, out, max_pixels=MAX_PIXELS)
    return out
