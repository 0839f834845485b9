"""Columns of samples whose length differs from row to row."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loaders.format.fields import Field

Numbers = npt.NDArray[np.generic]
Objects = Sequence[Mapping[str, Any]]

ONE_EACH = (
    ("iscrowd", "iscrowd", pa.bool_(), False, "Whether each {one} is a crowd; what nobody stated is none."),
    ("difficult", "difficult", pa.bool_(), False, "Whether each {one} is difficult; what nobody stated is not."),
    ("score", "scores", pa.float32(), float("nan"), "Score of each {one}, 0 to 1; NaN: not stated."),
)
"""Key of an object, end of the name of its field, type, value where it is not stated, meaning."""


def npy(values: Numbers) -> bytes:
    """Return an array as a `.npy` file."""
    out = io.BytesIO()
    np.save(out, values, allow_pickle=False)
    return out.getvalue()


def npy_field(field: Field, answers: Sequence[Any], array: Callable[[Any], Numbers]) -> tuple[Field, pa.Array]:
    """Return a field of codec npy and its column: one array for each answer, of the field's dtype."""
    return field, pa.array([npy(array(answer).astype(field.dtype)) for answer in answers], pa.binary())


def labels_of(
    one: str, answers: Sequence[Objects], classes: Sequence[str], *, objects: str | None = None
) -> tuple[Field, pa.Array]:
    """Return `<one>_labels`, int64 (num objects,): class numbers.

    Args:
        one: What one object is called: box, mask, keypoint ...
        answers: Objects with `label` of each member.
        classes: Labels by their numbers.
        objects: As `Field.objects`.
    """
    numbers = {label: number for number, label in enumerate(classes)}
    doc = f"Class number of each {one}, its ordinal in the label set, from 0; {len(classes)} classes."
    kind = pa.list_(pa.int64())
    field = Field(f"{one}_labels", kind, shape=(None,), doc=doc, classes=tuple(classes), objects=objects)
    return field, pa.array([[numbers[each["label"]] for each in answer] for answer in answers], kind)


def one_each(one: str, answers: Sequence[Objects], *, objects: str | None = None) -> Iterator[tuple[Field, pa.Array]]:
    """Yield what any object states of `ONE_EACH`: `<one>_iscrowd`, `<one>_difficult`, `<one>_scores`."""
    for key, end, kind, missing, doc in ONE_EACH:
        if any(key in each for answer in answers for each in answer):
            field = Field(f"{one}_{end}", pa.list_(kind), shape=(None,), doc=doc.format(one=one), objects=objects)
            yield field, pa.array([[each.get(key, missing) for each in answer] for answer in answers], field.type)


def names_of(one: str, *more: str) -> tuple[str, ...]:
    """Return the names of all columns that objects may have."""
    return (*more, f"{one}_labels", *(f"{one}_{end}" for _, end, *_ in ONE_EACH))
