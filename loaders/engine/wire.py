"""How batches travel from a worker process: arrays lie in shared memory, JSON says where, and nothing is pickled."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from loaders.axes import Array, Octets
from loaders.errors import TransformError
from loaders.workers.messages import Json

_ALIGN = 64

_KINDS: dict[type, tuple[str, Callable[[str], object]]] = {
    Decimal: ("decimal", Decimal),
    datetime.datetime: ("datetime", datetime.datetime.fromisoformat),
    datetime.date: ("date", datetime.date.fromisoformat),
    datetime.time: ("time", datetime.time.fromisoformat),
}
_RESTORE = dict(_KINDS.values())


class Writer:
    """Describes values as JSON, and puts the bytes of their arrays into shared memory where they are not there yet."""

    def __init__(self, memory: Octets, used: int) -> None:
        """Write behind the first `used` bytes of `memory`, a uint8 array."""
        self._memory = memory
        self._start = memory.__array_interface__["data"][0]
        self._at = used
        self.overflow: list[bytes] = []
        """Arrays for which there is no room; they travel as they are."""
        self._overflow_bytes = 0

    @property
    def used(self) -> int:
        """Bytes of the memory, from its beginning, that hold anything."""
        return self._at

    def describe(self, value: Any, where: str = "the transform") -> Json:
        """Return the JSON for a value.

        Raises:
            TransformError: If it is nothing that travels.
        """
        if isinstance(value, np.str_):  # before text, which it is too
            return {"text": str(value)}
        if isinstance(value, np.generic) and value.dtype.names is None:  # float64 is a float too
            return {"scalar": self._array(np.asarray(value))}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if (kind := _KINDS.get(type(value))) is not None:
            return {kind[0]: str(value) if type(value) is Decimal else value.isoformat()}
        if isinstance(value, np.ma.MaskedArray):
            return {"masked": [self.describe(np.ma.getdata(value)), self.describe(np.ma.getmaskarray(value))]}
        if isinstance(value, bytes):
            return {"bytes": self.describe(np.frombuffer(value, dtype=np.uint8))}
        if isinstance(value, Mapping):
            for name in value:
                if not isinstance(name, str):
                    raise TransformError(
                        f"{where} holds a dict in which {name!r} is no name: with pool='processes' use text"
                    )
            return {"dict": [[name, self.describe(item, f"{where}[{name!r}]")] for name, item in value.items()]}
        if isinstance(value, list | tuple):
            if value and all(type(item) is np.str_ for item in value):
                return {"texts": [str(item) for item in value]}
            return {"list": [self.describe(item, where) for item in value]}
        if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__"):
            try:
                array = np.asarray(value)
            except (TypeError, ValueError, RuntimeError) as error:  # a tensor with gradients, or of bfloat16
                raise TransformError(f"{where} holds a {type(value).__name__}: {error}") from error
            if array.dtype == object:
                return {"objects": self.describe(array.reshape(-1).tolist(), where), "shape": list(array.shape)}
            if not array.dtype.hasobject and array.dtype.names is None:
                return self._array(array)
        raise TransformError(
            f"{where} holds a {type(value).__name__}; with pool='processes' a transform returns arrays, text, numbers, "
            "and lists and dicts of them"
        )

    def _array(self, array: Array) -> dict[str, Json]:
        facts = {"dtype": array.dtype.str, "shape": list(array.shape)}
        address = array.__array_interface__["data"][0] - self._start
        if array.flags.c_contiguous and 0 <= address and address + array.nbytes <= self._memory.nbytes:
            return {"at": address, **facts}
        array = np.ascontiguousarray(array).reshape(array.shape)
        begin = -(-self._at // _ALIGN) * _ALIGN
        if begin + array.nbytes <= self._memory.nbytes:
            self._memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)[...] = array
            self._at = begin + array.nbytes
            return {"at": begin, **facts}
        self.overflow.append(array.tobytes())
        self._overflow_bytes += array.nbytes
        return {"over": self._overflow_bytes - array.nbytes, **facts}


def restored(told: Json, memory: Octets, overflow: bytes) -> Any:
    """Return the value that `Writer.describe` told of.

    Args:
        told: The JSON.
        memory: The shared memory, uint8; arrays are views of it.
        overflow: The joined bytes of `Writer.overflow`.
    """
    if not isinstance(told, dict):
        return told
    if len(told) == 1 and (restore := _RESTORE.get(next(iter(told)))) is not None:
        return restore(next(iter(told.values())))
    if "text" in told:
        return np.str_(told["text"])
    if "texts" in told:
        return [np.str_(text) for text in told["texts"]]
    if "scalar" in told:
        return restored(told["scalar"], memory, overflow)[()]
    if "objects" in told:
        objects = np.empty(tuple(told["shape"]), dtype=object)
        values = restored(told["objects"], memory, overflow)
        for at, value in enumerate(values):  # an assignment of all at once would take lists apart
            objects.flat[at] = value
        return objects
    if "list" in told:
        return [restored(item, memory, overflow) for item in told["list"]]
    if "dict" in told:
        return {name: restored(item, memory, overflow) for name, item in told["dict"]}
    if "bytes" in told:
        return restored(told["bytes"], memory, overflow).tobytes()
    if "masked" in told:
        data, mask = (restored(item, memory, overflow) for item in told["masked"])
        return np.ma.MaskedArray(data, mask=mask)
    dtype, shape = np.dtype(told["dtype"]), tuple(told["shape"])
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if "at" in told:
        return memory[told["at"] : told["at"] + size].view(dtype).reshape(shape)
    return np.frombuffer(bytearray(overflow[told["over"] : told["over"] + size]), dtype=dtype).reshape(shape)
