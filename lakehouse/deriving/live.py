"""Transforms while reading: the same functions over batches of the reader, and nothing stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lakehouse.deriving.transform import Chain
from lakehouse.deriving.values import Sound


def over_batches(
    chain: Chain, *, field: str = "image", rate: str = "sample_rate"
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function for `make_reader(transform=...)` that applies a chain to one field.

    Args:
        chain: From `chain_of`; it must make one thing of each value.
        field: The field: pictures as uint8 (n, height, width, 3) or a list of (height, width, 3), recordings as float32
            (n, frames, channels) or a list, texts.
        rate: Of recordings: the field with frames a second.

    Returns:
        The function. It raises ValueError where a chain makes none or several of a value: a batch has a row for each.
    """

    def apply(batch: dict[str, Any]) -> dict[str, Any]:
        values = batch[field]
        rates = batch.get(rate)
        made = []
        for place, value in enumerate(values):
            taken = Sound(value, int(rates[place])) if chain.first.takes == "sound" and rates is not None else value
            found = chain.made(taken)
            if len(found) != 1:
                called = "|".join(each.name for each, _ in chain.steps)
                raise ValueError(f"{called} makes {len(found)} of a value; in a reader it has to make one")
            made.append(found[0].value)
        shapes = {getattr(each, "shape", None) for each in made}
        alike = len(shapes) == 1 and None not in shapes
        return {**batch, field: np.stack(made) if alike else made}

    return apply
