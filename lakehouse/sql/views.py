"""The views people and recipes use: one text each, the same names in DuckDB and Spark."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import pyarrow as pa

from lakehouse.opinions.views import VIEWS as OPINION_VIEWS
from schemas.model import TIMESTAMP
from schemas.tables import DIMENSIONS
from schemas.tables import ENTITIES as ENTITIES_TABLE

ENTITIES = "select * from silver.entities"

DATASETS = "select * from gold.datasets"

MEMBERS = """
select d.name, m.* from gold.dataset_members m join gold.datasets d on d.dataset_id = m.dataset_id
"""

# Columns by name: `select *` with a window filter would show its helper column in Spark.
CURRENT_DIMENSIONS = f"""
select {", ".join(DIMENSIONS.column_names)} from silver.dimensions
qualify row_number() over (
    partition by entity_id, dimension order by extractor_version desc, extractor
) = 1
"""

KIND_OF_TYPE: Mapping[pa.DataType, str] = {
    pa.string(): "text", pa.int64(): "integer", pa.bool_(): "boolean", TIMESTAMP: "timestamp",
}

SHARED_TEXT_KINDS = ("text", "integer", "boolean")
"""Kinds whose values look the same as text in DuckDB and Spark; numbers with a fraction and times do not."""

DOCS: Mapping[str, str] = {
    "entities": "One row per distinct thing.",
    "entities_wide": "One row per entity, one column per current dimension.",
    "current_dimensions": "The newest measurement of every (entity, dimension).",
    "datasets": "One row per dataset version.",
    "members": "One row per entity of a dataset version, with the dataset's name.",
}

VIEW_NAMES = (*DOCS, *OPINION_VIEWS)
"""Every view."""

_TEXTS: Mapping[str, str] = {
    "entities": ENTITIES,
    "current_dimensions": CURRENT_DIMENSIONS,
    "datasets": DATASETS,
    "members": MEMBERS,
} | {name: view.sql for name, view in OPINION_VIEWS.items()}
"""All but entities_wide: its columns are the dimensions of all extractors, and what measures takes long to import."""


@lru_cache(maxsize=1)
def view_texts() -> dict[str, str]:
    """Return view name -> SQL text over tables and other views."""
    return {name: view_text(name) for name in VIEW_NAMES}


def view_text(name: str) -> str:
    """Return the SQL text of one view over tables and other views."""
    return _entities_wide() if name == "entities_wide" else _TEXTS[name]


@lru_cache(maxsize=1)
def wide_kinds() -> dict[str, str]:
    """Return column of `entities_wide` -> kind of its values, as dimensions name kinds; other types by their name."""
    from lakehouse.dimensions.registry import all_dimensions

    kinds = {column.name: KIND_OF_TYPE.get(column.type, str(column.type)) for column in ENTITIES_TABLE.columns}
    return kinds | {dimension.name: dimension.kind for dimension in all_dimensions()}


def view_docs() -> dict[str, str]:
    """Return view name -> what one row of it is."""
    return dict(DOCS) | {name: view.doc for name, view in OPINION_VIEWS.items()}


def ordered_views() -> list[tuple[str, str]]:
    """Return (view name, text) of every view, each after the views that it reads."""
    from lakehouse.engines.dialect import table_names

    texts = view_texts()
    ordered: dict[str, str] = {}

    def add(name: str) -> None:
        if name in texts and name not in ordered:
            for read in sorted(table_names(texts[name])):
                add(read)
            ordered[name] = texts[name]

    for name in sorted(texts):
        add(name)
    return list(ordered.items())


def _entities_wide() -> str:
    from lakehouse.dimensions.registry import all_dimensions

    value = {"integer": "number", "number": "number", "text": "text", "boolean": "boolean", "timestamp": "instant"}
    pivot = []
    for dimension in all_dimensions():
        picked = f"max(case when dimension = '{dimension.name}' then {value[dimension.kind]} end)"
        if dimension.kind == "integer":
            picked = f"cast({picked} as bigint)"
        pivot.append(f"{picked} as {dimension.name}")
    return (
        "with pivoted as (select entity_id, "
        + ", ".join(pivot)
        + " from current_dimensions group by entity_id) "
        + "select e.*, "
        + ", ".join(f"p.{dimension.name}" for dimension in all_dimensions())
        + " from silver.entities e left join pivoted p on p.entity_id = e.entity_id"
    )
