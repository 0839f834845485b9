"""What an embedder is: how an entity becomes an input, and a batch of inputs vectors."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lakehouse.errors import ConfigError
from lakehouse.plugins import identity_of

Floats = npt.NDArray[np.float32]

Model = Callable[[npt.NDArray[Any]], npt.ArrayLike]
"""Inputs, shape (n, ...), to vectors, shape (n, d)."""

_NAME = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*\.)*[a-z][a-z0-9_]{0,62}")

WEIGHTS_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Embedder:
    """What gives vectors: a function from a view of one entity to an input, and a model over batches of inputs.

    Legend: n entities of a batch, d numbers of a vector.

    Attributes:
        name: Stable, snake_case; part of the key of every vector, behind the module of `prepare` and `load`. One with
            dots in front is taken as it is: `my_package.clip`.
        version: Counted from 1. Raise it when the same bytes would give another vector.
        media_types: Media types it is for, or beginnings of them: `image/` is every image.
        prepare: From an `ImageView` (of another kind its view, or an `EntityView`) to an array, of the same shape and
            type for every entity. Module-level: worker processes, which have no GPU, call it. What it raises rejects
            the entity.
        load: From a device (`cpu`, `cuda:0`) and the file of the weights, None without one, to the model; called once
            a run, in one process. The model gets arrays of shape (n, ...) and returns finite numbers (n, d).
        batch: Inputs that the model gets at a time.
        needs_weights: Whether it is nothing without a file of weights.
    """

    name: str
    version: int
    media_types: tuple[str, ...]
    prepare: Callable[[Any], npt.NDArray[Any]]
    load: Callable[[str, Path | None], Model]
    batch: int = 64
    needs_weights: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"embedder {self.name!r}: a name is a-z, 0-9 and _, from a letter on, at most 63 long, "
                              "perhaps behind that of a module and a dot")  # fmt: skip
        if self.version < 1:
            raise ConfigError(f"embedder {self.name}: versions count from 1, found {self.version}")
        if not self.media_types or self.batch < 1:
            raise ConfigError(f"embedder {self.name}: needs a media type, and batches of 1 and more")

    def key(self, weights: Path | None = None) -> str:
        """Return what tables call its vectors: `descriptor@1`; of yours behind the module, with the hash of a file of
        weights `my_package.clip.clip@2+0f3c9a...`.

        Raises:
            ConfigError: If weights are missing, or `prepare` and `load` are of no module, or of two: the name needs a
                dot then.
        """
        identity = identity_of(self.name, self.prepare, self.load)
        if weights is None:
            if self.needs_weights:
                raise ConfigError(f"embedder {self.name}: needs a file of weights; name it: --weights FILE")
            return f"{identity}@{self.version}"
        try:
            with weights.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ConfigError(f"weights {weights}: cannot be read ({error.strerror})") from error
        return f"{identity}@{self.version}+{found[:WEIGHTS_DIGITS]}"
