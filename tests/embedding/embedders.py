"""Embedders for tests: worker processes import them by their place."""

from __future__ import annotations

import numpy as np

from lakehouse.embedding.embedder import Embedder
from lakehouse.errors import RejectedInputError

CALLS: list[tuple[int, str]] = []
"""(inputs, device) of every batch that a model got."""


def mean_colour(view):
    if view.picture.width > 1000:
        raise RejectedInputError("too_wide", "wider than a test needs")
    return np.asarray(view.picture, np.float32).mean(axis=(0, 1))


def fails_on_dark(view):
    mean = np.asarray(view.picture).mean()
    if mean < 128:
        raise ValueError(f"dark at {hex(id(view))}")
    return np.array([mean])


def load(device, weights):
    scale = 1.0 if weights is None else float(weights.read_text())

    def model(inputs):
        CALLS.append((len(inputs), device))
        return inputs * scale

    return model


def load_wrong(device, weights):
    return lambda inputs: inputs[:, 0]


def load_infinite(device, weights):
    return lambda inputs: inputs / 0.0 if len(inputs) else inputs


def load_scalar(device, weights):
    return lambda inputs: 1.0


def load_nothing(device, weights):
    return lambda inputs: inputs[:, :0]


def load_complex(device, weights):
    return lambda inputs: inputs * 1j


def load_shorter(device, weights):
    return lambda inputs: inputs[:, :2]


def load_rewritten(device, weights):
    weights.write_text("2.0")
    return lambda inputs: inputs


def objects(view):
    return np.array([{"a": 1}], dtype=object)


COLOUR = Embedder("colour", 1, ("image/",), mean_colour, load, batch=4)
WEIGHTED = Embedder("weighted", 2, ("image/png",), mean_colour, load, needs_weights=True)
DARK = Embedder("dark", 1, ("image/",), fails_on_dark, load)
WRONG = Embedder("wrong", 1, ("image/",), mean_colour, load_wrong)
INFINITE = Embedder("infinite", 1, ("image/",), mean_colour, load_infinite)
SCALAR = Embedder("scalar", 1, ("image/",), mean_colour, load_scalar)
EMPTY = Embedder("empty", 1, ("image/",), mean_colour, load_nothing)
COMPLEX = Embedder("complex", 1, ("image/",), mean_colour, load_complex)
SHORTER = Embedder("colour", 1, ("image/",), mean_colour, load_shorter)
REWRITTEN = Embedder("rewritten", 1, ("image/",), mean_colour, load_rewritten, needs_weights=True)
OBJECTS = Embedder("objects", 1, ("image/",), objects, load)
DESCRIPTOR_TOO = Embedder("descriptor", 1, ("image/",), mean_colour, load)
NOTHING = "no embedder"
