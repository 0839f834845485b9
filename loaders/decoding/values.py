"""From stored values to what training code receives: one array, or one list, for each column of a batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa

from loaders.axes import Array, DType, Mask
from loaders.decoding.arrays import npy_header, npy_values, read_any
from loaders.decoding.arrow import numbers, validity
from loaders.decoding.texts import decode_text
from loaders.errors import DecodeError
from loaders.format.fields import ENCODED, Field, is_number_list, numpy_dtype

Batch = dict[str, Any]
"""{column: numpy array of shape (rows, ...), or a list where shapes vary or values are text}."""

_CHANNELS = {2: 1, 3: 3, 4: 4}


def dense_shape(field: Field) -> tuple[int, ...] | None:
    """Return the shape of one value if all of them fit into one array, else None: the column is a list."""
    if field.codec in ENCODED - {"image"}:
        return None
    if field.codec == "raw" and not is_number_list(field.type):
        return () if numpy_dtype(field.type) is not None else None
    return field.fixed_shape


def dense_dtype(field: Field) -> DType | None:
    """Return the element type in which a column is delivered, None for a list of Python values."""
    if field.codec in ("image", "video", "coco_rle"):
        return np.dtype("uint8")
    if field.dtype is not None:
        return np.dtype(field.dtype)
    element: pa.DataType = field.type
    return numpy_dtype(element.value_type if is_number_list(field.type) else element)


def fill_dense(out: Array, values: pa.Array, field: Field) -> None:
    """Write an Arrow column into an array; nulls become zeros.

    Args:
        out: (rows, *shape).
        values: As many values.
        field: What they are; no picture.

    Raises:
        ValueError: If a value has another size.
    """
    rows: slice | Mask = slice(None)
    if values.null_count:
        valid: Mask = validity(values)
        rows = valid
        out[~valid] = np.zeros((), dtype=out.dtype)
        values = values.drop_null()
    shape = out.shape[1:]
    if field.codec == "ndarray":
        out[rows] = _fixed_bytes(values, out.dtype.newbyteorder("<"), shape)
    elif is_number_list(field.type):
        out[rows] = numbers(values.flatten()).reshape(len(values), *shape)  # (rows, *shape)
    elif pa.types.is_timestamp(field.type):
        out[rows] = numbers(values.cast(pa.int64())).view("datetime64[us]")
    else:
        out[rows] = numbers(values)


def decode_blob(raw: memoryview, field: Field, *, max_pixels: int) -> Array | bytes | str:
    """Decode one value of a column whose shapes vary: a picture, a `.npy` file, a recording,
    a video, a text, masks, or bytes as they are.

    Raises:
        DecodeError: If it is not what the field declares.
    """
    if field.codec == "image":
        from loaders.decoding.pictures import decode_new, picture_size  # Pillow and libjpeg load with the first picture

        wanted = field.shape or (None, None, 3)
        if any(axis is not None for axis in wanted[:2]):
            check_size(wanted, picture_size(raw))
        return decode_new(raw, channels_of(field), max_pixels=max_pixels)
    if field.codec == "native_image":
        from loaders.decoding.pictures import decode_native

        return decode_native(raw, max_pixels=max_pixels)
    if field.codec == "npy":
        return _npy(raw, field)
    if field.codec == "audio":
        from loaders.decoding.audio import decode_audio

        return decode_audio(raw, field)
    if field.codec == "array":
        return read_any(raw)
    if field.codec == "text":
        return decode_text(raw)
    if field.codec == "video":
        from loaders.decoding.video import decode_video

        frames = decode_video(raw, max_pixels=max_pixels)
        check_axes(field.shape, frames.shape)
        return frames
    if field.codec == "coco_rle":
        from loaders.decoding.masks import decode_masks

        masks = decode_masks(raw, max_pixels=max_pixels)
        check_size((field.shape or (None, None, None))[1:], masks.shape[1:])
        return masks
    return bytes(raw)


def channels_of(field: Field) -> int:
    """Return the channels in which pictures of a field are delivered: 1 (grey, no axis), 3 or 4."""
    wanted = field.shape or (None, None, 3)
    return 1 if len(wanted) == 2 else wanted[2] or 3


def check_size(wanted: tuple[int | None, ...], found: tuple[int, int]) -> None:
    """Compare the declared shape of a picture with its (height, width).

    Raises:
        DecodeError: If they differ.
    """
    if any(axis not in (None, size) for axis, size in zip(wanted, found, strict=False)):
        raise DecodeError(f"expected shape {wanted}, found height {found[0]} and width {found[1]}")


def check_axes(wanted: tuple[int | None, ...] | None, found: tuple[int, ...]) -> None:
    """Compare the declared shape of a value with that of what was decoded.

    Raises:
        DecodeError: If they differ.
    """
    if wanted is not None and (
        len(wanted) != len(found) or any(a not in (None, b) for a, b in zip(wanted, found, strict=True))
    ):
        raise DecodeError(f"expected shape {wanted}, found {found}")


def blank(field: Field) -> object:
    """Return what stands for a value of a list column that could not be read."""
    if field.codec in ("image", "native_image"):
        shape = field.shape or (1, 1, 3)
        return np.zeros([1 if axis is None else axis for axis in shape], dtype=np.uint8)
    if field.codec in ("video", "coco_rle"):
        return np.zeros([0 if axis is None else axis for axis in field.shape or (0, 0, 0)], dtype=np.uint8)
    if field.codec == "text":
        return ""
    if field.codec in ("npy", "audio", "array"):
        return np.zeros([0 if axis is None else axis for axis in field.shape or (0,)], dtype=field.dtype or "float32")
    if is_number_list(field.type):
        return np.zeros(0, dtype=dense_dtype(field))
    if pa.types.is_map(field.type):
        return {}
    if pa.types.is_list(field.type):
        return []
    return b"" if pa.types.is_binary(field.type) else ""


def python_values(values: pa.Array, field: Field) -> list[object]:
    """Return the values of a text, list or map column: str, array or list, dict; None for a null."""
    if pa.types.is_map(field.type):
        return [None if value is None else dict(value) for value in values.to_pylist()]
    if is_number_list(field.type):
        return [numbers(value.values) if value.is_valid else None for value in values]
    found: list[object] = values.to_pylist()
    return found


def _npy(raw: memoryview, field: Field) -> Array:
    header = npy_header(raw)
    dtype, _, found, _ = header
    if dtype != np.dtype(field.dtype):
        raise DecodeError(f"expected dtype {field.dtype}, found {dtype}")
    check_axes(field.shape, found)
    return npy_values(raw, header)


def _fixed_bytes(values: pa.Array, dtype: DType, shape: tuple[int, ...]) -> Array:
    """View fixed-size binary values, without nulls, as one array."""
    size = math.prod(shape) * dtype.itemsize
    _, offsets, data = values.buffers()
    first = int(np.frombuffer(offsets, dtype="<i4")[values.offset]) if len(values) else 0
    raw = np.frombuffer(data, dtype=np.uint8, count=len(values) * size, offset=first) if len(values) else b""
    return np.frombuffer(raw, dtype=dtype).reshape(len(values), *shape)
