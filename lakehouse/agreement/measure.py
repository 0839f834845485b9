"""How far the answers to one question agree; reads, and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lakehouse.agreement.boxed import boxed_agreement
from lakehouse.agreement.labelled import labelled_agreement, value_of
from lakehouse.agreement.measures.levels import LEVELS
from lakehouse.agreement.near import doubts_by_neighbours
from lakehouse.agreement.report import Agreement
from lakehouse.consensus.decision import Inputs
from lakehouse.consensus.labelling import votes_of
from lakehouse.consensus.reading import Times, held_of
from lakehouse.consensus.settings import PEOPLE
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch
from schemas.opinions import ACTOR_KINDS

MAJORITY = "majority of the others"

LENGTHS = """
select entity_id, max(number) as length from silver.dimensions
where dimension = 'duration_ms' and number is not null group by entity_id
"""


def agreement(
    lake: Lake,
    *,
    question: str,
    reference: str | None = None,
    kinds: Sequence[str] = (),
    actors: Sequence[str] = (),
    level: str | None = None,
    known_at: datetime | None = None,
    valid_at: datetime | None = None,
    window_days: int = 30,
    neighbours: str | None = None,
    neighbours_by: str | None = None,
) -> Agreement:
    """Return how far the actors agree about one question, what each of them is like, and which answers look wrong.

    Args:
        lake: The lake.
        question: The question.
        reference: Actor whose answers the others are compared with: gold answers, or a consensus. None: each is
            compared with the majority of the others (of boxes: with each other annotator).
        kinds: Kinds of actors; (): people (human, import, pool). The reference is not one of those compared.
        actors: These alone, whatever their kind.
        level: nominal, ordinal, interval or ratio; None: what the question says.
        known_at: As we knew it then.
        valid_at: As had been said by then.
        window_days: Days of one window of drift.
        neighbours: Question whose answers are embeddings, or `dhash`: labels far from those of the nearest things are
            candidates for wrong ones too. None: they are not looked for.
        neighbours_by: Whose embeddings, where several actors gave some.

    Raises:
        ConfigError: If there is no such question, actor or level, or nobody is left to compare.
    """
    if level is not None and level not in LEVELS:
        raise ConfigError(f"agreement: level = {level!r}{nearest(level, LEVELS)}; one of {', '.join(LEVELS)}")
    for kind in kinds:
        if kind not in ACTOR_KINDS:
            raise ConfigError(f"agreement: {kind!r} is no kind of actor{nearest(kind, ACTOR_KINDS)}")
    if window_days < 1:
        raise ConfigError(f"agreement: window_days = {window_days}, must be 1 or more")
    held = held_of(lake, question, Times(known_at, valid_at), told=True)
    for actor in (*actors, *([reference] if reference else [])):
        if actor not in held.kinds:
            raise ConfigError(f"question {question}: no answer of {actor}{nearest(actor, held.kinds)}")
    wanted = set(actors) or {actor for actor, kind in held.kinds.items() if kind in (kinds or PEOPLE)}
    wanted.discard(reference or "")
    rows: list[dict[str, Any]] = held.of(wanted).to_pylist()
    if not rows:
        raise ConfigError(f"question {question}: no actor that is asked for answered it; name some: --kind, --actor")
    truth = None if reference is None else {row["subject_id"]: row for row in held.of([reference]).to_pylist()}
    about: dict[str, Any] = {
        "level": level or held.asked.measurement, "reference": reference or MAJORITY,
        "abstained": held.of(wanted, op="abstain").to_pylist(), "window_days": window_days,
    }  # fmt: skip
    if held.asked.answer_kind in ("regions", "spans"):
        lengths = _lengths(lake) if any(each["kind"] == "interval" for row in rows for each in row["regions"]) else {}
        return boxed_agreement(held.asked, rows, held.kinds, truth=truth, lengths=lengths, **about)
    if held.asked.answer_kind not in ("label", "labels", "bool", "number", "text", "ranking"):
        raise ConfigError(f"question {question}: answers of kind {held.asked.answer_kind} are not compared")
    values = None if truth is None else {subject: value_of(row) for subject, row in truth.items()}
    found = labelled_agreement(held.asked, rows, held.kinds, truth=values, **about)
    if neighbours is None:
        return found
    if held.asked.answer_kind not in ("label", "bool"):
        raise ConfigError(f"question {question}: neighbours are of labels, its answers are {held.asked.answer_kind}")
    votes = votes_of(Inputs(held.asked, held.of(wanted), lake))
    doubts, notes = doubts_by_neighbours(lake, votes, neighbours, actor=neighbours_by)
    return found.with_doubts(doubts, notes)


def _lengths(lake: Lake) -> dict[str, int]:
    """Return recording -> its length in ms, of those that were measured."""
    rows = fetch(lake, LENGTHS)
    return {row["entity_id"]: int(row["length"]) for row in rows}
