"""Small things of Petastorm's that people call by themselves."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from loaders.errors import PlacedError
from loaders.petastorm.codecs import single

T = TypeVar("T")


class DecodeFieldError(PlacedError, RuntimeError):
    """A value of a field cannot be decoded; the cause says why.

    Attributes:
        row: Row among those that were decoded together, counted from 0; None if unknown.
        column: Name of the field.
    """


def decode_row(row: Mapping[str, Any], schema: Any) -> dict[str, Any]:
    """Return the values of one row, of which the stored ones are given; names that the schema lacks are left out.

    Raises:
        DecodeFieldError: If one cannot be decoded.
    """
    return {name: _decoded(schema.fields[name], value) for name, value in row.items() if name in schema.fields}


def run_in_subprocess(func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Return what a function gives in a process of its own, whose memory is free again afterwards.

    Args:
        func: A function of a module, not a lambda.
        args: What it is given.
        kwargs: What it is given by name.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(func, args=args, kwds=kwargs)


def _decoded(field: Any, value: Any) -> Any:
    if value is None:
        return None
    try:
        return single(field.numpy_dtype, value) if field.codec is None else field.codec.decode(field, value)
    except Exception as error:
        raise DecodeFieldError(f'Decoding field "{field.name}" failed: {error}', column=field.name) from error
