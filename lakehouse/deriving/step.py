"""derive: silver.entities and transforms -> silver.entities, silver.derivations, silver.rejected."""

from __future__ import annotations

import functools

from lakehouse.derived.places import PLACED
from lakehouse.deriving.making import OUTPUTS, UNREADABLE, made_batches
from lakehouse.deriving.transform import Chain
from lakehouse.engines import Relation
from lakehouse.erasures import erased_entities
from lakehouse.lake import Lake
from lakehouse.media.kinds.registry import judges_of
from lakehouse.progress import progress
from lakehouse.query import fetch, query
from lakehouse.sql.condition import entities_where
from lakehouse.steps.between_erasures import between_erasures
from lakehouse.steps.expired import expired
from lakehouse.steps.outputs import insert_outputs
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import StepRecord, balance, step
from lakehouse.tables.read import pin_heads
from schemas.tables import DERIVATIONS, DIMENSIONS, ENTITIES, ENTITY_SOURCES, REJECTED

ROWS_PER_TASK = 64

CHUNK = 4_096
"""Parents that are committed together: a run that is killed has lost one chunk."""

TODO = """
select e.entity_id, {place} as place, e.media_type, e.group_keys, e.captured_at, e.storage,
    row_number() over (order by e.entity_id) as nth
from silver.entities e {referenced}
where {uri} is not null and ({types}) and ({among})
  and not exists (select 1 from expired x where x.entity_id = e.entity_id)
  and not exists (select 1 from expired x where x.entity_id = p.entity_id)
  and not exists (
    select 1 from silver.derivations d
    where d.parent_id = e.entity_id and d.operation = $operation and d.parameters_json = $parameters
  )
  and not exists (
    select 1 from silver.rejected r
    where r.step = 'derive' and r.subject = e.entity_id and r.location = $location and r.rule <> 'unreadable'
  )
"""
"""Parents of which the chain neither made anything nor was refused, numbered."""

OUTCOME = """
select count(distinct case when place > 0 then parent_id end) as parents,
    count(distinct case when place = 0 then parent_id end) as of_nothing,
    count(case when place > 0 then 1 end) as made
from outputs where target_table = 'silver.derivations'
"""

RULES = """
select rule, count(*) as n, min(reason) as reason from outputs where target_table = 'silver.rejected'
group by rule order by rule
"""


def derive(lake: Lake, chain: Chain, *, where: str = "") -> Receipt:
    """Apply transforms to the entities that they are for, and keep what they make as entities of their own.

    What was made of an entity, or that nothing was, is a row of silver.derivations; of these nothing is made again. The
    group keys of a parent are those of its children, and `build` keeps both on one side of a split. Every 4,096 parents
    are committed: a run that was killed goes on from there.

    Args:
        lake: The lake.
        chain: From `chain_of`.
        where: SQL condition over `entities_wide` that parents must meet, gated like every query of people's; '' takes
            all that were not made themselves.

    Returns:
        Receipt with counts seen = parents + of_nothing + rejected, made (things, of all parents) and new_entities, and
        the details operation and parameters.

    Raises:
        QueryRefusedError, QueryFailedError: If the condition may not or cannot run.
        IngestError: If a parent was erased meanwhile.
        TableError: If a file of a table is missing or damaged.
    """
    pins = pin_heads(lake, [ENTITIES.name, ENTITY_SOURCES.name, DIMENSIONS.name, DERIVATIONS.name, REJECTED.name])
    with step(lake, "derive", reads=pins) as record:
        record.details = {"operation": chain.operation, "parameters": chain.parameters_json}
        params: dict[str, object] = {f"type{n}": each for n, each in enumerate(chain.first.media_types)}
        types = " or ".join(f"starts_with(e.media_type, ${name})" for name in params)
        params |= {"operation": chain.operation, "parameters": chain.parameters_json}
        params["location"] = f"{chain.operation} {chain.parameters_json}"
        inputs, among = {"expired": expired(lake)}, "e.parent_id is null"
        if where:
            inputs["chosen"] = entities_where(lake, where, pins=pins)
            among = "e.entity_id in (select entity_id from chosen)"
        todo = query(lake, TODO.format(types=types, among=among, **PLACED), inputs=inputs, params=params, pins=pins)
        _derive(lake, chain, lake.engine.stage(todo), record)
    return record.finished()


def _derive(lake: Lake, chain: Chain, todo: Relation, record: StepRecord) -> None:
    total = int(fetch(lake, "select count(*) as n from todo", inputs={"todo": todo})[0]["n"])
    counts = dict.fromkeys(("parents", "of_nothing", "rejected"), 0)
    made = new = 0
    with progress(f"derive {chain.operation}", total=total, unit="entities") as advance:
        for start in range(0, total, CHUNK):
            text = "select * from todo where nth > $after and nth <= $upto"
            part = lake.engine.sql(text, {"todo": todo}, {"after": start, "upto": start + CHUNK})
            known = erased_entities(lake.home)
            outputs = lake.engine.map_batches(
                part,
                functools.partial(made_batches, root=lake.home, chain=chain, judges=judges_of(lake.config),
                                  erased=known, now=lake.clock()),
                OUTPUTS,
                rows_per_task=ROWS_PER_TASK,
                label=f"derive {chain.operation}",
            )  # fmt: skip
            with between_erasures(lake, functools.partial(_touched, lake, outputs), known):
                written = insert_outputs(lake, outputs, (ENTITIES, DIMENSIONS, DERIVATIONS, REJECTED), step="derive")
            record.writes.extend(written.values())
            found = fetch(lake, OUTCOME, inputs={"outputs": outputs})[0]
            counts["parents"] += found["parents"]
            counts["of_nothing"] += found["of_nothing"]
            made += found["made"]
            new += written[ENTITIES.name].rows_new
            for row in fetch(lake, RULES, inputs={"outputs": outputs}):
                counts["rejected"] += row["n"]
                record.note(row["rule"], row["reason"], count=row["n"])
            advance(min(CHUNK, total - start))
    record.counts = {"seen": total, **counts, "made": made, "new_entities": new}
    balance("derive", "entities", counts, total)
    record.complete = UNREADABLE not in record.notes


def _touched(lake: Lake, outputs: Relation) -> list[str]:
    text = """
        select parent_id as entity_id from outputs where parent_id is not null
        union select entity_id from outputs where entity_id is not null
    """
    return [row["entity_id"] for row in fetch(lake, text, inputs={"outputs": outputs})]
