"""Arrays that were stored as numpy files, `.npy` and `.npz`: read without numpy's parser, many at once where they fit.

Pickles are never loaded: object arrays are refused. What comes out owns its memory, is aligned and may be written to.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyarrow as pa
from isal import isal_zlib

from loaders.axes import Array, DType, Ints, Octets
from loaders.errors import DecodeError, FormatError
from loaders.format.fields import ARRAY_DTYPES

T = TypeVar("T")
Raw = bytes | memoryview

MAX_ARRAY_BYTES = 1 << 30
"""A compressed array that claims to be larger is refused before memory is taken."""

_NPY_HEADER_LIMIT = 10_000
_NPY_USUAL = 128
_NPY_ENTRY = re.compile(
    r"""['"](descr|fortran_order|shape)['"]\s*:\s*"""
    r"""(?:['"]([<>|=]?[a-zA-Z]\d*(?:\[\d*[a-zA-Z]+\])?)['"]|(True|False)|\(([\d\s,]*)\))"""
)
_NPY_REST = str.maketrans("", "", "{}, \n\t\0")
# Of the records of a zip file: the end, an entry of the directory, what stands before a file's bytes.
_ZIP_END = struct.Struct("<4s4HLLH")  # ..., entries, bytes and place of the directory, length of a comment
_ZIP_ENTRY = struct.Struct("<4s6xH4xLLLH12xL")  # magic, method, CRC-32, packed bytes, bytes, length of its name, place
_ZIP_FILE = struct.Struct("<4s22xHH")  # magic, lengths of its name and of more
_STORED, _DEFLATED = 0, 8
_Damaged: type[Exception] = isal_zlib.IsalError  # type: ignore[assignment]  # an instance, its stub says

Header = tuple[DType, bool, tuple[int, ...], int]
"""dtype, whether in Fortran's order, shape, first byte of the values."""


def npy_header(raw: Raw) -> Header:
    """Return dtype, whether it is in Fortran's order, shape and first byte of the values of a `.npy` file.

    Not numpy's: that hands the header to Python's compiler, which in 3.11 fails now and then when several threads use
    it (CPython issue 106905).

    Raises:
        DecodeError: If it is no such file, or one that holds a pickle.
    """
    begin = bytes(raw[:_NPY_USUAL])
    start = 10 if begin[6:7] == b"\1" else 12
    if begin[:6] != b"\x93NUMPY" or begin[6:7] not in (b"\1", b"\2", b"\3") or len(begin) < start:
        raise DecodeError("no .npy file")
    end = start + int.from_bytes(begin[8:start], "little")
    if end > min(len(raw), _NPY_HEADER_LIMIT):
        raise DecodeError(f"a .npy file whose header takes {end:,} of {len(raw):,} bytes")
    return *_parsed_header(begin[start:end] if end <= _NPY_USUAL else bytes(raw[start:end])), end


@functools.lru_cache(maxsize=256)
def _parsed_header(header: bytes) -> tuple[DType, bool, tuple[int, ...]]:
    text = header.decode("latin-1")
    found = {name: (kind, order, shape) for name, kind, order, shape in _NPY_ENTRY.findall(text)}
    is_whole = len(found) == 3 and found["descr"][0] and found["fortran_order"][1]
    if not is_whole or _NPY_ENTRY.sub("", text).translate(_NPY_REST):
        raise DecodeError(f"a .npy file with the header {text[:200].strip()!r}; numbers of one type are expected")
    if "O" in found["descr"][0]:
        raise DecodeError("Object arrays are pickles, which are never loaded", rule="pickle")
    try:
        dtype = np.dtype(found["descr"][0])
        shape = tuple(int(axis) for axis in found["shape"][2].split(",") if axis.strip())
    except (TypeError, ValueError) as error:
        raise DecodeError(f"a .npy file with the header {text[:200].strip()!r}: {error}") from error
    return dtype, found["fortran_order"][1] == "True", shape


def read_npy(raw: Raw) -> Array:
    """Return the array of a `.npy` file, a copy.

    Raises:
        DecodeError: If it is no such file, is cut off, or holds a pickle.
    """
    return npy_values(raw, npy_header(raw))


