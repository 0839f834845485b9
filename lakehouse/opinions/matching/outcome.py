"""Settling what becomes of every answer: new, known already, unmatched, ambiguous or changed."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.opinions.matching.frames import fit_to_pictures
from lakehouse.opinions.matching.names import match_subjects
from lakehouse.opinions.matching.subjects import SubjectRule
from lakehouse.opinions.reading.answer_rows import ITEMS
from lakehouse.opinions.writing.contradictions import set_beside
from lakehouse.opinions.writing.rows import IDS, opinion_ids
from lakehouse.query import fetch, query
from lakehouse.views.opinions import IMPORT_TAKEN_BACK, gone_sql

ROWS_PER_TASK = 20_000

CARRIED = ("answer", "regions", "said")
"""What no decision looks at, and most of the bytes: it stays in the items until the rows are made."""

TOUCHED = """
select o.opinion_id, o.op, o.actor_id, o.question_id, o.subject_id, o.slot, o.event_time, o.value_hash, o.source_key,
    o.label, o.supersedes
from silver.opinions o where o.subject_id in (select about from offered)
"""
"""All that was ever said about the subjects of this import: found once, not by a scan of all for every question."""

STANDING = f"""
with asked as (
    select distinct actor_id, question_id, about from offered
), {gone_sql("silver.opinions")}
select o.opinion_id, o.actor_id, o.question_id, o.subject_id, o.slot, o.event_time, o.value_hash, o.source_key,
    o.label, o.supersedes, row_number() over (
        partition by o.actor_id, o.question_id, o.subject_id, o.slot
        order by o.event_time desc nulls last, o.opinion_id desc
    ) as recency
from touched o
join asked a on a.actor_id = o.actor_id and a.question_id = o.question_id and a.about = o.subject_id
where o.op <> 'retract' and not exists (select 1 from gone g where g.gone_id = o.opinion_id)
"""
"""What the actors of this import say by now about its subjects, with its rank by time."""

OFFERED = f"""
select {", ".join(f"i.{name}" for name in ITEMS.names if name not in CARRIED)}, m.subject_id, m.candidates, m.fitting,
    coalesce(m.subject_id, i.asked) as about,
    row_number() over (order by i.part, i.line) as place,
    row_number() over (
        partition by i.identity, i.actor_id, i.question_id, i.question_version,
            coalesce(m.subject_id, i.asked), i.slot, i.event_time, i.value_hash
        order by i.part, i.line
    ) as repeat_no,
    first_value(i.value_hash) over (partition by i.identity order by i.part, i.line) as first_hash,
    first_value(i.value_hash) over (
        partition by i.identity, i.actor_id, i.question_id, i.question_version,
            coalesce(m.subject_id, i.asked), i.slot, i.event_time
        order by i.part, i.line
    ) as first_said
from items i
left join (select asked, subject_id, candidates, fitting from matches) m on m.asked = i.asked
where i.kind = 'answer'
"""
"""Answers with their subject and their place among rows equal in everything."""

HELD = """
select o.part, o.line, min(s.opinion_id) as held_id
from offered o
join standing s on s.actor_id = o.actor_id and s.question_id = o.question_id and s.subject_id = o.subject_id
    and s.slot = o.slot and s.value_hash = o.value_hash
where o.identity is null and o.candidates = 1 and o.op <> 'retract' and (
    s.event_time is not distinct from o.event_time
    or (o.event_time_source <> 'source' and s.recency = 1
        and (s.event_time is null or s.event_time <= o.event_time))
)
group by o.part, o.line
"""
"""Answers whose actor says the same already. An undated one is new only where it differs from the current one."""

REPLACED = """
with pairs as (
    select o.part, o.line, s.opinion_id, s.supersedes
    from offered o
    join standing s on s.actor_id = o.actor_id and s.question_id = o.question_id and s.subject_id = o.subject_id
        and (s.slot = o.slot or s.slot = o.base_slot or s.slot = o.base_slot || '=' || s.label)
        and s.event_time is not distinct from o.event_time
    where o.candidates = 1 and o.op <> 'retract' and (s.value_hash <> o.value_hash or s.slot <> o.slot)
        and (o.identity is null or s.source_key = o.source_key)
        and not exists (
            select 1 from offered p
            where p.actor_id = s.actor_id and p.question_id = s.question_id and p.subject_id = s.subject_id
                and p.slot = s.slot and p.event_time is not distinct from s.event_time and p.value_hash = s.value_hash
        )
), earlier as (
    select part, line, opinion_id, 1 as direct from pairs
    union
    select part, line, unnest(supersedes) as opinion_id, 0 as direct from pairs where supersedes is not null
)
select part, line, list(opinion_id) filter (where direct = 1) as replaced, list(opinion_id) as superseded
from earlier group by part, line
"""
"""What a correction takes the place of: same actor, question, subject, slot and time, no longer in the source.

Answers that stood beside others in slots of their own (see `beside`) are replaced by what the source says by now.

`superseded` has what those had replaced as well: it must not stand again when one in between is taken back.
"""

TAKEN_BACK = f"""
select o.part, o.line, list(t.opinion_id) as taken_back
from offered o
join touched s on s.actor_id = o.actor_id and s.question_id = o.question_id and s.subject_id = o.subject_id
    and s.slot = o.slot and s.event_time is not distinct from o.event_time and s.value_hash = o.value_hash
    and s.source_key is not distinct from o.source_key
