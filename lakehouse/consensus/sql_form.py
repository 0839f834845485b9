"""Dawid-Skene in SQL, for questions whose votes and confusions are too many for arrays: one text for both engines.

The same rounds as `lakehouse.consensus.methods.dawid_skene`, term by term; only the order of sums differs.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lakehouse.consensus.methods.em import Fit, Rounds
from lakehouse.consensus.methods.votes import Floats, Votes
from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.query import fetch, query

VOTES = "select item, actor, label, sum(weight) as weight from said group by item, actor, label"

START = """
with totals as (
    select item, sum(weight) as total from votes group by item
), tally as (
    select item, label, sum(weight) as weight from votes group by item, label
), labels as (
    select distinct label from votes
)
select t.item, l.label as truth, coalesce(y.weight, 0.0) / t.total as p
from totals t cross join labels l left join tally y on y.item = t.item and y.label = l.label
"""
"""The first guess: shares of votes."""

BELIEFS = """
with counts as (
    select v.actor, g.truth, v.label, sum(v.weight * g.p) as n
    from votes v join guess g on g.item = v.item group by v.actor, g.truth, v.label
), totals as (
    select actor, truth, sum(n) as total from counts group by actor, truth
)
select c.actor, c.truth, c.label, ln(c.n + $smoothing) - ln(t.total + $num_labels * $smoothing) as log_p
from counts c join totals t on t.actor = c.actor and t.truth = c.truth
"""
"""M-step: ln P(label said | truth) of each actor, where he said it."""

GUESS = """
with priors as (
    select truth, ln((sum(p) + $smoothing) / ($num_items + $num_labels * $smoothing)) as log_p
    from guess group by truth
), likelihoods as (
    select v.item, b.truth, sum(v.weight * b.log_p) as log_p
    from votes v join beliefs b on b.actor = v.actor and b.label = v.label group by v.item, b.truth
), scores as (
    select l.item, l.truth, l.log_p + q.log_p as score from likelihoods l join priors q on q.truth = l.truth
), tops as (
    select item, max(score) as top from scores group by item
), shares as (
    select s.item, s.truth, exp(s.score - t.top) as p from scores s join tops t on t.item = s.item
), sums as (
    select item, sum(p) as total from shares group by item
)
select s.item, s.truth, s.p / t.total as p from shares s join sums t on t.item = s.item
"""
"""E-step, in logarithms."""

CHANGE = """
select max(abs(n.p - o.p)) as change from newer n join guess o on o.item = n.item and o.truth = n.truth
"""


def dawid_skene_sql(lake: Lake, votes: Votes, rounds: Rounds) -> Fit:
    """Return the probabilities of labels, as `dawid_skene` does; `accuracy_A` is empty.

    Cost: a join of votes and labels twice a round, in what memory the engine has; it spills to disk.
    """
    said = pa.table({
        "item": pa.array(votes.item), "actor": pa.array(votes.actor), "label": pa.array(votes.label),
        "weight": pa.array(votes.weight),
    })  # fmt: skip
    engine = lake.engine
    held = engine.stage(query(lake, VOTES, inputs={"said": engine.from_arrow(said)}))
    known = {
        "smoothing": rounds.smoothing, "num_labels": float(len(votes.labels)), "num_items": float(len(votes.items)),
    }  # fmt: skip
    guess = engine.stage(query(lake, START, inputs={"votes": held}))
    done, converged = 0, len(votes.labels) < 2
    while done < rounds.most and not converged:
        about: dict[str, Relation] = {"votes": held, "guess": guess}
        beliefs = engine.stage(query(lake, BELIEFS, inputs=about, params=_of(known, "smoothing", "num_labels")))
        newer = engine.stage(query(lake, GUESS, inputs=about | {"beliefs": beliefs}, params=known))
        change = fetch(lake, CHANGE, inputs={"newer": newer, "guess": guess})[0]["change"]
        converged = float(change or 0.0) <= rounds.tolerance
        guess, done = newer, done + 1
    return Fit(_table(engine.arrow(guess), votes), np.zeros(0), done, converged)


def _of(known: dict[str, float], *names: str) -> dict[str, object]:
    return {name: known[name] for name in names}


def _table(rows: pa.Table, votes: Votes) -> Floats:
    found = np.zeros((len(votes.items), len(votes.labels)))
    found[rows["item"].to_numpy(), rows["truth"].to_numpy()] = rows["p"].to_numpy()
    return found
