"""What passes between the order, the workers and the readers of row groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Rows:
    """Some consecutive rows, as columns.

    Attributes:
        columns: {name: array of shape (rows, ...), or a list of as many values in which None is a null}.
        count: Rows.
    """

    columns: dict[str, Any]
    count: int
