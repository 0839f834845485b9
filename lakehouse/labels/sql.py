"""A policy as SQL: one text, in DuckDB's dialect, that both engines run over the opinions of a lake."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.labels.policy import WEIGHT_DIGITS, Policy, Step
from lakehouse.views.ontology import merged_labels_sql
from lakehouse.views.opinions import current_opinions_sql
from schemas.tables import OPINIONS

KEY = "k_label, k_number, k_text"
"""What makes two answers equal: the label that stands for theirs, a number, or a text (of lists: their parts)."""

PLACE = "question_id, subject_id, step"

VALUES = ("value_kind", "label", "labels", "number", "text", "ranking", "regions", "opinion_id")

BELIEVED = pa.schema([
    ("question_id", pa.string()), ("subject_id", pa.string()),
    *((name, OPINIONS.arrow_schema.field(name).type) for name in VALUES),
    ("step", pa.int32()), ("votes", pa.float64()), ("all_votes", pa.float64()), ("share", pa.float64()),
    ("leaders", pa.int64()), ("label_votes", pa.map_(pa.string(), pa.int64())), ("problem", pa.string()),
])  # fmt: skip
"""Columns of what a policy believes; see `believed_sql`."""

ROWS_PER_TASK = 2_000
"""Rows of a task that puts believed regions right."""


def believed_sql(policy: Policy, *, question: bool = True, known_at: bool = False, valid_at: bool = False) -> str:
    """Return the text of what a policy believes.

    Args:
        policy: The policy; it stands in the text as literals.
        question: Only of parameter `$question`; False takes every question.
        known_at: Only what we had learned by parameter `$known_at` (timestamp with zone): opinions and label sets.
        valid_at: Only what had been said by parameter `$valid_at`; answers without a time are older than all.

    Returns:
        A query with one row for each question and subject that anybody heard answered about: question_id,
        subject_id; value_kind; label, labels, number, text, ranking, regions of the answer; opinion_id, the newest
        opinion that says so; step, counted from 1; votes, all_votes (double, with their weights), share (0 to 1),
        leaders (answers with so many votes); label_votes (label -> votes times `scale(policy)`); problem: why there is
        no answer (`below_quorum`, `tie`, `below_share`), NULL where there is one. Without an answer all of the value is
        NULL.
    """
    scale = float(scale_of(policy))
    return f"""
with {_judged(policy, question=question, known_at=known_at, valid_at=valid_at)}, by_label as (
    select {PLACE}, petrel_votes(k_label, cast(least(backing, 9223372036854775807) as bigint)) as label_votes
    from options where k_label is not null group by {PLACE}
)
select p.question_id, p.subject_id,
    case when p.problem is null then p.value_kind end as value_kind,
    case when p.problem is null then p.k_label end as label,
    case when p.problem is null then o.labels end as labels,
    case when p.problem is null then o.number end as number,
    case when p.problem is null then o.text end as text,
    case when p.problem is null then o.ranking end as ranking,
    case when p.problem is null then o.regions end as regions,
    case when p.problem is null then p.opinion_id end as opinion_id,
    p.step, cast(p.backing as double) / {scale!r} as votes, cast(p.heard as double) / {scale!r} as all_votes,
    cast(p.backing as double) / cast(p.heard as double) as share, p.leaders, b.label_votes, p.problem
from picked p
join silver.opinions o on o.opinion_id = p.opinion_id
left join by_label b on b.question_id = p.question_id and b.subject_id = p.subject_id and b.step = p.step
"""


def backing_sql(policy: Policy, *, question: bool = True, known_at: bool = False, valid_at: bool = False) -> str:
    """Return the text of the opinions on which the answers of a policy rest; arguments as `believed_sql`.

    Returns:
        A query with question_id, subject_id, step, opinion_id, weight (votes times their weight times
        `scale_of(policy)`, decimal): the opinions of the step that decided which say what it came to; of a soft policy
        all of that step.
    """
    same = "" if policy.soft else "".join(f" and s.{name} is not distinct from p.{name}" for name in KEY.split(", "))
    return f"""
