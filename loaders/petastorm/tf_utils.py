"""Not there: what Petastorm had for TensorFlow 1. The names are, to say what to do."""

from __future__ import annotations

from typing import NoReturn

from loaders.petastorm.kinds import AnyReader

_INSTEAD = (
    "TensorFlow is out of scope; use loaders.petastorm.pytorch, or "
    "tf.data.Dataset.from_generator(lambda: make_batch_reader(url), output_signature=...)"
)


def tf_tensors(reader: AnyReader, shuffling_queue_capacity: int = 0, min_after_dequeue: int = 0) -> NoReturn:
    """Not there; raises NotImplementedError."""
    raise NotImplementedError(f"tf_tensors is not there: {_INSTEAD}")


def make_petastorm_dataset(reader: AnyReader) -> NoReturn:
    """Not there; raises NotImplementedError."""
    raise NotImplementedError(f"make_petastorm_dataset is not there: {_INSTEAD}")
