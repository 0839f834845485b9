"""carry: current opinions about parents -> opinions about what transforms made of them; append-only."""

from __future__ import annotations

import functools
import hashlib

from lakehouse.carrying.answers import HOW, MATCH, ORIGIN, PAIRED, THROUGH, carried_batches, pairs_text
from lakehouse.carrying.regions import Pairs
from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.opinions.matching.frames import SIZES
from lakehouse.opinions.matching.subjects import SubjectRule
from lakehouse.opinions.reading.answer_rows import ITEMS
from lakehouse.opinions.remarks import tell_notes
from lakehouse.opinions.writing.batch import Content, next_batch
from lakehouse.opinions.writing.write import Import, absorb, import_lock
from lakehouse.query import fetch, query
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.views.opinions import gone_sql
from schemas.canonical import canonical_json
from schemas.tables import OPINIONS

FORMAT = "carried"
ROWS_PER_TASK = 1_000

MADE = """
select parent_id, entity_id as child_id, affine from (
    select d.*, row_number() over (partition by d.parent_id, d.entity_id order by d.place) as nth
    from silver.derivations d
    where d.operation = $operation and d.parameters_json = $parameters and d.place > 0 and d.entity_id <> d.parent_id
) numbered where nth = 1
"""
"""What the chain made, once for each parent and child."""

STANDING = f"""
with {gone_sql("silver.opinions")}
select o.opinion_id, o.actor_id, o.question_id, o.question_version, o.subject_id, o.subject_kind, o.slot,
    o.ext['{ORIGIN}'] as origin, o.ext['{HOW}'] as how, o.ext['{PAIRED}'] as pairs
from silver.opinions o join (select distinct child_id from made) m on m.child_id = o.subject_id
where o.op <> 'retract' and not exists (select 1 from gone g where g.gone_id = o.opinion_id)
"""
"""What holds about these children: said of them (without origin), or carried over."""

PAIRS = f"""
with wanted as (
    select o.opinion_id, o.subject_id, o.actor_id, o.question_id, o.slot, o.event_time, m.child_id, m.affine,
        case when exists (
            select 1 from standing s where s.subject_id = m.child_id and s.actor_id = o.actor_id
                and s.question_id = o.question_id and s.slot = o.slot and s.origin is null
        ) then 1 else 0 end as direct
    from current_opinions o
    join made m on m.parent_id = o.subject_id
    join silver.actors a on a.actor_id = o.actor_id
    where (a.kind <> 'model' or $models = 1)
        and coalesce(o.ext['{THROUGH}'], '') not like '%' || m.child_id || '%'
), ranked as (
    select *, row_number() over (
        partition by child_id, actor_id, question_id, slot, direct order by event_time desc nulls last, opinion_id desc
    ) as nth
    from wanted
)
select opinion_id, subject_id, actor_id, question_id, slot, child_id, affine,
    case
        when direct = 1 then 'said_of_the_child'
        when nth > 1 then 'said_of_another_parent'
        when exists (
            select 1 from standing s
            where s.subject_id = ranked.child_id and s.origin = ranked.opinion_id and s.how = $how
                and coalesce(s.pairs, $pairs) = $pairs
        ) then 'known'
        else 'todo'
    end as fate
from ranked
"""
"""Current opinions of parents on children, and what becomes of each."""

TODO = f"""
with {SIZES}, outdated as (
    select s.subject_id as child_id, s.actor_id, s.question_id, s.slot, min(s.question_version) as question_version,
        min(s.subject_kind) as subject_kind, list(s.opinion_id) as replaced
    from standing s join silver.actors k on k.actor_id = s.actor_id
    where s.how = $how and (k.kind <> 'model' or $models = 1) and not exists (
        select 1 from pairs p
        where p.child_id = s.subject_id and p.opinion_id = s.origin and p.fate = 'known'
    )
    group by s.subject_id, s.actor_id, s.question_id, s.slot
), asked as (
    select p.opinion_id, coalesce(p.child_id, v.child_id) as child_id, p.affine, v.replaced,
        coalesce(p.actor_id, v.actor_id) as the_actor, coalesce(p.question_id, v.question_id) as the_question,
        coalesce(p.slot, v.slot) as the_slot, v.question_version as the_version, v.subject_kind as the_kind
    from (select * from pairs where fate = 'todo') p
    full outer join outdated v on v.child_id = p.child_id and v.actor_id = p.actor_id
        and v.question_id = p.question_id and v.slot = p.slot
), told as (
    select o.ext['{ORIGIN}'] as origin, o.subject_id as child_id, count(*) as times
    from silver.opinions o where o.ext['{HOW}'] = $how and o.op <> 'retract'
    group by o.ext['{ORIGIN}'], o.subject_id
)
select {{columns}}, a.child_id, a.affine, a.replaced,
    a.the_actor as actor_id, a.the_question as question_id, a.the_slot as slot,
    coalesce(o.question_version, a.the_version) as question_version,
    coalesce(o.subject_kind, a.the_kind) as subject_kind, coalesce(b.times, 0) as times,
    row_number() over (order by a.child_id, a.the_question, a.the_actor, a.the_slot) as place,
    p.object_uri as parent_object_uri, c.object_uri as child_object_uri,
    pr.width as parent_width, pr.height as parent_height, pr.orientation as parent_orientation,
    cr.width as child_width, cr.height as child_height, cr.orientation as child_orientation
from asked a
left join silver.opinions o on o.opinion_id = a.opinion_id
left join told b on b.origin = a.opinion_id and b.child_id = a.child_id
left join silver.entities p on p.entity_id = o.subject_id
left join silver.entities c on c.entity_id = a.child_id
left join ranked pr on pr.entity_id = o.subject_id and pr.age = 1
left join ranked cr on cr.entity_id = a.child_id and cr.age = 1
""".format(columns=", ".join(
    f"o.{name}" for name in OPINIONS.column_names
    if name not in ("actor_id", "question_id", "question_version", "subject_kind", "slot")
))  # fmt: skip
"""What is to be said, what of that takes the place of which, and what is to be taken back, with sizes of pictures."""

