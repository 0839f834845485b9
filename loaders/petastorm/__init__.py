"""Petastorm's API on the engine of these loaders: write `import loaders.petastorm as petastorm`, and old code works.

    from loaders.petastorm import make_reader
    from loaders.petastorm.pytorch import DataLoader

    with make_reader("file:///data/dataset", schema_fields=["image", "label"], seed=7) as reader:
        for batch in DataLoader(reader, batch_size=64):
            loss = train_step(batch["image"], batch["label"])

Submodules have Petastorm's names. MIGRATION.md says what to change, what behaves better, and what is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loaders.petastorm.errors import NoDataAvailableError
    from loaders.petastorm.reader import make_batch_reader, make_reader
    from loaders.petastorm.transform import TransformSpec

__version__ = "0.13.1"
"""The version of Petastorm whose API this is."""

__all__ = ["NoDataAvailableError", "TransformSpec", "__version__", "make_batch_reader", "make_reader"]

_HOME = {
    "NoDataAvailableError": "errors", "TransformSpec": "transform", "make_batch_reader": "reader",
    "make_reader": "reader",
}  # fmt: skip


def __getattr__(name: str) -> object:
    """Load a public name when it is first used."""
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'loaders.petastorm' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"loaders.petastorm.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
