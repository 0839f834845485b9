"""What a function over arrays is: its arguments, its result, and NumPy code over stacked rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lakehouse.tensors.value import DUCKDB_TENSOR, TENSOR

RESULTS: dict[str, tuple[pa.DataType, str, str]] = {
    "number": (pa.float64(), "DOUBLE", "double"),
    "integer": (pa.int64(), "BIGINT", "bigint"),
    "boolean": (pa.bool_(), "BOOLEAN", "boolean"),
    "text": (pa.string(), "VARCHAR", "string"),
    "integers": (pa.list_(pa.int64()), "BIGINT[]", "array<bigint>"),
    "numbers": (pa.list_(pa.float64()), "DOUBLE[]", "array<double>"),
    "array": (TENSOR, DUCKDB_TENSOR, "struct<dtype:string,shape:array<bigint>,bytes:binary>"),
}
"""Kind of result -> its type in Arrow, DuckDB and Spark."""


@dataclass(frozen=True, slots=True)
class ArrayFunction:
    """One function of SQL over arrays.

    Attributes:
        name: As SQL calls it.
        kernel: Gets the arrays of rows that share dtype and shape, stacked, (rows, *shape), then the values, and
            returns what it makes of them: (rows, ...) or a list with an array for each row.
        arrays: Names of the arguments that are arrays.
        values: Names of the arguments after them that are plain values, equal for all rows of one call of the kernel.
        result: A key of `RESULTS`.
        same_as: What it is in NumPy, for one row `x`.
        optional: How many of the last values may be left out.
        more: Whether more values may follow.
        weak: Whether a number of SQL is to NumPy what a number of Python is: it does not change the dtype. The kernel
            gets it as `Weak`.
        version: Raised when the same arguments give another result.
        deterministic: Whether equal arguments always give the equal result.
    """

    name: str
    kernel: Callable[..., Any] = field(repr=False)
    arrays: tuple[str, ...]
    result: str
    same_as: str
    values: tuple[str, ...] = ()
    optional: int = 0
    more: bool = False
    weak: bool = False
    version: int = 1
    deterministic: bool = True

    @property
    def signature(self) -> str:
        """How it is called, for people: `nd_norm(x, [kind])`."""
        names = [*self.arrays, *self.values]
        needed = len(names) - self.optional
        told = [*names[:needed], *(f"[{name}]" for name in names[needed:]), *(["..."] if self.more else [])]
        return f"{self.name}({', '.join(told)})"

    def takes(self, count: int) -> bool:
        """Say whether it can be called with so many arguments."""
        most = len(self.arrays) + len(self.values)
        return most - self.optional <= count and (self.more or count <= most)
