"""What a policy that unites regions believes, as rows: no SQL says which boxes of several people are of one object."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa

from lakehouse.engines.dialect import bind, table_names
from lakehouse.labels.believed import merges_of
from lakehouse.labels.merged import merged_batches
from lakehouse.labels.policy import Policy
from lakehouse.labels.sql import BELIEVED, backing_sql, believed_sql
from lakehouse.labels.union import HEARD, united_batches
from lakehouse.views.ontology import merged_labels_sql

BATCH_ROWS = 2_000


def united_rows(
    connection: Any, policy: Policy, question: str, *, known_at: datetime | None, valid_at: datetime | None
) -> pa.Table:
    """Return what `lakehouse.labels` gives, from a connection on which the tables of a lake are defined.

    Args:
        connection: DuckDB's.
        policy: The policy.
        question: The question.
        known_at: As we knew it then.
        valid_at: As had been said by then.
    """
    params = {"question": question, "known_at": known_at, "valid_at": valid_at}
    told = {"known_at": known_at is not None, "valid_at": valid_at is not None}

    def bound(text: str) -> str:
        return bind(text, {name: name for name in table_names(text)}, params, dialect="duckdb")

    mapped = connection.execute(bound(merged_labels_sql(known_at=known_at is not None))).to_arrow_table()
    merges = merges_of(mapped.to_pylist(), question)
    text = (
        f"with believed as ({bound(believed_sql(policy, **told))}), backing as ({bound(backing_sql(policy, **told))}) "
        f"{HEARD}"
    )
    rows = connection.execute(text).to_arrow_table().to_batches(max_chunksize=BATCH_ROWS)
    found = united_batches(iter(rows), steps=policy.steps, schema=BELIEVED, merges=merges)
    return pa.Table.from_batches(merged_batches(found, merges=merges, schema=BELIEVED), BELIEVED)
