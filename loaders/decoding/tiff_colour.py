"""TIFF in colour, of 16 bits: Pillow cuts it to 8 bits but reads grey whole, so it is shown a grey one.

The samples of a pixel stand side by side, as grey pixels of a row three times as wide would. The file gets a second
directory that says so, with the same strips or tiles; what was stored as differences is added up afterwards.
"""

from __future__ import annotations

import struct

import numpy as np
from PIL import TiffImagePlugin

from loaders.axes import Array
from loaders.decoding.containers import Raw
from loaders.errors import DecodeError

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_SAMPLES, _PLANAR, _PREDICTOR, _TILE_WIDTH, _FORMAT = 277, 284, 317, 322, 339
_SAME = frozenset((_HEIGHT, _COMPRESSION, 266, 273, 278, 279, 323, 324, 325))
"""Tags that are as true of the grey picture: height, compression, order of bits, strips, tiles."""
_COMPRESSIONS = frozenset((1, 5, 8, 32773, 32946))  # none, LZW, deflate, PackBits, deflate: bytes stay bytes
_COLOURS = frozenset((1, 2))  # grey and RGB, with or without alpha


def is_colour(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Return whether `as_grey` knows such a file: samples side by side, and of no compression that knows of pixels."""
    tags = image.tag_v2
    return (
        tags.get(_SAMPLES, 1) in (2, 3, 4)
        and tags.get(_PLANAR, 1) == 1
        and tags.get(_PHOTOMETRIC) in _COLOURS
        and tags.get(_COMPRESSION, 1) in _COMPRESSIONS
        and tags.get(_PREDICTOR, 1) in ((1,) if _TILE_WIDTH in tags else (1, 2))
    )


def as_grey(raw: Raw, image: TiffImagePlugin.TiffImageFile) -> bytes:
    """Return a TIFF whose pixels are the samples of another one, in the same order.

    Raises:
        DecodeError: unsupported_depth, of a file with 64-bit offsets.
    """
    order = "<" if raw[:1] == b"I" else ">"
    if raw[2 if order == "<" else 3] != 42:
        raise DecodeError("a TIFF in colour with offsets of 64 bits, deeper than 8", rule="unsupported_depth")
    tags, samples = image.tag_v2, int(image.tag_v2[_SAMPLES])
    stated = {_WIDTH: image.width * samples, _BITS: tags[_BITS][0], _PHOTOMETRIC: 1, _SAMPLES: 1}
    stated[_FORMAT] = tags.get(_FORMAT, (1,))[0]
    if _TILE_WIDTH in tags:
        stated[_TILE_WIDTH] = tags[_TILE_WIDTH] * samples
    entries = {tag: struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in stated.items()}
    (start,) = struct.unpack_from(f"{order}I", raw, 4)
    for place in range(start + 2, start + 2 + 12 * struct.unpack_from(f"{order}H", raw, start)[0], 12):
        (tag,) = struct.unpack_from(f"{order}H", raw, place)
        if tag in _SAME:
            entries[tag] = bytes(raw[place : place + 12])
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    data = bytes(raw) + bytes(len(raw) % 2)
    return data[:4] + struct.pack(f"{order}I", len(data)) + data[8:] + directory


def as_colour(grey: Array, image: TiffImagePlugin.TiffImageFile) -> Array:
    """Return the pixels (H, W, samples) of what `as_grey` made."""
    found = grey.reshape(image.height, image.width, int(image.tag_v2[_SAMPLES]))
    if image.tag_v2.get(_PREDICTOR, 1) == 1:
        return found
    return np.cumsum(found, axis=1, dtype=found.dtype)
