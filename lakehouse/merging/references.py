"""What stands on rows that are about to go: a merge or a revert must not leave a row that points at nothing."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.errors import CheckFailedError
from lakehouse.lake import Lake
from lakehouse.query import fetch

REFERENCES: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("silver.entities", "entity_id"): (
        ("silver.opinions", "subject_id"), ("silver.dimensions", "entity_id"), ("silver.entity_sources", "entity_id"),
        ("silver.embeddings", "entity_id"), ("silver.derivations", "entity_id"), ("silver.derivations", "parent_id"),
        ("gold.dataset_members", "entity_id"), ("gold.changeset_entities", "entity_id"),
    ),
    ("silver.actors", "actor_id"): (("silver.opinions", "actor_id"),),
    ("silver.questions", "question_id"): (("silver.opinions", "question_id"),),
    ("silver.opinions", "opinion_id"): (("silver.opinions", "target_opinion_id"),),
    ("gold.datasets", "dataset_id"): (
        ("gold.dataset_members", "dataset_id"), ("gold.dataset_exclusions", "dataset_id"),
        ("gold.dataset_tags", "dataset_id"), ("gold.materialisations", "dataset_id"),
        ("gold.evaluations", "dataset_id"),
    ),
    ("gold.changeset_entities", "entities_id"): (("gold.changesets", "entities_id"),),
}  # fmt: skip
"""(table, column) -> columns of tables that name its rows."""

LEFT = """
select count(*) as n, min(c.{column}) as example from {child} c
where c.{column} in (
    select {key} from {parent} p where p.row_hash in (select row_hash from going)
    except select {key} from {parent} p where p.row_hash not in (select row_hash from going)
) and c.row_hash not in (select row_hash from leaving)
"""

SHORT = """
select b.batch_id, b.rows_new, count(o.opinion_id) as found from silver.batches b
left join silver.opinions o on o.batch_id = b.batch_id and o.row_hash not in (select row_hash from going)
where b.row_hash not in (select row_hash from leaving)
    and b.batch_id in (select batch_id from silver.opinions where row_hash in (select row_hash from going))
group by b.batch_id, b.rows_new having count(o.opinion_id) < b.rows_new
"""


def check_references(lake: Lake, go: Mapping[str, set[str]], *, what: str) -> None:
    """Check that nothing that stays points at rows that go, as a line has them now.

    Args:
        lake: The lake, on that line.
        go: Table -> hashes of rows that go.
        what: What is being done, for the message.

    Raises:
        CheckFailedError: If something does; it names the first table and how many rows.
    """
    for (parent, key), children in REFERENCES.items():
        if not go.get(parent):
            continue
        for child, column in children:
            inputs = {"going": _hashes(lake, go[parent]), "leaving": _hashes(lake, go.get(child, set()))}
            (found,) = fetch(lake, LEFT.format(parent=parent, key=key, child=child, column=column), inputs=inputs)
            if found["n"]:
                raise CheckFailedError(
                    f"{what}: {found['n']} rows of {child} stand on rows of {parent} that would go "
                    f"({column} {found['example']}), and came with other commits; revert those first: `petrel log`"
                )
    if go.get("silver.opinions"):
        leaving = _hashes(lake, go.get("silver.batches", set()))
        inputs = {"going": _hashes(lake, go["silver.opinions"]), "leaving": leaving}
        for row in fetch(lake, SHORT, inputs=inputs):
            raise CheckFailedError(
                f"{what}: import {row['batch_id']} brought {row['rows_new']} answers and would have {row['found']}; "
                f"take the import back instead: petrel opinions retract --batch {row['batch_id']}"
            )


def _hashes(lake: Lake, hashes: set[str]) -> Relation:
    return lake.engine.from_arrow(pa.table({"row_hash": pa.array(sorted(hashes), pa.string())}))
