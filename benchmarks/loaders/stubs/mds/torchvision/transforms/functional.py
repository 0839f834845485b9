"""Names for `streaming.vision`."""

from __future__ import annotations


def to_tensor(picture: object) -> object:
    """Not used."""
    raise NotImplementedError
