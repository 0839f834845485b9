"""What receipts and counts tell about rows elsewhere: the loss of rows that no log remembers."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.erasures import erased_members, erased_opinions
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.query import Pins, fetch, query
from lakehouse.tables.digest import relation_digest
from schemas.tables import BATCHES, DATASET_MEMBERS, OPINIONS

# More is right: a killed import, and answers that were parked, add to what a batch had brought.
SHORT_BATCHES = """
select b.batch_id, b.source, b.rows_new as expected, coalesce(o.n, 0) as found
from silver.batches b
left join (select batch_id, count(*) as n from silver.opinions group by batch_id) o on o.batch_id = b.batch_id
where coalesce(o.n, 0) < b.rows_new
order by b.ordinal
"""

MEMBERS = "select * from gold.dataset_members where dataset_id = $id"


def short_batches(lake: Lake, pins: Mapping[str, int]) -> list[str]:
    """Return one sentence for each import of which opinions are gone.

    Args:
        lake: The lake.
        pins: Versions of silver.batches and silver.opinions; that of the batches taken no later.
    """
    erased = erased_opinions(lake.home)
    return [
        f"{OPINIONS.name}: import {row['batch_id']} of source {row['source']} brought {row['expected']} rows, as "
        f"{BATCHES.name} says, found {row['found']}: commits are lost; `petrel mend` puts the table back from "
        "a copy, or import the same files again into a new lake"
        for row in fetch(lake, SHORT_BATCHES, pins={name: pins[name] for name in (BATCHES.name, OPINIONS.name)})
        if row["found"] + erased.get(row["batch_id"], 0) < row["expected"]
    ]


def check_batches(lake: Lake, pins: Mapping[str, int]) -> None:
    """Check that the opinions of every import are there; see `short_batches`.

    Raises:
        TableError: For the first import that is not whole.
    """
    for problem in short_batches(lake, pins):
        raise TableError(problem)


def lost_members(lake: Lake, dataset_id: str, pins: Pins | None = None) -> str | None:
    """Return a sentence if a dataset version has lost members, or has others than when it was built; else None."""
    text = "select name, members, members_digest from gold.datasets where dataset_id = $id"
    for row in fetch(lake, text, params={"id": dataset_id}, pins=pins):
        found = relation_digest(lake.engine, query(lake, MEMBERS, params={"id": dataset_id}, pins=pins))
        if str(found) == row["members_digest"]:
            continue
        if str(found + erased_members(lake.home, dataset_id)) != row["members_digest"]:
            return (
                f"{DATASET_MEMBERS.name}: dataset {row['name']} ({dataset_id}) was built with {row['members']} members "
                f"of digest {row['members_digest']}, found {found.rows} of {found}: commits are lost; build it again "
                "from the same lake, or put the table back from a copy"
            )
    return None


def check_members(lake: Lake, dataset_id: str) -> None:
    """Check that the members of a dataset version are those that were built; see `lost_members`.

    Raises:
        TableError: If they are not.
    """
    problem = lost_members(lake, dataset_id)
    if problem is not None:
        raise TableError(problem)
