"""Write a small greyscale PNG whose bytes are the same on every machine."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREYSCALE_8 = b"\x08\x00\x00\x00\x00"
"""Bit depth 8, colour type greyscale, standard compression, filter and no interlace."""


def encode_grey(pixels_HW: npt.NDArray[np.uint8]) -> bytes:
    """Return a PNG of `pixels_HW` (uint8, rows by columns).

    Stored, not compressed: builds of zlib compress the same pixels to different bytes, and the bytes are the
    identity of the image. A digit of 8x8 pixels takes 140 bytes either way.
    """
    height, width = pixels_HW.shape
    rows = b"".join(b"\x00" + row.tobytes() for row in pixels_HW)
    header = struct.pack(">II", width, height) + GREYSCALE_8
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
