"""What a reader does to each row, or each row group, and which fields come of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

from loaders.petastorm.kinds import NumpyType, Value
from loaders.petastorm.unischema import Unischema, UnischemaField

__all__ = ["TransformSpec", "edit_field", "transform_schema"]

EditedField = tuple[str, NumpyType, tuple[int | None, ...], bool]
"""(name, numpy dtype, shape, whether it may be null)."""


def edit_field(name: str, numpy_dtype: NumpyType, shape: tuple[int | None, ...], nullable: bool = False) -> EditedField:
    """Return what `TransformSpec(edit_fields=...)` takes for one field."""
    return name, numpy_dtype, shape, nullable


class TransformSpec:
    """A function, and what it makes of the schema.

    Args:
        func: Called in a worker, with a row as dict by `make_reader` and with a row group as DataFrame by
            `make_batch_reader`; returns the same, with the fields of the schema after the transform. None: fields are
            only removed or selected.
        edit_fields: Fields that it adds or gives another type, as `edit_field` or `UnischemaField`.
        removed_fields: Names of fields that are dropped.
        selected_fields: Names of all fields that are kept, in the order they are to have.

    Raises:
        ValueError: If both removed and selected fields are given.
    """

    def __init__(
        self,
        func: Callable[[Value], Value] | None = None,
        edit_fields: Sequence[EditedField | UnischemaField] | None = None,
        removed_fields: Iterable[str] | None = None,
        selected_fields: Iterable[str] | None = None,
    ) -> None:
        if removed_fields is not None and selected_fields is not None:
            raise ValueError("User can only specify one of removed_fields and selected_fields in TransformSpec.")
        self.func = func
        self.edit_fields = list(edit_fields or [])
        self.removed_fields = list(removed_fields or [])
        self.selected_fields = None if selected_fields is None else list(selected_fields)


def transform_schema(schema: Unischema, transform_spec: TransformSpec) -> Unischema:
    """Return the schema after a transform, `<name>_transformed`.

    Fields keep their order; those that are edited come last, unless fields are selected, which says the order. Warns of
    names that are in no schema.
    """
    removed = set(transform_spec.removed_fields)
    _warn_of_unknown("remove_fields", [name for name in transform_spec.removed_fields if name not in schema.fields])
    edited = [_edited(field) for field in transform_spec.edit_fields]
    gone = removed | {field.name for field in edited}
    fields = {name: field for name, field in schema.fields.items() if name not in gone}
    fields |= {field.name: field for field in edited}
    if transform_spec.selected_fields is not None:
        _warn_of_unknown("selected_fields", [name for name in transform_spec.selected_fields if name not in fields])
        fields = {name: fields[name] for name in transform_spec.selected_fields if name in fields}
    return Unischema(f"{schema._name}_transformed", list(fields.values()))


def _edited(field: EditedField | UnischemaField) -> UnischemaField:
    nullable = field.nullable if isinstance(field, UnischemaField) else field[3]
    return UnischemaField(field[0], field[1], field[2], None, bool(nullable))


def _warn_of_unknown(argument: str, names: Sequence[str]) -> None:
    if names:
        warnings.warn(
            f"{argument} specified some field names that are not part of the schema. These field names will be ignored "
            f'"{", ".join(names)}".',
            stacklevel=3,
        )
