"""Reading with any package of Petastorm's API, and what came of it as text that two packages can be compared by.

It runs in the project's environment and in that of the real Petastorm: standard library and numpy alone.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import importlib
import itertools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SHOWN = 12  # elements of an array that are written out; of a larger one the hash is
MOST = 500  # items of one reader

NATURAL = {"reader_pool_type": "dummy", "shuffle_row_groups": False}


class Package:
    """The modules of `petastorm` or of what stands in for it, as attributes."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, module: str) -> Any:
        return importlib.import_module(f"{self.name}.{module}")

    @property
    def top(self) -> Any:
        return importlib.import_module(self.name)


Options = Mapping[str, Any] | Callable[[Package], Mapping[str, Any]]


@dataclass(frozen=True)
class Case:
    """One way of reading one dataset."""

    dataset: str
    name: str
    kind: str  # "row" or "batch"
    options: Options = ()  # type: ignore[assignment]
    order: bool = True  # whether the order of the fields is a promise (the real one goes through a set for patterns)

    @property
    def id(self) -> str:
        return f"{self.dataset}-{self.name}-{self.kind}"


def observe(package: Package, case: Case, data: Path) -> dict[str, Any]:
    """Return what a reader of `case` gives: its schema and items, or its error."""
    url = f"file://{data}/{case.dataset}"
    make = package.top.make_reader if case.kind == "row" else package.top.make_batch_reader
    found: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            given = case.options(package) if callable(case.options) else dict(case.options)
            with make(url, **{**NATURAL, **given}) as reader:
                found["schema"] = schema_of(reader.schema)
                items = [item_of(item, flags=case.kind == "row") for item in itertools.islice(reader, MOST)]
        except Exception as error:  # whatever it is is the observation
            return error_of(error, 300)
    if items:
        found["item"] = items[0][0]
        found["fields"] = items[0][1]
    found["items"] = [values for _, _, values in items]
    return found


def error_of(error: BaseException, length: int) -> dict[str, Any]:
    """Return the class of an error, those it is one of too, and the beginning of its message."""
    classes = [one.__name__ for one in type(error).__mro__]
    return {"error": classes[0], "classes": classes[1:-1], "message": " ".join(str(error).split())[:length]}


def item_of(item: Any, *, flags: bool) -> tuple[Any, Any, Any]:
    """Return the type, the names of the fields and the values of an item; of a window, by timestep."""
    if isinstance(item, dict):
        parts = {str(step): item_of(part, flags=flags) for step, part in sorted(item.items())}
        return tuple({step: part[i] for step, part in parts.items()} for i in range(3))  # type: ignore[return-value]
    return type(item).__name__, list(item._fields), [text_of(value, flags=flags) for value in item]


def schema_of(schema: Any) -> dict[str, Any]:
    fields = [
        [field.name, dtype_name(field.numpy_dtype), list(field.shape), str(field.codec), bool(field.nullable)]
        for field in schema.fields.values()
    ]
    return {"name": schema._name, "fields": fields}


def dtype_name(dtype: Any) -> str:
    return "Decimal" if dtype is decimal.Decimal else np.dtype(dtype).name.removesuffix("_")


def text_of(value: Any, *, flags: bool = False) -> str:
    """Return kind and value as text: equal texts mean equal types (to numpy's dtype), shapes and values."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return _array(value, flags=flags)
    if isinstance(value, np.generic):
        return _scalar(value)
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__} [{', '.join(text_of(one) for one in value)}]"
    if isinstance(value, dict):
        return f"dict {{{', '.join(f'{key}: {text_of(one)}' for key, one in value.items())}}}"
    if type(value).__name__ == "Categorical":  # of pandas, which the real one gives for partitions
        return f"Categorical {text_of(np.asarray(value.tolist()))}"
    if isinstance(value, bytes) and len(value) > SHOWN:
        return f"bytes of {len(value)} sha256:{hashlib.sha256(value).hexdigest()[:32]}"
    if isinstance(value, (datetime.date, datetime.time)):
        return f"{type(value).__name__} {value.isoformat()}"
    return f"{type(value).__name__} {value if isinstance(value, decimal.Decimal) else repr(value)}"


def _scalar(value: np.generic) -> str:
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return f"np.{value.dtype.name} {value if value.dtype.kind == 'M' else value.astype('i8')}"
    if isinstance(value, (np.str_, np.bytes_)):
        return f"np.{value.dtype.type.__name__} {value.item()!r}"
    return f"np.{value.dtype.name} {value.item()!r}"


def _array(value: np.ndarray, *, flags: bool) -> str:
    head = f"array {value.dtype.str} ({','.join(map(str, value.shape))})"
    if flags:
        order = "C" if value.flags.c_contiguous else "F" if value.flags.f_contiguous else "-"
        head += f" {order}{'W' if value.flags.writeable else 'r'}"
    if value.dtype == object:
        return f"{head} [{', '.join(text_of(one) for one in value.ravel().tolist())}]"
    if value.size <= SHOWN:
        shown = (
            value.astype(str) if value.dtype.kind == "M" else value.astype("i8") if value.dtype.kind == "m" else value
        )
        return f"{head} {shown.ravel().tolist()}"
    return f"{head} sha256:{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:32]}"