OUTCOME = """
select count(case when kind = 'answer' and op <> 'retract' then 1 end) as said,
    count(case when kind = 'answer' and op = 'retract' then 1 end) as taken_back,
    count(case when kind = 'note' then 1 end) as not_carried
from items
"""


def carry(lake: Lake, operation: str, parameters_json: str, *, models: bool = False, pairs: Pairs = ()) -> Receipt:
    """Say again about what a chain of transforms made what holds about its parents.

    Labels, numbers, texts and rankings as they are; regions moved by the affine map of the derivation (see
    `lakehouse.carrying.regions`); spans, intervals and embeddings not, nor an answer of which one region cannot be
    moved: what is left would say that there is nothing else. What an actor said about the child itself goes before.
    Actor, question, slot and times stay; `ext` has from which opinion (`carried_from`), how (`carried_by`) and past
    which entities (`carried_through`). Run again it adds nothing; what was corrected or taken back about a parent since
    is superseded or retracted about its children, of models only
    where `models` says so; other `pairs` carry anew what has keypoints.

    Args:
        lake: The lake.
        operation: As in silver.derivations.
        parameters_json: Likewise.
        models: Whether predictions are carried as well.
        pairs: Places of keypoints, counted from 0, that change places where the chain mirrors.

    Returns:
        Receipt with counts seen = carried + known + not_carried (pairs of an opinion and a child), and taken_back;
        notes count by rule what was not carried, and answers whose regions were cut or left out.

    Raises:
        TableError: If a file of a table is missing or damaged.
    """
    how = f"{operation} {parameters_json}"
    with step(lake, "carry") as record, import_lock(lake):
        record.details = {"operation": operation, "parameters": parameters_json}
        asked: dict[str, object] = {"operation": operation, "parameters": parameters_json}
        stage = lake.engine.stage
        made = stage(query(lake, MADE, params=asked))
        standing = stage(query(lake, STANDING, inputs={"made": made}))
        told: dict[str, object] = {"how": how, "models": int(models), "pairs": pairs_text(pairs)}
        known = {"made": made, "standing": standing}
        found = stage(query(lake, PAIRS, inputs=known, params=told))
        rows = fetch(lake, "select fate, count(*) as n from pairs group by fate", inputs={"pairs": found})
        fates = {row["fate"]: int(row["n"]) for row in rows}
        todo = query(lake, TODO, inputs={"standing": standing, "pairs": found}, params=told)
        items = stage(lake.engine.map_batches(
            stage(todo),
            functools.partial(carried_batches, root=lake.home, how=how, pairs=tuple(pairs),
                              max_bytes=lake.config.images.max_bytes),
            ITEMS,
            rows_per_task=ROWS_PER_TASK,
            label="carry",
        ))  # fmt: skip
        _write(lake, items, how, fates, record)
    return record.finished()


def _write(lake: Lake, items: Relation, how: str, fates: dict[str, int], record: StepRecord) -> None:
    tell_notes(lake, query(lake, "select * from items where kind = 'note'", inputs={"items": items}), record)
    outcome = fetch(lake, OUTCOME, inputs={"items": items})[0]
    said = fetch(lake, "select value_hash, subject_key, identity from items where kind = 'answer'",
                 inputs={"items": items})  # fmt: skip
    lines = sorted(canonical_json(row) for row in said)
    content = Content(
        source=FORMAT, system="", format=FORMAT, sha256=hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        options_json=canonical_json({HOW: how}), valid_time=None, uri=None,
    )  # fmt: skip
    job = Import(
        content=content, batch=next_batch(lake, content), rule=SubjectRule(source="", match=MATCH), repeat="duplicate",
        asked=None, actors=(), max_rejected_share=0.0,
    )  # fmt: skip
    absorb(lake, items, job, record)
    for rule in ("said_of_the_child", "said_of_another_parent"):
        if fates.get(rule):
            record.note(rule, "an answer of the same actor about the child, or about another parent of it that is "
                        "later, goes before", count=fates[rule])  # fmt: skip
    beside = fates.get("said_of_the_child", 0) + fates.get("said_of_another_parent", 0)
    parts = {"carried": outcome["said"], "known": fates.get("known", 0), "not_carried": outcome["not_carried"] + beside}
    total = sum(fates.values())
    record.counts = {"seen": total, **parts, "taken_back": outcome["taken_back"]}
    balance("carry", "opinions", parts, total)
