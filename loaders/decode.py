"""From stored values to what training code receives: one array, or one list, for each column of a batch."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from loaders.digest import one_array
from loaders.errors import DecodeError
from loaders.fields import Field, is_number_list, numpy_dtype

Batch = dict[str, Any]
"""{column: numpy array of shape (rows, ...), or a list where shapes vary or values are text}."""

_MODES = {2: "L", 3: "RGB", 4: "RGBA"}
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Decoders that run in this process; Pillow has others that start programs."""
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_NPY_HEADER_LIMIT = 10_000

Image.preinit()  # here, in one thread, and not in the first images of several


@dataclass(frozen=True, slots=True)
class Bad:
    """A value that could not be decoded, by its index in what was handed in."""

    index: int
    reason: str


class Column:
    """One column of a batch while it is filled, row by row or stretch by stretch.

    Every row must be filled or made blank (zeros, empty): the array is not cleared first, which for pictures would
    cost as much as copying them.
    """

    def __init__(self, field: Field, rows: int, *, max_pixels: int) -> None:
        self.field = field
        self._max_pixels = max_pixels
        self._shape = dense_shape(field)
        dtype = dense_dtype(field)
        self._dense = None if self._shape is None else np.empty((rows, *self._shape), dtype=dtype)
        self._list: list[Any] = [_blank(field)] * rows if self._dense is None else []
        self._valid = np.ones(rows, dtype=bool) if field.nullable and self._dense is not None else None

    def fill(self, places: slice, values: Any) -> list[Bad]:
        """Decode an Arrow column into the rows of `places`.

        Returns:
            The values that could not be decoded; their rows are to be made blank.
        """
        values = one_array(values)
        if self._valid is not None and values.null_count:
            self._valid[places] = values.is_valid().to_numpy(zero_copy_only=False)
        if self._dense is not None and self.field.codec != "image":
            self._fill_dense(self._dense[places], values)
            return []
        target: Any = self._list if self._dense is None else self._dense
        bad: list[Bad] = []
        for index, (place, value) in enumerate(
            zip(range(*places.indices(len(target))), values, strict=False)
        ):
            try:
                if value.is_valid:
                    target[place] = self._decode(value)
                else:
                    target[place] = None if self._dense is None else 0
            except (DecodeError, ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
                bad.append(Bad(index, str(error)))
        return bad

    def blank(self, rows: list[int]) -> None:
        """Make rows blank again."""
        for row in rows:
            if self._dense is None:
                self._list[row] = _blank(self.field)
            else:
                self._dense[row] = np.zeros((), dtype=self._dense.dtype)

    def finish(self, keep: Any = None) -> Any:
        """Return the column, only the rows of the boolean mask `keep` if one is given."""
        if self._dense is None:
            return self._list if keep is None else [value for value, ok in zip(self._list, keep, strict=True) if ok]
        dense = self._dense if keep is None else self._dense[keep]
        if self._valid is None:
            return dense
        valid = self._valid if keep is None else self._valid[keep]
        mask = np.broadcast_to(~valid.reshape(-1, *[1] * (dense.ndim - 1)), dense.shape)
        return np.ma.MaskedArray(dense, mask=mask)

    def _fill_dense(self, out: Any, values: Any) -> None:
        rows: Any = slice(None)
        if values.null_count:
            rows = values.is_valid().to_numpy(zero_copy_only=False)
            out[~rows] = np.zeros((), dtype=out.dtype)
            values = values.drop_null()
        if self.field.codec == "ndarray":
            out[rows] = _fixed_bytes(values, out.dtype.newbyteorder("<"), self._shape or ())
        elif is_number_list(self.field.type):
            out[rows] = values.flatten().to_numpy(zero_copy_only=False).reshape(len(values), *(self._shape or ()))
        elif pa.types.is_timestamp(self.field.type):
            out[rows] = values.cast(pa.int64()).to_numpy(zero_copy_only=False).view("datetime64[us]")
        else:
            out[rows] = values.to_numpy(zero_copy_only=False)

    def _decode(self, value: Any) -> Any:
        field = self.field
        if field.codec == "image":
            return decode_image(value.as_buffer(), field, max_pixels=self._max_pixels)
        if field.codec == "npy":
            return _npy(value.as_buffer(), field)
        if is_number_list(field.type):
            return value.values.to_numpy(zero_copy_only=False)
        if pa.types.is_map(field.type):
            return dict(value.as_py())
        return value.as_py()


def dense_shape(field: Field) -> tuple[int, ...] | None:
    """Return the shape of one value if all of them fit into one array, else None: the column is a list."""
    if field.codec == "npy":
        return None
    if field.codec == "raw" and not is_number_list(field.type):
        return () if numpy_dtype(field.type) is not None else None
    return field.fixed_shape


def dense_dtype(field: Field) -> np.dtype[Any] | None:
    """Return the element type in which a column is delivered, None for a list of Python values."""
    if field.codec == "image":
        return np.dtype("uint8")
    if field.dtype is not None:
        return np.dtype(field.dtype)
    element: Any = field.type
    return numpy_dtype(element.value_type if is_number_list(field.type) else element)


def decode_image(raw: Any, field: Field, *, max_pixels: int) -> Any:
    """Decode one picture.

    Returns:
        uint8 of shape (H, W, 3), or as the field declares: (H, W) grey, (H, W, 4) with alpha. EXIF orientation is
        not applied: pixels are as stored.

    Raises:
        DecodeError: If it is no picture, has another size than declared, more than `max_pixels`, or more than
            8 bits in a channel.
    """
    wanted = field.shape or (None, None, 3)
    mode = "L" if len(wanted) == 2 else _MODES[wanted[2] or 3]
    with Image.open(io.BytesIO(raw), formats=_FORMATS) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise DecodeError(f"{width}x{height} pixels are more than max_pixels={max_pixels:,}")
        if any(axis not in (None, found) for axis, found in zip(wanted, (height, width), strict=False)):
            raise DecodeError(f"expected shape {wanted}, found height {height} and width {width}")
        if image.mode in _DEEP_MODES:
            raise DecodeError(f"mode {image.mode} has more than 8 bits; store such pictures as npy")
        return np.asarray(image if image.mode == mode else image.convert(mode))


def _npy(raw: Any, field: Field) -> Any:
    array = np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False, max_header_size=_NPY_HEADER_LIMIT)
    if array.dtype != np.dtype(field.dtype):
        raise DecodeError(f"expected dtype {field.dtype}, found {array.dtype}")
    shape = field.shape
    if shape is not None and (
        len(shape) != array.ndim or any(a not in (None, b) for a, b in zip(shape, array.shape, strict=True))
    ):
        raise DecodeError(f"expected shape {shape}, found {array.shape}")
    return array


def _fixed_bytes(values: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """View fixed-size binary values, without nulls, as one array."""
    size = math.prod(shape) * dtype.itemsize
    _, offsets, data = values.buffers()
    first = int(np.frombuffer(offsets, dtype="<i4")[values.offset]) if len(values) else 0
    raw = np.frombuffer(data, dtype=np.uint8, count=len(values) * size, offset=first) if len(values) else b""
    return np.frombuffer(raw, dtype=dtype).reshape(len(values), *shape)


def _blank(field: Field) -> Any:
    if field.codec == "image":
        shape = field.shape or (1, 1, 3)
        return np.zeros([1 if axis is None else axis for axis in shape], dtype=np.uint8)
    if field.codec == "npy":
        return np.zeros([0 if axis is None else axis for axis in field.shape or (0,)], dtype=field.dtype)
    if is_number_list(field.type):
        return np.zeros(0, dtype=dense_dtype(field))
    if pa.types.is_map(field.type):
        return {}
    if pa.types.is_list(field.type):
        return []
    return b"" if pa.types.is_binary(field.type) else ""
