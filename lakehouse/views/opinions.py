"""The views over opinions: what holds now, what held then, and what people say by label, merged ones as one.

Texts are in DuckDB's dialect and translate to Spark. Equal event times are settled by the opinion's id, so a
view is a function of the *set* of events and not of the order in which they came.
"""

from __future__ import annotations

from lakehouse.views.view import View
from schemas.opinions import OPINIONS

COLUMNS = ", ".join(f"o.{name}" for name in OPINIONS.column_names)

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
    select e.opinion_id, unnest(e.supersedes) as gone_id from {events} e where e.supersedes is not null
), gone as (
    select e.target_opinion_id as gone_id from {events} e where e.op = 'retract'
    union
    select r.gone_id from replaced r anti join undone u on u.gone_id = r.opinion_id
)"""


def current_opinions_sql(*, known_at: bool = False, valid_at: bool = False, question: bool = False) -> str:
    """Return the text of the current opinions, or of those that held at a point in time.

    Args:
        known_at: Only what we had learned by parameter `$known_at` (timestamp with zone).
        valid_at: Only what had been said by parameter `$valid_at`; those without a time are older than all.
        question: Only answers to the question whose id is parameter `$question`.

    Returns:
        A query over silver.opinions with its columns: per actor, question, subject and slot the last one
        that was neither retracted nor superseded. Abstentions are kept: they hide an earlier answer.
    """
    fallen = fallen_sql(known_at=known_at, valid_at=valid_at, question=question)
    standing = standing_sql(known_at=known_at, valid_at=valid_at, question=question)
    return f"with fallen as ({fallen}) {standing}"


def standing_sql(
    *, known_at: bool = False, valid_at: bool = False, question: bool = False, any_fallen: bool = True
) -> str:
    """Return the text of `current_opinions_sql` where a table `fallen` holds what `fallen_sql` says.

    Where that is nothing (`any_fallen`), no table is read: to compare the ids of all opinions with none takes long.
    """
    fallen = "anti join fallen f on f.opinion_id = o.opinion_id" if any_fallen else ""
    return f"""
select {COLUMNS} from {_events(known_at, valid_at)} o {fallen} where {_said("o", question)}
"""


def fallen_sql(
    *, known_at: bool = False, valid_at: bool = False, question: bool = False, hashed: bool = False
) -> str:
    """Return the text of the ids of answers that do not hold: what is gone, and what has a later one in its place.

    Mostly these are few. An actor says one thing about a subject: only where there is another answer they are put in
    order. A window over all took far more processor, and 0.4 KB of memory for each event [3 million].

    Args:
        known_at: As in `current_opinions_sql`.
        valid_at: The same.
        question: The same.
        hashed: Look for others by a hash: 0.6 of the processor. Whoever meets one by chance is put in order alone. Not
            in what people's queries are made of: the gate refuses it there.
    """
    events = _events(known_at, valid_at)
    names = ("actor_id", "question_id", "subject_id", "slot")
    about = {name: f"{{0}}.{name}" for name in names}
    if hashed:
        about = {"said": f"hash({', '.join(about.values())})"}
    return f"""
with {gone_sql(events)}, several as (
    select {", ".join(f"{text.format('a')} as {name}" for name, text in about.items())}
    from {events} a where {_said("a", question)}
    group by {", ".join(text.format("a") for text in about.values())} having count(*) > 1
), ranked as (
    select s.opinion_id, row_number() over (
        partition by s.actor_id, s.question_id, s.subject_id, s.slot
        order by s.event_time desc nulls last, s.opinion_id desc
    ) as recency
    from {events} s
    semi join several on {" and ".join(f"several.{name} = {text.format('s')}" for name, text in about.items())}
    anti join gone on gone.gone_id = s.opinion_id
    where {_said("s", question)}
)
select gone_id as opinion_id from gone union all select opinion_id from ranked where recency > 1
"""


def _events(known_at: bool, valid_at: bool) -> str:
    conditions = ["ingest_time <= $known_at"] if known_at else []
    conditions += ["(event_time is null or event_time <= $valid_at)"] if valid_at else []
    # In its place each time, and no table of the text: that would be held in memory with all its columns.
    return f"(select * from silver.opinions where {' and '.join(conditions)})" if conditions else "silver.opinions"


def _said(events: str, question: bool) -> str:
    return f"{events}.op <> 'retract'" + (f" and {events}.question_id = $question" if question else "")


MOST_VOTES = 2**63 - 1


def summed_votes(votes: str) -> str:
    """Return SQL of a sum of votes, exact whatever they are: a decimal, which no number of rows makes overflow.

    A sum of bigint ends the query on one engine and wraps round on the other: two votes of 2**63 - 1 are enough.
    """
    return f"sum(cast({votes} as decimal(19, 0)))"


def capped_votes(total: str) -> str:
    """Return SQL of such a sum as a bigint; 2**63 - 1 means that or more."""
    return f"cast(least({total}, {MOST_VOTES}) as bigint)"


STANDS_FOR = """left join merged_labels m
        on m.question_id = o.question_id and m.question_version = o.question_version and m.label_id = o.label"""
"""Joins to an opinion `o` the label `m.stands_for` that its own was merged into."""

LABEL = "coalesce(m.stands_for, o.label)"

VOTED = f"""
select o.subject_id, o.question_id, a.kind as actor_kind, {LABEL} as label,
       {summed_votes("o.votes")} as exact, count(distinct o.actor_id) as num_actors
from current_opinions o join silver.actors a on a.actor_id = o.actor_id
{STANDS_FOR}
where o.op = 'assert' and o.value_kind = 'label'
group by o.subject_id, o.question_id, a.kind, {LABEL}
"""

OPINION_VOTES = f"""
select subject_id, question_id, actor_kind, label, {capped_votes("exact")} as votes, num_actors from ({VOTED}) voted
"""

PEOPLE = "a.kind in ('human', 'pool')"

LABELS = f"""
with voted as (
    select o.subject_id, o.question_id, {LABEL} as label,
        {summed_votes(f"case when {PEOPLE} then o.votes end")} as said,
        {summed_votes("case when a.kind = 'import' then o.votes end")} as brought
    from current_opinions o join silver.actors a on a.actor_id = o.actor_id
    {STANDS_FOR}
    where o.op = 'assert' and o.value_kind = 'label' and ({PEOPLE} or a.kind = 'import')
    group by o.subject_id, o.question_id, {LABEL}
), asked as (
    select *, count(said) over (partition by subject_id, question_id) as by_people from voted
), counted as (
    select subject_id, question_id, label, case when by_people > 0 then said else brought end as exact
    from asked where said is not null or by_people = 0
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
