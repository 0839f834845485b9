"""One function of yours as SQL knows it: its code, its name and version, and where other processes find it."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cloudpickle

from lakehouse.tensors.function import ArrayFunction


@dataclass(frozen=True, slots=True)
class SqlFunction:
    """One function of yours; called in Python it is the function itself.

    Attributes:
        code: The function as written.
        function: How SQL calls it.
        place: `package.module:NAME`.
    """

    code: Callable[..., Any] = field(repr=False)
    function: ArrayFunction
    place: str

    @property
    def name(self) -> str:
        """Its name in SQL."""
        return self.function.name

    @property
    def key(self) -> str:
        """Name and version, as version ids of datasets hold them: `box_error@1`."""
        return f"{self.function.name}@{self.function.version}"

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function as written."""
        return self.code(*arguments, **named)

    def sent(self) -> str:
        """Return it as text for a process of ours: its place, or where no module has it (a notebook) its code."""
        place: str = self.place
        module, _, name = place.partition(":")
        if module != "__main__" and getattr(sys.modules.get(module), name, None) is self:
            return place
        return f"code:{base64.b64encode(cloudpickle.dumps(self)).decode()}"
