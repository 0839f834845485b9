"""`<query> SAMPLE BY weight`: weighted samples, the same rows each time and on both engines.

Without replacement by Efraimidis and Spirakis (2006), "Weighted random sampling with a reservoir".
"""

from __future__ import annotations

from lakehouse.engines.clause import Clause, alone
from lakehouse.errors import QueryRefusedError

NEED = "SAMPLE BY needs a KEY"
USE = "<query> SAMPLE BY weight [WITH REPLACEMENT] [KEY column] SEED whole_number LIMIT rows"


def sampled(clause: Clause) -> str:
    """Return a query that draws.

    Raises:
        QueryRefusedError: If it has no weight, seed or limit.
    """
    pieces = clause.tail
    words = [piece.text.lower() for piece in pieces]
    numbered = len(words) > 3 and (words[-4], words[-2]) == ("seed", "limit") and (words[-3] + words[-1]).isdecimal()
    if not numbered:
        raise QueryRefusedError(f"SAMPLE BY needs a seed and how many rows to draw: {USE}")
    seed, rows = int(words[-3]), int(words[-1])
    end, key, again = len(pieces) - 4, "entity_id", False
    if words[max(end - 2, 0) : end - 1] == ["key"]:
        key, end = pieces[end - 1].text, end - 2
    if words[max(end - 2, 0) : end] in (["with", "replacement"], ["without", "replacement"]):
        again, end = words[end - 2] == "with", end - 2
    if end <= 0:
        raise QueryRefusedError(f"SAMPLE BY needs a weight: {USE}")
    weight = clause.text[pieces[0].start : pieces[end - 1].end].decode()
    return (_draw_again if again else _draw_once)(clause.query, f"cast(({weight}) as double)", key, seed, rows)


def _draw_once(query: str, weight: str, key: str, seed: int, rows: int) -> str:
    # The key of a row is u ** (1 / weight) of a uniform u; its logarithm has the same order.
    drawn = f"ln((petrel_bucket(cast({key} as varchar), {seed}) + 0.5) / 4503599627370496.0) / {weight}"
    return f"""select * exclude (petrel_drawn) from (
select *, {alone(key, drawn, NEED)} as petrel_drawn from (
{query}
) as petrel_given where {_is_weight(weight)}
) as petrel_pool order by petrel_drawn desc, {key} limit {rows}"""


def _draw_again(query: str, weight: str, key: str, seed: int, rows: int) -> str:
    # Each draw is a point on a line on which every row has a stretch as long as its weight.
    uniform = f"(petrel_bucket(cast(petrel_i as varchar), {seed}) + 0.5) / 4503599627370496.0"
    return f"""with petrel_pool as (
select *, {alone(key, weight, NEED)} as petrel_weight from (
{query}
) as petrel_given where {_is_weight(weight)}
), petrel_ends as (
select *, sum(petrel_weight) over (order by {key} rows unbounded preceding) as petrel_to from petrel_pool
), petrel_line as (
select *, coalesce(lag(petrel_to) over (order by {key}), 0) as petrel_from from petrel_ends
), petrel_draws as (
select petrel_i, {uniform} * (select max(petrel_to) from petrel_ends) as petrel_at
from (select unnest(range({rows})) as petrel_i) as petrel_numbers
)
select petrel_line.* exclude (petrel_weight, petrel_to, petrel_from)
from petrel_draws join petrel_line on petrel_at >= petrel_from and petrel_at < petrel_to order by petrel_i"""


def _is_weight(weight: str) -> str:
    # NaN is above every number in both engines; the sum of all weights is to stay one.
    return f"{weight} > 0 and {weight} < 1e300"
