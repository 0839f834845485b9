"""The root of everything that Petrel raises on purpose, in the library and in the loaders."""

from __future__ import annotations


class PetrelError(Exception):
    """Root of every error of Petrel: `except PetrelError` catches the library's and the loaders'."""
