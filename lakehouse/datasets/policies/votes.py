"""Answers that are counted: how many votes there are for each value, and what a majority of them says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.datasets.policies.kind import Decision
from lakehouse.datasets.policies.newest import OF_RAREST, RANKED, RAREST, SELECTED
from lakehouse.datasets.policies.settings import Label
from lakehouse.views.opinions import capped_votes, summed_votes

COUNTED = """, voters as (
    select subject_id, {all_votes} as num_votes from heard group by subject_id
), counted as (
    select subject_id, said, {votes} as votes from ({said}) each_said group by subject_id, said
), tallied as (
    select subject_id, petrel_votes(said, votes) as tally from counted group by subject_id
)"""


def votes_sql(*columns: str, said: str, labelled: bool = False) -> str:
    """Return SQL as `newest_sql` gives it, with `tally` (value as text -> votes) and `num_votes` beside.

    Args:
        columns: Columns of `heard` that `decide` reads.
        said: SQL over `heard` giving subject_id, said (text) and votes.
        labelled: As `newest_sql`.
    """
    counted = COUNTED.format(
        all_votes=capped_votes(summed_votes("votes")), votes=capped_votes(summed_votes("votes")), said=said
    )
    read = (*columns, "labels") if labelled and "labels" not in columns else columns
    text = RANKED.format(columns=", ".join(read)) + (RAREST if labelled else "") + counted
    values = ", ".join((*(f"r.{name}" for name in columns), "v.num_votes", "t.tally"))
    text += SELECTED.format(values=values, cell=", coalesce(q.label, '') as cell" if labelled else "")
    text += "join voters v on v.subject_id = r.subject_id\nleft join tallied t on t.subject_id = r.subject_id\n"
    return text + (OF_RAREST if labelled else "") + "where r.place = 1\n"


def below_quorum(row: Mapping[str, Any], settings: Label) -> Decision | None:
    """Return that there are too few votes, None if there are enough."""
    if row["num_votes"] < settings.quorum:
        return Decision(reason="below_quorum", detail=f"{row['num_votes']} votes, quorum {settings.quorum}")
    return None


def tally_of(row: Mapping[str, Any]) -> dict[str, int]:
    """Return value -> votes; a list of labels that is empty is a vote for none."""
    return {str(value): int(votes) for value, votes in dict(row["tally"] or ()).items()}


def is_yes(votes: int, total: int, settings: Label) -> bool | None:
    """Return whether these votes carry; None where they are exactly half and a tie is no answer."""
    if settings.min_share:
        return votes >= settings.min_share * total
    if 2 * votes == total:
        return None if settings.ties == "exclude" else False
    return 2 * votes > total


def refuse(settings: Label, *, counting: tuple[str, ...] = ("majority",), shares: bool = True) -> str | None:
    """Return which settings of votes have no meaning under a policy; None if all have.

    Args:
        settings: The recipe's.
        counting: Policies that count.
        shares: Whether `min_share` and `ties` have a meaning for them.
    """
    usual = Label()
    names = () if settings.policy in counting and shares else ("min_share", "ties")
    for name in (*(() if settings.policy in counting else ("quorum",)), *names):
        if getattr(settings, name) != getattr(usual, name):
            return f"label.{name} has no meaning under label.policy = {settings.policy!r}; leave it out"
    return None