def npy_values(raw: Raw, header: Header) -> Array:
    """Return the array that follows a header, a copy.

    Raises:
        DecodeError: If it is cut off.
    """
    dtype, is_fortran, shape, start = header
    count = math.prod(shape)
    if count * dtype.itemsize > len(raw) - start:
        text = f"cut off: {shape} values of {dtype} do not fit into {len(raw) - start:,} bytes"
        raise DecodeError(text, rule="truncated")
    try:
        array = np.frombuffer(raw[start:], dtype=dtype, count=count)
        return array.reshape(shape, order="F" if is_fortran else "C").copy(order="K")
    except (ValueError, OverflowError) as error:
        raise DecodeError(f"a .npy file of shape {shape}: {error}") from error


def read_npz(raw: Raw) -> Array:
    """Return the one array, `arr`, of a `.npz` file.

    Raises:
        DecodeError: If it is no such file, is damaged, or holds a pickle.
    """
    return read_npy(_member(memoryview(raw)))


def npz_bytes(raw: memoryview) -> int:
    """Return the bytes that a `.npz` file claims for its array, 0 if it is none."""
    end = len(raw) - _ZIP_END.size
    at = _ZIP_END.unpack_from(raw, end)[6] if end >= 0 else len(raw)
    return int(_ZIP_ENTRY.unpack_from(raw, at)[4]) if at + _ZIP_ENTRY.size <= len(raw) else 0


def read_any(raw: Raw) -> Array:
    """Return the array of a `.npy` file, or of a `.npz` file that holds one under any name, in this machine's order of
    bytes.

    Raises:
        DecodeError: If it is no such file, is damaged or cut off (`truncated`), has more bytes or arrays than one
            (`several_arrays`), holds a pickle (`pickle`), or holds what is no number (`unsupported_dtype`).
    """
    view = memoryview(raw)
    content = memoryview(_member(view, name=None)) if bytes(view[:2]) == b"PK" else view
    header = npy_header(content)
    dtype, _, shape, start = header
    native = dtype.newbyteorder("=")
    if native.name not in ARRAY_DTYPES:
        text = f"an array of {dtype}; one of {', '.join(ARRAY_DTYPES)} is expected"
        raise DecodeError(text, rule="unsupported_dtype")
    size = math.prod(shape) * dtype.itemsize
    if size > MAX_ARRAY_BYTES:
        raise DecodeError(f"an array of {size:,} bytes, limit {MAX_ARRAY_BYTES:,}", rule="too_large")
    if size < len(content) - start:
        more = len(content) - start - size
        raise DecodeError(f"{more:,} bytes stand behind the array, another array perhaps", rule="several_arrays")
    return npy_values(content, header).astype(native, copy=False)


@dataclass(frozen=True, slots=True)
class FixedArray:
    """Arrays of one shape as one array: for columns of codec `array`, whose values may have any.

    Attributes:
        shape: Of each of them.
        dtype: Of each of them; integers and booleans may become larger ones, and floats, where no value changes.
    """

    shape: tuple[int, ...]
    dtype: DType
    codec: str = field(init=False, default="array")

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        if self.dtype.name not in ARRAY_DTYPES or any(type(axis) is not int or axis < 1 for axis in self.shape):
            raise FormatError(f"a shape of positive integers and a dtype of numbers, found {self.shape}, {self.dtype}")

    def into(self, raw: memoryview, out: Array, *, seed: int, max_pixels: int) -> None:
        """Copy the array of `raw` into `out`. `seed` and `max_pixels` have no say.

        Raises:
            DecodeError: If it cannot be read, has another shape, or a dtype of more values.
        """
        found = read_any(raw)
        if found.shape != self.shape or not np.can_cast(found.dtype, self.dtype):
            raise DecodeError(f"expected {self.dtype} {self.shape}, found {found.dtype} {found.shape}")
        out[...] = found


def dense_npy(values: pa.Array) -> Array | list[Array]:
    """Return `.npy` files, none of them null, as one array (n, *shape) if all have one header, else one array each.

    Raises:
        DecodeError: If one cannot be read; its `row` says which.
    """
    data, offsets = blobs(values)
    sizes = np.diff(offsets)
    if len(sizes) and (sizes == sizes[0]).all():
        block = data[int(offsets[0]) : int(offsets[-1])].reshape(len(sizes), int(sizes[0]))  # (rows, bytes of each)
        found = _of_equal_headers(block)
        if found is not None:
            return found
    return each(values, read_npy)


def dense_npz(values: pa.Array) -> Array | list[Array]:
    """Return `.npz` files as `dense_npy` does."""
    return stacked(each(values, read_npz))


def stacked(arrays: list[Array]) -> Array | list[Array]:
    """Return arrays as one, (n, *shape), if they have one shape and dtype; else as they are."""
    if not arrays or any(one.shape != arrays[0].shape or one.dtype != arrays[0].dtype for one in arrays):
        return arrays
    return arrays[0][None] if len(arrays) == 1 and arrays[0].flags.c_contiguous else np.stack(arrays)


