"""Errors under the names that Petastorm gives them."""

from __future__ import annotations

from loaders.errors import LoaderError


class NoDataAvailableError(LoaderError):
    """There are fewer row groups than shards: some shards would be empty."""
