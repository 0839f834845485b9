"""The arguments of readers, checked: classes and messages of errors are Petastorm's where it has them."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable
from typing import SupportsIndex, TypeAlias

from loaders.petastorm.ngram import NGram
from loaders.petastorm.predicates import PredicateBase
from loaders.petastorm.unischema import Unischema, UnischemaField

SchemaFields: TypeAlias = NGram | Iterable[UnischemaField | str] | None
"""Which fields are read: fields and regular expressions, or windows; None: all."""


def check_arguments(fields: object, epochs: object, predicate: object, parts: object, deadline_s: float) -> None:
    """Check what needs no dataset; raises ValueError."""
    if fields is not None and not isinstance(fields, NGram) and not hasattr(fields, "__iter__"):
        raise ValueError(
            "Fields must be either None, an iterable collection of Unischema fields or an NGram object."
        )
    if epochs is not None and (type(epochs) is bool or not isinstance(epochs, int) or epochs < 1):
        raise ValueError(f"iterations must be positive integer or None, found {epochs!r}")
    if predicate is not None and not isinstance(predicate, PredicateBase):
        raise ValueError("predicate parameter is expected to be derived from PredicateBase")
    if type(parts) is bool or not isinstance(parts, int) or parts < 1:
        raise ValueError(f"shuffle_row_drop_partitions must be a positive integer, found {parts!r}")
    if not deadline_s > 0:
        raise ValueError(f"deadline_s must be positive, found {deadline_s!r}")


def checked_seed(seed: SupportsIndex) -> int:
    """Return a seed as an integer.

    Raises:
        ValueError: If it is none.
    """
    try:
        return operator.index(seed)
    except TypeError:
        raise ValueError(f"seed must be an integer or None, found {seed!r}") from None


def checked_ngram(fields: object, stored: Unischema, *, parts: int, is_batched: bool) -> NGram | None:
    """Return the windows that are asked for, their patterns resolved; None if `fields` are fields.

    Raises:
        NotImplementedError: If such a reader gives no windows.
        ValueError: If a pattern does not fit the schema.
    """
    if not isinstance(fields, NGram):
        return None
    if is_batched:
        raise NotImplementedError("ngrams are not supported by make_batch_reader; make_reader gives them")
    ngram = copy.copy(fields)  # the caller's may be used for another dataset
    ngram.resolve_regex_field_names(stored)
    if not ngram.timestamp_overlap and parts > 1:
        raise NotImplementedError(
            "Using timestamp_overlap=False is not implemented with shuffle_options.shuffle_row_drop_partitions > 1"
        )
    return ngram