def each(values: pa.Array, read: Callable[[memoryview], T]) -> list[T]:
    """Read one value after the other.

    Raises:
        DecodeError: If one cannot be read; its `row` says which.
    """
    data, offsets = blobs(values)
    raw, ends = memoryview(data), offsets.tolist()  # type: ignore[arg-type]
    out = []
    for row, (begin, end) in enumerate(itertools.pairwise(ends)):
        try:
            out.append(read(raw[begin:end]))
        except DecodeError as error:
            error.row = row
            raise
    return out


def blobs(values: pa.Array) -> tuple[Octets, Ints]:
    """Return the bytes of binary values, none of them null, and where each begins and the last ends."""
    kind = values.type
    if pa.types.is_fixed_size_binary(kind) or not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        values = values.cast(pa.large_binary())
        kind = values.type
    _, offsets, data = values.buffers()
    offset_type = np.dtype("<i8" if pa.types.is_large_binary(kind) else "<i4")
    empty = np.zeros(1, dtype=offset_type)
    places = empty if offsets is None else np.frombuffer(offsets, dtype=offset_type)[values.offset :][: len(values) + 1]
    return np.frombuffer(data if data is not None else b"", dtype=np.uint8), places if len(places) else empty


def _of_equal_headers(block: Octets) -> Array | None:
    """Return files of one size, (n, bytes), as one array; None if their headers differ."""
    raw = memoryview(block[0])
    try:
        dtype, is_fortran, shape, start = npy_header(raw)
    except DecodeError as error:
        error.row = 0
        raise
    size = math.prod(shape) * dtype.itemsize
    if (is_fortran and len(shape) > 1) or size > len(raw) - start or not size:
        return None
    if not (block[:, :start] == block[0, :start]).all():
        return None
    # (n, bytes of the values): a view, then one copy that is aligned and lets go of the stored bytes.
    return np.ascontiguousarray(block[:, start : start + size]).view(dtype).reshape(len(block), *shape)


def _member(raw: memoryview, *, name: bytes | None = b"arr.npy") -> Raw:
    """Return the bytes of the one file that a zip file holds; None: whatever its name."""
    end = len(raw) - _ZIP_END.size
    if end < 0 or bytes(raw[end : end + 4]) != b"PK\x05\x06":
        raise DecodeError("no .npz file, or one that is cut off", rule="truncated")
    *_, entries, _, at, _ = _ZIP_END.unpack_from(raw, end)
    if entries != 1 or at + _ZIP_ENTRY.size > end or bytes(raw[at : at + 4]) != b"PK\x01\x02":
        wanted = "one" if name is None else "one, 'arr',"
        raise DecodeError(f"a .npz file with {entries} entries; {wanted} is expected", rule="several_arrays")
    _, method, crc, packed, size, length, local = _ZIP_ENTRY.unpack_from(raw, at)
    found = bytes(raw[at + _ZIP_ENTRY.size : at + _ZIP_ENTRY.size + length])
    if found != name and (name is not None or not found.endswith(b".npy")):
        raise DecodeError(f"a .npz file with the entry {found[:100]!r}; 'arr.npy' is expected")
    if local + _ZIP_FILE.size > at or size > MAX_ARRAY_BYTES:
        raise DecodeError(f"a damaged .npz file, or one of more than {MAX_ARRAY_BYTES:,} bytes")
    magic, length, extra = _ZIP_FILE.unpack_from(raw, local)
    start = local + _ZIP_FILE.size + length + extra
    if magic != b"PK\x03\x04" or start + packed > at:
        raise DecodeError("a damaged .npz file")
    content = _inflated(raw[start : start + packed], method, size)
    if isal_zlib.crc32(content) != crc:
        raise DecodeError("a damaged .npz file: the checksum differs")
    return content


def _inflated(packed: memoryview, method: int, size: int) -> Raw:
    if method == _STORED:
        return packed
    if method != _DEFLATED:
        raise DecodeError(f"a .npz file packed by method {method}; deflate is expected")
    unpacker = isal_zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        content: bytes = unpacker.decompress(packed, max_length=size + 1)
    except _Damaged as error:
        raise DecodeError(f"a damaged .npz file: {error}") from error
    if len(content) != size or not unpacker.eof:
        raise DecodeError(f"a damaged .npz file: {size:,} bytes were announced, found {len(content):,}")
    return content
