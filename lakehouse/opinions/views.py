"""The views over opinions: what holds now, what held then, and what people say by label.

Texts are in DuckDB's dialect and translate to Spark. Equal event times are settled by the opinion's id, so a
view is a function of the *set* of events and not of the order in which they came.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.opinions import OPINIONS

# Named one by one, and no QUALIFY: translated for Spark it would add its helper column to `select *`.
COLUMNS = ", ".join(OPINIONS.column_names)


class View(NamedTuple):
    """One view: its text over tables and other views, and what one row is."""

    sql: str
    doc: str


IMPORT_TAKEN_BACK = "{0}.op = 'retract' and {0}.ext['taken_back'] is not null"
"""Whether an event takes back an answer because its whole import is; `ext['taken_back']` is that batch."""


def gone_sql(events: str) -> str:
    """Return the tables `undone` and `gone` (a `gone_id` each) of a WITH list, over opinions called `events`.

    Gone is what was retracted, and what another answer superseded, unless that one came with an import that was
    taken back: then it is as if it had never been said.
    """
    return f"""undone as (
    select e.target_opinion_id as gone_id from {events} e where {IMPORT_TAKEN_BACK.format("e")}
), replaced as (
    select opinion_id, unnest(supersedes) as gone_id from {events} where supersedes is not null
), gone as (
    select target_opinion_id as gone_id from {events} where op = 'retract'
    union
    select r.gone_id from replaced r where not exists (select 1 from undone u where u.gone_id = r.opinion_id)
)"""


def current_opinions_sql(*, known_at: bool = False, valid_at: bool = False) -> str:
    """Return the text of the current opinions, or of those that held at a point in time.

    Args:
        known_at: Only what we had learned by parameter `$known_at` (timestamp with zone).
        valid_at: Only what had been said by parameter `$valid_at`; those without a time are older than all.

    Returns:
        A query over silver.opinions with its columns: per actor, question, subject and slot the last one
        that was neither retracted nor superseded. Abstentions are kept: they hide an earlier answer.
    """
    conditions = []
    if known_at:
        conditions.append("ingest_time <= $known_at")
    if valid_at:
        conditions.append("(event_time is null or event_time <= $valid_at)")
    where = f"where {' and '.join(conditions)}" if conditions else ""
    return f"""
with arrived as (
    select {COLUMNS}, row_number() over (partition by opinion_id order by ingest_seq) as arrival
    from silver.opinions {where}
), seen as (
    select {COLUMNS} from arrived where arrival = 1
), {gone_sql("seen")}, standing as (
    select {COLUMNS}, row_number() over (
        partition by actor_id, question_id, subject_id, slot
        order by event_time desc nulls last, opinion_id desc
    ) as recency
    from seen
    where op <> 'retract' and not exists (select 1 from gone where gone.gone_id = seen.opinion_id)
)
select {COLUMNS} from standing where recency = 1
"""


MOST_VOTES = 2**63 - 1


def summed_votes(votes: str) -> str:
    """Return SQL of a sum of votes, exact whatever they are: a decimal, which no number of rows makes overflow.

    A sum of bigint ends the query on one engine and wraps round on the other: two votes of 2**63 - 1 are enough.
    """
    return f"sum(cast({votes} as decimal(19, 0)))"


def capped_votes(total: str) -> str:
    """Return SQL of such a sum as a bigint; 2**63 - 1 means that or more."""
    return f"cast(least({total}, {MOST_VOTES}) as bigint)"


VOTED = f"""
select o.subject_id, o.question_id, a.kind as actor_kind, o.label,
       {summed_votes("o.votes")} as exact, count(distinct o.actor_id) as num_actors
from current_opinions o join silver.actors a on a.actor_id = o.actor_id
where o.op = 'assert' and o.value_kind = 'label'
group by o.subject_id, o.question_id, a.kind, o.label
"""

OPINION_VOTES = f"""
select subject_id, question_id, actor_kind, label, {capped_votes("exact")} as votes, num_actors from ({VOTED}) voted
"""

LABELS = f"""
with voted as ({VOTED}), tiered as (
    select *, case when actor_kind in ('human', 'pool') then 1 when actor_kind = 'import' then 2 end as tier
    from voted
), best as (
    select subject_id, question_id, min(tier) as tier from tiered group by subject_id, question_id
), counted as (
    select t.subject_id, t.question_id, t.label, sum(t.exact) as exact
    from tiered t join best b
      on b.subject_id = t.subject_id and b.question_id = t.question_id and b.tier = t.tier
    group by t.subject_id, t.question_id, t.label
)
select subject_id, question_id, label, {capped_votes("exact")} as votes,
       cast(exact as double) / cast(sum(exact) over (partition by subject_id, question_id) as double) as share,
       row_number() over (partition by subject_id, question_id order by exact desc, label) as rank,
       count(*) over (partition by subject_id, question_id, exact) - 1 as tied_with
from counted
"""

VIEWS: dict[str, View] = {
    "opinions": View("select * from silver.opinions", "One row per answer event, nothing left out."),
    "current_opinions": View(
        current_opinions_sql(),
        "Per actor, question, subject and slot the last answer that was neither retracted nor superseded.",
    ),
    "opinion_votes": View(
        OPINION_VOTES,
        "Votes by label and kind of actor, over current opinions; predictions (kind model) included. A sum of "
        "9223372036854775807 means that or more.",
    ),
    "labels": View(
        LABELS,
        "Votes by label of people (kinds human and pool), where there are none of imports; rank 1 is the "
        "majority, equal votes rank by label and say so in tied_with. Models, rules and consensus never count.",
    ),
}
"""View name -> text and meaning."""
