"""Errors under the names that Petastorm gives them."""

from __future__ import annotations

from loaders.errors import LoaderError


class NoDataAvailableError(LoaderError):
    """There are fewer row groups than shards: some shards would be empty."""


class PetastormMetadataError(LoaderError):
    """A dataset has no metadata of Petastorm's, or not what is needed of it, or damaged metadata."""


class PetastormMetadataGenerationError(LoaderError):
    """The metadata of a dataset could not be written."""
