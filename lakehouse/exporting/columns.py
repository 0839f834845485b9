"""What tables and samples say of a row beside its bytes: named, typed columns."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pyarrow as pa

from lakehouse.errors import ConfigError
from lakehouse.exporting.answers import answer_columns, answer_values
from lakehouse.exporting.rows import Row, Selection
from loaders.format.fields import TYPES


def columns_of(selection: Selection, *, beside: Collection[str] = ()) -> dict[str, pa.DataType]:
    """Return name -> Arrow type of `entity_id`, `label`, `label_index`, own fields and answers, those that there are.

    Args:
        selection: What is exported.
        beside: Names that the format has for itself.

    Raises:
        ConfigError: If a field has a name that is taken.
    """
    found: dict[str, pa.DataType] = {"entity_id": pa.string()}
    if "label" in selection.roles:
        found["label"] = pa.string()
    if selection.numbers_labels:
        found["label_index"] = pa.int64()
    found |= answer_columns(selection)
    for name, kind in selection.fields.items():
        if name in found or name in beside:
            raise ConfigError(
                f"field `{name}` has a name that this format needs for itself; select it under "
                "another (`as`), or export parquet, webdataset or manifest"
            )
        found[name] = TYPES[kind]
    return found


def values_of(selection: Selection, row: Row) -> dict[str, Any]:
    """Return the values of `columns_of` as JSON has them; times are text."""
    found: dict[str, Any] = {"entity_id": row.entity_id}
    if "label" in selection.roles:
        found["label"] = row.label
    if selection.numbers_labels:
        found["label_index"] = selection.number_of(row)
    return found | answer_values(selection, row) | {name: row.fields.get(name) for name in selection.fields}


def is_nested(kind: pa.DataType) -> bool:
    """Return whether a column holds lists or structs, which a cell of a CSV file cannot."""
    return bool(pa.types.is_nested(kind))
