"""What must hold for every row of a table, looked at before a commit by the engine that holds the rows."""

from __future__ import annotations

from lakehouse.engines import Engine, Relation
from lakehouse.tables.digest import SUMS, digest_from_sums
from schemas.digest import Digest
from schemas.model import Table


def judge(engine: Engine, rows: Relation, table: Table) -> tuple[Digest, list[str]]:
    """Return the digest of rows and which rules of the table they break, one sentence each; one pass over the rows.

    Args:
        engine: The engine of the rows.
        rows: With every column of the table.
        table: Its columns say where NULL may be, its checks what else must hold; a check of NULL holds.
    """
    required = [column.name for column in table.columns if column.null is None and not column.commit]
    counts = [f"count(*) filter (where {name} is null) as null_{place}" for place, name in enumerate(required)]
    counts += [f"count(*) filter (where not ({check})) as broken_{place}"
               for place, check in enumerate(table.checks.values())]
    text = f"select {', '.join([SUMS, *counts])} from mine"
    found = engine.arrow(engine.sql(text, {"mine": rows}, {})).to_pylist()[0]
    broken = [
        f"{name} is NULL in {found[f'null_{place}']} of {found['n']} rows and may not be"
        for place, name in enumerate(required) if found[f"null_{place}"]
    ]
    broken += [
        f"{found[f'broken_{place}']} of {found['n']} rows break {name}: {check}"
        for place, (name, check) in enumerate(table.checks.items()) if found[f"broken_{place}"]
    ]
    return digest_from_sums(found), broken
