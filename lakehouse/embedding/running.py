"""Models as they are run: loaded once, and held to what they promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lakehouse.embedding.embedder import Embedder, Floats, Model
from lakehouse.errors import ConfigError


def loaded(embedder: Embedder, key: str, device: str, weights: Path | None) -> Model:
    """Return the model of an embedder.

    Args:
        embedder: Whose.
        key: From `embedder.key(weights)`.
        device: What it runs on.
        weights: File of its weights.

    Raises:
        ConfigError: If it cannot be loaded, or the file is another one meanwhile than the key says.
    """
    try:
        model = embedder.load(device, weights)
    except Exception as error:  # Code of the user's: whatever it raises.
        raise ConfigError(f"embedder {key} cannot be loaded on {device}: {type(error).__name__}: {error}") from error
    if weights is not None and embedder.key(weights) != key:
        raise ConfigError(f"weights {weights}: the file changed while it was loaded; run it again once it is whole")
    return model


def vectors_by(model: Model, key: str, inputs: npt.NDArray[Any]) -> Floats:
    """Return the vectors that a model gives inputs; float32 (n, d), d at least 1.

    Raises:
        ConfigError: If it fails, or returns something else.
    """
    try:
        found = np.asarray(model(inputs))
    except Exception as error:  # Code of the user's: whatever it raises.
        raise ConfigError(f"embedder {key} failed on {len(inputs)} inputs, {type(error).__name__}: {error}; "
                          "what was committed stays") from error  # fmt: skip
    if found.dtype.kind not in "biuf":
        raise ConfigError(f"embedder {key}: its model returned {found.dtype}, expected numbers")
    if found.ndim != 2 or len(found) != len(inputs) or not found.shape[1]:
        raise ConfigError(f"embedder {key}: its model returned shape {found.shape}, expected ({len(inputs)}, d)")
    with np.errstate(over="ignore"):
        vectors = found.astype(np.float32)
    if not np.isfinite(vectors).all():
        raise ConfigError(f"embedder {key}: its model returned numbers that are not finite in float32")
    return vectors
