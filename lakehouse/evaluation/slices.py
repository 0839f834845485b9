"""Slices: what the numbers of an evaluation are broken down by."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lakehouse.errors import ConfigError
from lakehouse.evaluation.gates import Gate, check_gates
from lakehouse.extractors.extractor import KINDS as DIMENSION_KINDS
from lakehouse.names import nearest
from lakehouse.views.registry import SHARED_TEXT_KINDS, wide_kinds

SLICE = re.compile(r"(?P<column>[a-z_][a-z0-9_]*)(?::(?P<groups>[1-9][0-9]{0,2}))?")


MEASURED = "left join entities_wide w on w.entity_id = coalesce(m.parent_ids[1], m.entity_id)"
"""What is known of members `m`: of one that is made of others (a crop) that of the first of these."""


def check_request(slices: Sequence[str], gates: Sequence[Gate]) -> None:
    """Check slices and gates as far as no lake is needed for it.

    Raises:
        ConfigError: If a slice cannot be made, or a gate is on a number that would not be computed.
    """
    names = [slice_name(text) for text in slices]
    for text, name in zip(slices, names, strict=True):
        found, kinds = SLICE.fullmatch(text), wide_kinds()
        if found is None:
            raise ConfigError(f"slice `{text}`: expected COLUMN or COLUMN:GROUPS, for example origin or brightness:4")
        if name not in kinds:
            raise ConfigError(f"slice `{text}`: no column `{name}`{nearest(name, kinds)}")
        if kinds[name] not in (SHARED_TEXT_KINDS if found["groups"] is None else DIMENSION_KINDS):
            raise ConfigError(f"slice `{text}`: `{name}` is of kind {kinds[name]}; slice it in groups, as {name}:4, or "
                              "take a column of text, whole numbers or booleans")
        if names.count(name) > 1:
            raise ConfigError(f"slices have `{name}` twice; their rows would be mixed up")
    check_gates(gates, names)


def slice_columns(slices: Sequence[str]) -> dict[str, str]:
    """Return name -> SQL over `m` (members) and `w` (entities_wide) of everybody and of each slice.

    Names of our own: a slice may be by a column that a query has already.
    """
    return {"slice_0": "'all'"} | {f"slice_{i}": slice_sql(text) for i, text in enumerate(slices, start=1)}


def slice_label(text: str, value: object) -> str:
    """Return what a slice is called, `origin=real`; `all` for everybody, whose text is ""."""
    return f"{slice_name(text)}={value}" if text else "all"


def slice_name(text: str) -> str:
    """Return the column of a slice."""
    return text.partition(":")[0]


def slice_sql(text: str) -> str:
    """Return the SQL of one slice: `origin` for the values themselves, `brightness:4` for four groups of equal size.

    Groups go by rank (ties by entity), so that both engines cut at the same place; q1 has the smallest values.
    """
    name, _, groups = text.partition(":")
    column = f"w.{name}"
    if not groups:
        return f"coalesce(cast({column} as varchar), 'none')"
    rank = f"ntile({int(groups)}) over (partition by {column} is null order by {column}, m.entity_id)"
    return f"case when {column} is null then 'none' else concat('q', cast({rank} as varchar)) end"