with {_judged(policy, question=question, known_at=known_at, valid_at=valid_at)}
select s.question_id, s.subject_id, s.step, s.opinion_id, s.weight
from said s join picked p on p.question_id = s.question_id and p.subject_id = s.subject_id and p.step = s.step{same}
where p.problem is null
"""


def scale_of(policy: Policy) -> int:
    """Return what one vote of weight 1 counts in whole numbers."""
    return 10**WEIGHT_DIGITS if any(step.weights for step in policy.steps) else 1


def _judged(policy: Policy, *, question: bool, known_at: bool, valid_at: bool) -> str:
    """Return the tables of a WITH list: `said`, `options` (answers and their votes), `picked` (one a subject)."""
    scale = scale_of(policy)
    asked = " and o.question_id = $question" if question else ""
    by_step = {
        "quorum": [str(round(step.quorum * scale)) for step in policy.steps],
        "least": [str(round(step.min_share * 10**WEIGHT_DIGITS)) for step in policy.steps],
        "excludes": ["false" if policy.soft or step.ties != "exclude" else "true" for step in policy.steps],
        "newest": ["true" if step.ties == "latest" else "false" for step in policy.steps],
        "united": ["true" if step.min_support > 0 else "false" for step in policy.steps],
    }
    case = {name: _case("step", values) for name, values in by_step.items()}
    sure = " or ".join(
        f"(s.step = {number} and {_sure(step)})" for number, step in enumerate(policy.steps, start=1)
    )
    return f"""opined as (
    {current_opinions_sql(known_at=known_at, valid_at=valid_at)}
), merged as (
    {merged_labels_sql(known_at=known_at)}
), steps as (
    {" union all ".join(_step(number, step, scale) for number, step in enumerate(policy.steps, start=1))}
), said as (
    select o.question_id, o.subject_id, s.step, o.value_kind, o.opinion_id, o.event_time,
        cast(o.votes as decimal(19, 0)) * s.weight as weight,
        case when o.value_kind = 'label' then coalesce(m.stands_for, o.label) end as k_label,
        case when o.value_kind in ('number', 'bool') then o.number end as k_number,
        case when o.value_kind = 'text' then o.text
            when o.value_kind = 'labels' then array_to_string(list_sort(o.labels), '\x1f')
            when o.value_kind = 'ranking' then array_to_string(o.ranking, '\x1f')
            when o.value_kind in ('regions', 'spans') and {_case("s.step", by_step["united"])} then ''
            when o.value_kind in ('regions', 'spans', 'embedding') then o.opinion_id
        end as k_text
    from opined o join steps s on s.actor_id = o.actor_id
    left join merged m
        on m.question_id = o.question_id and m.question_version = o.question_version and m.label_id = o.label
    where o.op = 'assert'{asked} and ({sure})
), counted as (
    select *, sum(weight) over (partition by {PLACE}, {KEY}) as backing,
        sum(weight) over (partition by {PLACE}) as heard,
        row_number() over (
            partition by {PLACE}, {KEY} order by event_time desc nulls last, opinion_id desc
        ) as age
    from said
), options as (
    select *, max(backing) over (partition by {PLACE}) as most,
        row_number() over (
            partition by {PLACE} order by backing desc, case when {case["newest"]} then event_time end desc nulls last,
            case when {case["newest"]} then opinion_id end desc nulls last,
            coalesce(k_label, ''), coalesce(k_number, 0), coalesce(k_text, '')
        ) as place
    from counted where age = 1
), led as (
    select *, sum(case when backing = most then 1 else 0 end) over (partition by {PLACE}) as leaders from options
), judged as (
    select question_id, subject_id, step, value_kind, opinion_id, {KEY}, backing, heard,
        cast(leaders as bigint) as leaders,
        case when heard < {case["quorum"]} then 'below_quorum'
            when leaders > 1 and {case["excludes"]} then 'tie'
            when backing * {10**WEIGHT_DIGITS} < heard * {case["least"]} then 'below_share'
        end as problem
    from led where place = 1
), ordered as (
    select *, row_number() over (
        partition by question_id, subject_id
        order by case when problem is null then 0 else 1 end, case when problem is null then step else -step end
    ) as turn
    from judged
), picked as (
    select * from ordered where turn = 1
)"""


def _step(number: int, step: Step, scale: int) -> str:
    weights = "".join(
        f" when {_text(actor)} then {round(weight * scale)}" for actor, weight in sorted(step.weights.items())
    )
    weight = f"case a.actor_id{weights} else {scale} end" if weights else str(scale)
    named = [actor for actor in step.actors if not actor.endswith("*")]
    begun = [actor.removesuffix("*") for actor in step.actors if actor.endswith("*")]
    conditions = [f"a.actor_id in ({', '.join(map(_text, sorted(named)))})"] if named else []
    conditions += [f"substr(a.actor_id, 1, {len(each)}) = {_text(each)}" for each in sorted(begun)]
    if step.kinds:
        conditions.append(f"a.kind in ({', '.join(map(_text, sorted(step.kinds)))})")
    return (
        f"select {number} as step, a.actor_id, cast({weight} as decimal(12, 0)) as weight "
        f"from silver.actors a where {' or '.join(conditions)}"
    )


def _sure(step: Step) -> str:
    if step.min_confidence == 0:
        return "true"
    return f"coalesce(o.confidence, o.probs[o.label]) >= cast({step.min_confidence!r} as double)"


def _case(column: str, values: list[str]) -> str:
    if len(set(values)) == 1:
        return values[0]
    return f"case {column} {' '.join(f'when {number} then {value}' for number, value in enumerate(values, 1))} end"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
