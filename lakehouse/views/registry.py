"""The views people and recipes use: one text each, the same names in DuckDB and Spark."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import pyarrow as pa

from lakehouse.views.objects import VIEWS as OBJECT_VIEWS
from lakehouse.views.ontology import VIEWS as LABEL_VIEWS
from lakehouse.views.opinions import VIEWS as OPINION_VIEWS
from lakehouse.views.served import VIEWS as SERVED_VIEWS
from lakehouse.views.wide import named_columns
from schemas.model import TIMESTAMP
from schemas.tables import DIMENSIONS, TABLES
from schemas.tables import ENTITIES as ENTITIES_TABLE

ENTITIES = "select * from silver.entities"

DATASETS = "select * from gold.datasets"

MEMBERS = """
select d.name, m.* from gold.dataset_members m join gold.datasets d on d.dataset_id = m.dataset_id
"""

MEMBER_ENTITIES = """
select dataset_id, entity_id as member_id, unnest(coalesce(parent_ids, [entity_id])) as entity_id
from gold.dataset_members
"""

_MEASURED = ", ".join(DIMENSIONS.column_names)

# What one version of one extractor measured is there once, and needs no order.
CURRENT_DIMENSIONS = f"""
with several as (
    select dimension from silver.dimensions group by dimension
    having min(extractor) <> max(extractor) or min(extractor_version) <> max(extractor_version)
), ranked as (
    select {_MEASURED}, row_number() over (
        partition by entity_id, dimension order by extractor_version desc, extractor
    ) as place
    from silver.dimensions semi join several using (dimension)
)
select {_MEASURED} from silver.dimensions anti join several using (dimension)
union all
select {_MEASURED} from ranked where place = 1
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
    "member_entities": "One row per member of a dataset version and entity that it is, or is made of.",
}

OTHERS = {**OPINION_VIEWS, **LABEL_VIEWS, **SERVED_VIEWS, **OBJECT_VIEWS}

VIEW_NAMES = (*DOCS, *OTHERS)
"""Every view."""

_TEXTS: Mapping[str, str] = {
    "entities": ENTITIES,
    "current_dimensions": CURRENT_DIMENSIONS,
    "datasets": DATASETS,
    "members": MEMBERS,
    "member_entities": MEMBER_ENTITIES,
} | {name: view.sql for name, view in OTHERS.items()}
"""All but entities_wide: its columns are the dimensions of all extractors, and what measures takes long to import."""


@lru_cache(maxsize=1)
def view_texts() -> dict[str, str]:
    """Return view name -> SQL text over tables and other views."""
    return {name: view_text(name) for name in VIEW_NAMES}


def view_text(name: str, *, asked_by: str | None = None) -> str:
    """Return the SQL text of one view over tables and other views.

    Args:
        name: Name of the view.
        asked_by: The query that reads it, in DuckDB's dialect: dimensions that it does not name, where it says which
            it reads, are left out of entities_wide. None leaves none out.
    """
    if name != "entities_wide":
        return _TEXTS[name]
    return _entities_wide(None if asked_by is None else named_columns(asked_by, known=_all_columns()))


@lru_cache(maxsize=1)
def wide_kinds() -> dict[str, str]:
    """Return column of `entities_wide` -> kind of its values, as dimensions name kinds; other types by their name."""
    from lakehouse.extractors.registry import all_dimensions

    kinds = {column.name: KIND_OF_TYPE.get(column.type, str(column.type)) for column in ENTITIES_TABLE.columns}
    return kinds | {dimension.name: dimension.kind for dimension in all_dimensions()}


def view_docs() -> dict[str, str]:
    """Return view name -> what one row of it is."""
    return dict(DOCS) | {name: view.doc for name, view in OTHERS.items()}


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


@lru_cache(maxsize=1)
def _all_columns() -> frozenset[str]:
    from lakehouse.extractors.registry import all_dimensions

    return frozenset(column.name for table in TABLES for column in table.columns) | {
        dimension.name for dimension in all_dimensions()
    }


def _entities_wide(named: frozenset[str] | None) -> str:
    from lakehouse.extractors.registry import all_dimensions

    wanted = [each for each in all_dimensions() if named is None or each.name.lower() in named]
    if not wanted:
        return "select e.* from silver.entities e"
    column = {"integer": "number", "number": "number", "text": "text", "boolean": "boolean", "timestamp": "instant"}
    # One pass that keeps one row of each pair, as current_dimensions does, and nothing else of it. In structs: a value
    # that is NULL counts as well, and a key that is NULL does not.
    pivot = []
    for each in wanted:
        key = f"case when dimension = '{each.name}' then struct_pack(v := -extractor_version, e := extractor) end"
        pivot.append(f"arg_min(struct_pack(x := {column[each.kind]}), {key}) as {each.name}")
    picked = {each.name: f"p.{each.name}.x" for each in wanted}
    picked |= {each.name: f"cast(p.{each.name}.x as bigint)" for each in wanted if each.kind == "integer"}
    columns = (f"{value} as {name}" for name, value in picked.items())
    names = ", ".join(f"'{each.name}'" for each in wanted)
    return (
        f"with pivoted as (select entity_id, {', '.join(pivot)} from silver.dimensions where dimension in ({names}) "
        f"group by entity_id) select e.*, {', '.join(columns)} "
        "from silver.entities e left join pivoted p on p.entity_id = e.entity_id"
    )