join silver.opinions t on t.target_opinion_id = s.opinion_id
where o.candidates = 1 and o.op <> 'retract' and {IMPORT_TAKEN_BACK.format("t")}
group by o.part, o.line
"""
"""Answers that an import brought which was taken back as a whole: said again they are other events."""

SAID_BEFORE = {"held": HELD, "replaced": REPLACED, "taken_back": TAKEN_BACK}

FATES = """
select o.*, h.held_id, r.replaced, r.superseded, t.taken_back,
    case
        when o.identity is not null and o.value_hash <> o.first_hash then 'changed'
        when $one_each = 1 and o.identity is null and o.event_time_source <> 'source'
            and o.value_hash <> o.first_said then 'contradicting'
        when o.repeat_no > 1 and o.identity is null and o.event_time_source <> 'source' and $repeat = ''
            then 'ambiguous'
        when o.repeat_no > 1 and ($repeat <> 'event' or o.identity is not null) then 'same'
        when o.candidates is null or o.candidates > 1 then 'unmatched'
        when h.held_id is not null then 'same'
        else 'new'
    end as first_fate
from offered o
left join held h on h.part = o.part and h.line = o.line
left join replaced r on r.part = o.part and r.line = o.line
left join taken_back t on t.part = o.part and t.line = o.line
"""

KNOWN = """
select f.*, i.opinion_id as made_id, k.value_hash as known_hash, s.value_hash as current_hash
from fates f
left join ids i on i.part = f.part and i.line = f.line
left join (select opinion_id, value_hash from {held}) k on k.opinion_id = i.opinion_id
left join standing s on s.actor_id = f.actor_id and s.question_id = f.question_id and s.subject_id = f.about
    and s.slot = f.slot and s.recency = 1
"""

SETTLED = """
select kind, location, rule, reason, raw, subject_key, asked, notes, fitting, subject_id,
    candidates, identity, part, line, place, repeat_no, replaced, superseded, taken_back, value_hash, current_hash,
    op, actor_id, question_id, question_version, slot, event_time, about,
    coalesce(held_id, made_id) as opinion_id,
    case when known_hash is null then first_fate when known_hash = value_hash then 'same' else 'changed' end as fate,
    case when op <> 'retract' and first_fate = 'new' then lag(coalesce(held_id, made_id)) over (
        partition by actor_id, question_id, about, slot, event_time,
            case when op <> 'retract' and coalesce(held_id, made_id) is not null then 1 else 0 end
        order by part, line
    ) end as previous_id
from known
union all
select kind, location, rule, reason, raw, subject_key, asked, notes, null, null,
    null, identity, part, line, null, null, null, null, null, value_hash, null,
    null, null, null, null, null, null, null, null, 'reject', null
from items where kind = 'reject'
"""
"""One row per record, with what becomes of it. Of contradicting answers at one time the later row is current."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the records of an import.

    Attributes:
        fates: One row for every record: its fate, its opinion id, what it supersedes; columns of `SETTLED`.
        items: The records as they are taken: `ITEMS`, told apart by part and line.
    """

    fates: Relation
    items: Relation


def settle(
    lake: Lake, items: Relation, rule: SubjectRule, *, repeat: str, guess: bool = True, one_each: bool = False
) -> Settled:
    """Decide about every record of `items`: its fate, its opinion id and what it supersedes.

    Args:
        lake: The lake; the caller holds the import lock.
        items: Rows of `ITEMS`, staged.
        rule: How subjects are found.
        guess: Whether a name that fits nowhere may be guessed; only where all names of a source are seen.
        repeat: What equal rows without id and time are: event, duplicate, votes or "" (refused).
        one_each: Whether answers without id and time that say otherwise than an earlier one are refused.
    """
    stage = lake.engine.stage
    matches = match_subjects(lake, items, rule, guess=guess)
    items = set_beside(lake, fit_to_pictures(lake, items, matches), matches)
    offered = stage(query(lake, OFFERED, inputs={"items": items, "matches": matches}))
    touched = stage(query(lake, TOUCHED, inputs={"offered": offered}))
    standing = stage(query(lake, STANDING, inputs={"offered": offered, "touched": touched}))
    both = {"offered": offered, "standing": standing, "touched": touched}
    parts = {"offered": offered}
    parts |= {name: query(lake, text, inputs=both) for name, text in SAID_BEFORE.items()}
    fates = stage(query(lake, FATES, inputs=parts, params={"repeat": repeat, "one_each": int(one_each)}))
    ids = lake.engine.map_batches(
        query(lake, "select * from fates where first_fate = 'new'", inputs={"fates": fates}),
        opinion_ids,
        IDS,
        rows_per_task=ROWS_PER_TASK,
        label="opinion ids",
    )
    # An id of our making is of one subject; one that a source gave may be that of an answer about another.
    given = fetch(lake, "select count(*) as n from offered where identity is not null", inputs={"offered": offered})
    known = query(
        lake, KNOWN.format(held="silver.opinions" if given[0]["n"] else "touched"),
        inputs={"fates": fates, "ids": ids, "standing": standing, "touched": touched},
    )
    return Settled(stage(query(lake, SETTLED, inputs={"known": known, "items": items})), items)
