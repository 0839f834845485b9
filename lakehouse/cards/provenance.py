"""Who stands behind the answers of a version's members, and how far they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.agreement.labelled import values_of
from lakehouse.agreement.measures.alpha import alpha
from lakehouse.consensus.methods.votes import votes_from
from lakehouse.engines import Relation
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.query import fetch, query
from lakehouse.tracing.versions import PinnedVersion, heard_at

MOST_ANSWERS = 2_000_000
"""Answers of which the agreement is computed; a card of more says so."""
MOST_ACTORS = 50

VALUES = {"label": "h.label", "bool": "cast(h.number as varchar)", "number": "cast(h.number as varchar)",
          "text": "h.text"}  # fmt: skip
"""Kinds of answers that are one value each -> the value as text."""

OF_MEMBERS = """
select h.* from heard h
where exists (select 1 from member_entities m where m.entity_id = h.subject_id and m.dataset_id = $id)
"""

ACTORS = """
select o.actor_id, a.kind, count(*) as opinions, count(distinct o.subject_id) as members
from said o join actors a on a.actor_id = o.actor_id group by o.actor_id, a.kind
order by opinions desc, o.actor_id
"""

BY_MEMBER = """
select answers, count(*) as members from (select subject_id, {votes} as answers from said group by subject_id) each
group by answers order by answers
"""

PAIRS = """
select h.subject_id, h.actor_id, {value} as value, {votes} as votes from said h
order by h.subject_id, h.actor_id, value, h.opinion_id
"""

MEASUREMENT = "select measurement from silver.questions where question_id = $question order by version desc limit 1"


@dataclass(frozen=True, slots=True)
class Provenance:
    """The answers behind the members.

    Attributes:
        question: What was asked.
        kind: Kind of the answers.
        actors: actor_id, kind, opinions, members; those with most opinions first.
        more_actors: How many are not among `actors`.
        answers: (answers heard about a member, members).
        unanimous: Share of the members with two answers or more about which all say the same; None: there are none, or
            it cannot be computed.
        alpha: Krippendorff's alpha over the members; None where it is not defined.
        level: Level of measurement of alpha.
        reason: Why there is no alpha; "" where there is one.
    """

    question: str
    kind: str
    actors: list[dict[str, Any]]
    more_actors: int
    answers: tuple[tuple[int, int], ...]
    unanimous: float | None
    alpha: float | None
    level: str
    reason: str


def provenance(lake: Lake, found: PinnedVersion) -> Provenance | None:
    """Return who stands behind the answers; None if the recipe asks no question."""
    heard, kind = heard_at(lake, found), found.version.answers
    if heard is None or kind is None:
        return None
    actors, opinions = heard
    said = lake.engine.stage(query(lake, OF_MEMBERS, inputs={"heard": opinions}, params={"id": found.dataset_id}))
    rows = fetch(lake, ACTORS, inputs={"said": said, "actors": actors})
    votes = "h.votes" if "votes" in kind.hears else "1"
    counted = BY_MEMBER.format(votes="sum(votes)" if "votes" in kind.hears else "count(*)")
    answers = tuple((int(row["answers"]), row["members"]) for row in fetch(lake, counted, inputs={"said": said}))
    question = str(found.version.recipe["question"])
    measured = fetch(lake, MEASUREMENT, params={"question": question}, pins=found.pins)
    level = measured[0]["measurement"] if measured else "nominal"
    unanimous, value, reason = _agreement(lake, said, kind.value_kind, level, votes, question)
    return Provenance(question, kind.name, rows[:MOST_ACTORS], max(0, len(rows) - MOST_ACTORS), answers, unanimous,
                      value, level, reason)  # fmt: skip


def _agreement(
    lake: Lake, said: Relation, kind: str, level: str, votes: str, question: str
) -> tuple[float | None, float | None, str]:
    if kind not in VALUES:
        return None, None, f"answers of kind {kind} are compared by `petrel agreement`"
    total = fetch(lake, "select count(*) as n from said", inputs={"said": said})[0]["n"]
    if total > MOST_ANSWERS:
        return None, None, f"{total:,} answers, more than {MOST_ANSWERS:,}; `petrel agreement` compares them"
    rows = fetch(lake, PAIRS.format(value=VALUES[kind], votes=votes), inputs={"said": said})
    by_subject: Mapping[str, Counter[str]] = _counted(rows)
    several = [each for each in by_subject.values() if each.total() > 1]
    unanimous = sum(len(each) == 1 for each in several) / len(several) if several else None
    given = votes_from([row["subject_id"] for row in rows], [row["actor_id"] for row in rows],
                       [row["value"] for row in rows], [row["votes"] for row in rows])  # fmt: skip
    try:
        leveled, values = values_of(given, level, question)
        found = alpha(leveled.item, leveled.label, leveled.weight, values, level=level)
    except (ConfigError, ValueError) as error:
        return unanimous, None, str(error)
    return unanimous, found, "" if found is not None else _undefined(several)


def _undefined(several: list[Counter[str]]) -> str:
    return "all answers are the same" if several else "no member has two answers"


def _counted(rows: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for row in rows:
        found.setdefault(row["subject_id"], Counter())[row["value"]] += row["votes"]
    return found
