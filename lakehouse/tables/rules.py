"""What must hold for every row of a table, looked at before a commit by the engine that holds the rows."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.engines import Engine, Relation
from lakehouse.tables.digest import SUMS, digest_from_sums
from schemas.digest import Digest
from schemas.model import Table


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of rows before they are committed.

    Attributes:
        digest: Their digest.
        broken: Which rules of the table they break, one sentence each.
        repeated: How many of them have the key of another one; 0 where nobody asked.
    """

    digest: Digest
    broken: tuple[str, ...]
    repeated: int


def judge(engine: Engine, rows: Relation, table: Table, *, keys: bool = False) -> Judged:
    """Return what is known of rows, in one statement.

    Args:
        engine: The engine of the rows.
        rows: With every column of the table.
        table: Its columns say where NULL may be, its checks what else must hold; a check of NULL holds.
        keys: Whether to look for rows with equal keys too.
    """
    required = [column.name for column in table.columns if column.null is None and not column.commit]
    counts = [f"count(*) filter (where {name} is null) as null_{place}" for place, name in enumerate(required)]
    counts += [f"count(*) filter (where not ({check})) as broken_{place}"
               for place, check in enumerate(table.checks.values())]
    if keys:
        counts.append(f"(select count(*) from (select distinct {', '.join(table.key)} from mine) each_key) as num_keys")
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
    return Judged(digest_from_sums(found), tuple(broken), found["n"] - found["num_keys"] if keys else 0)
