"""Functions of yours in SQL: NumPy or torch over stacked rows, the same in DuckDB and Spark.

    import lakehouse as lh

    @lh.sql_function(gives="number", version=1)
    def box_error(predicted, truth):            # each float64 (rows, 4): all rows of one call share dtype and shape
        return np.abs(predicted - truth).sum(axis=1)

    lh.user_query(lake, "select entity_id from pairs order by box_error(a, b) desc")
"""

from __future__ import annotations

import base64
import inspect
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cloudpickle
import numpy as np

from lakehouse.errors import ConfigError
from lakehouse.plugins import object_at
from lakehouse.tensors import registered
from lakehouse.tensors.function import RESULTS, ArrayFunction
from lakehouse.tensors.named import SqlFunction

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def received(text: str) -> SqlFunction:
    """Return what `sent` made a text of; it comes from the process that started this one, never from data."""
    if text.startswith("code:"):
        found: SqlFunction = cloudpickle.loads(base64.b64decode(text.removeprefix("code:")))
        return found
    return object_at(text, SqlFunction)


def sql_function(
    *,
    gives: str,
    version: int,
    name: str | None = None,
    values: Sequence[str] = (),
    device: str | None = None,
    deterministic: bool = True,
) -> Callable[[Callable[..., Any]], SqlFunction]:
    """Let SQL call a function of arrays.

    The function gets arrays of the rows of a batch that share dtype and shape, stacked: (rows, *shape). It must not
    change them, and must give each row what it would give that row alone.

    Args:
        gives: `number`, `integer`, `boolean` or `text`: (rows,); `array`: (rows, ...) or a list with an array for each
            row; `numbers`, `integers`: a list of lists.
        version: Raised when the same arguments give another result: version ids of datasets hold it.
        name: As SQL calls it; None takes the function's own.
        values: Its last parameters that are plain values (a name, an axis), equal for all rows of one call.
        device: Torch's name of a device: arrays come as tensors there, and tensors may be given back. None: NumPy.
        deterministic: Whether equal arguments always give the equal result. Others are refused in recipes.

    Raises:
        ConfigError: If name, parameters or result are none that SQL can have.
    """

    def decorate(code: Callable[..., Any]) -> SqlFunction:
        called = name or code.__name__
        if not _NAME.fullmatch(called) or called.startswith("nd_"):
            raise ConfigError(
                f"SQL function {called!r}: expected small letters, digits and _, not beginning with nd_, which is ours"
            )
        if gives not in RESULTS:
            raise ConfigError(f"SQL function {called}: gives {gives!r}; known: {', '.join(RESULTS)}")
        if version < 1:
            raise ConfigError(f"SQL function {called}: version {version}; expected 1 and more")
        parameters = list(inspect.signature(code).parameters.values())
        names = [each.name for each in parameters]
        plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        if not names or any(each.kind not in plain for each in parameters):
            raise ConfigError(f"SQL function {called}: takes a number of parameters by place, at least one")
        count = len(names) - len(values)
        if count < 1 or names[count:] != list(values):
            raise ConfigError(f"SQL function {called}: values {list(values)} are to be its last parameters, of {names}")
        optional = sum(each.default is not inspect.Parameter.empty for each in parameters[count:])
        kernel = code if device is None else partial(_on_device, code, count, device)
        made = ArrayFunction(
            called, kernel, tuple(names[:count]), gives, code.__doc__ or "", values=tuple(values), optional=optional,
            version=version, deterministic=deterministic,
        )  # fmt: skip
        found = SqlFunction(code, made, f"{code.__module__}:{code.__qualname__}")
        registered.register(found)
        return found

    return decorate


def _on_device(code: Callable[..., Any], count: int, device: str, *arguments: Any) -> Any:
    """Call a function of torch tensors with arrays, and return arrays."""
    import torch

    with torch.no_grad():
        # Copies: rows lie in memory of Arrow's, which is not to be written.
        arrays = [torch.from_numpy(np.array(each)).to(device) for each in arguments[:count]]
        found = code(*arrays, *arguments[count:])
    if isinstance(found, list):
        return [each.cpu().numpy() if isinstance(each, torch.Tensor) else each for each in found]
    return found.cpu().numpy() if isinstance(found, torch.Tensor) else found
