"""consensus: what holds of one question -> one answer about each subject, as opinions of a consensus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakehouse.consensus.decision import Decision, Inputs
from lakehouse.consensus.escalation import check_place, escalated, write_list
from lakehouse.consensus.experts import overridden
from lakehouse.consensus.reading import Held, Times, held_of, ids_sha256
from lakehouse.consensus.registry import Method, method_named
from lakehouse.consensus.settings import Settings
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.opinions.predictions import record_opinions
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import balance, step

GONE = "no_answers"


def consensus(
    lake: Lake,
    *,
    question: str,
    settings: Settings,
    known_at: datetime | None = None,
    valid_at: datetime | None = None,
    escalate: str | Path | None = None,
) -> Receipt:
    """Make one answer of many about each subject and record it; the same answers again add nothing.

    What is recorded are opinions of the actor `consensus:<method>@<version>`, whose parameters are the settings; its
    batch keeps version and digest of the opinions, and number and hash of the ids of those that were heard. Subjects
    that stay undecided get an abstention with the reason, so that an earlier decision about them holds no longer (of
    questions that allow none, that one is taken back). A consensus hears no consensus, unless `settings.kinds` or
    `settings.actors` name one, and never itself.

    Args:
        lake: The lake.
        question: The question.
        settings: The method and how.
        known_at: As we knew it then; the result is another actor's.
        valid_at: As had been said by then; the result is another actor's.
        escalate: File (.csv or .jsonl) for the list of what stays undecided.

    Returns:
        Receipt with counts heard (opinions), actors, subjects = decided + undecided, new, same; and a note for each
        reason.

    Raises:
        ConfigError: If there is no such question, method or actor, the method does not fit the answers, or nobody who
            is heard answered.
    """
    times = Times(known_at, valid_at)
    place = None if escalate is None else Path(escalate)
    if place is not None:
        check_place(place)
    with step(lake, "consensus") as record:
        held = held_of(lake, question, times)
        method = method_named(settings.method, held.asked.answer_kind)
        settings.check_taken(method.takes)
        actor = settings.actor({name: time.isoformat() for name, time in times.stated().items()})
        heard = heard_of(held, settings, method, own=actor.actor_id)
        rows = held.of(heard)
        versions = set(rows["question_version"].to_pylist())
        if len(versions) > 1:
            told = ", ".join(map(str, sorted(versions)))
            record.note("several_versions", f"answers to versions {told} of the question are counted as one")
        outcome = method.run(Inputs(held.asked, rows, lake), settings)
        said = held.of(settings.experts)
        decisions = list(overridden(outcome.decisions, said, settings.experts))
        undecided = [each for each in decisions if each.fields is None]
        for rule, text in outcome.notes.items():
            record.note(rule, text)
        for each in undecided:
            record.note(f"undecided_{each.reason}", f"{each.subject}: {each.told}")
        if place is not None:
            write_list(escalated(lake, undecided), place)
            record.details["escalated"] = f"{place}"
        inputs = {
            **held.table, "opinion_ids": ids_sha256(rows), "heard": f"{rows.num_rows}", "question": question,
            "actors": f"{len(heard)}",
        }  # fmt: skip
        kinds = dict(zip(held.rows["subject_id"].to_pylist(), held.rows["subject_kind"].to_pylist(), strict=True))
        written = record_opinions(
            lake, _records(held, decisions, actor.actor_id, kinds), source=f"consensus {question}",
            question=question, actor=actor, inputs=inputs,
        )  # fmt: skip
        record.writes += written.writes
        record.counts = {
            "heard": rows.num_rows, "actors": len(heard), "subjects": len(decisions),
            "decided": len(decisions) - len(undecided), "undecided": len(undecided),
            "new": written.counts["new"], "same": written.counts["same"],
        }  # fmt: skip
        parts = {name: record.counts[name] for name in ("decided", "undecided")}
        balance("consensus", "subjects", parts, record.counts["subjects"])
        record.details |= {"actor": actor.actor_id, **outcome.details}
    return record.finished()


def heard_of(held: Held, settings: Settings, method: Method, *, own: str = "") -> list[str]:
    """Return the actors that are heard.

    Raises:
        ConfigError: If one that is named never answered the question, or nobody is left.
    """
    for actor in (*settings.actors, *settings.experts):
        if actor not in held.kinds:
            raise ConfigError(f"question {held.asked.question_id}: no answer of {actor}{nearest(actor, held.kinds)}")
    if settings.actors:
        found = [actor for actor in settings.actors if actor != own]
    else:
        kinds = settings.kinds or method.hears
        found = [actor for actor, kind in held.kinds.items() if kind in kinds and actor != own]
    if not found:
        kinds_held = list(held.kinds.values())
        there = ", ".join(f"{kind} ({kinds_held.count(kind)})" for kind in sorted(set(kinds_held)))
        raise ConfigError(
            f"consensus {settings.method}: no answer to {held.asked.question_id} is by an actor that is heard; there "
            f"are actors of kinds {there}: name some with --kind or --actor"
        )
    return sorted(set(found))


def _records(
    held: Held, decisions: Sequence[Decision], own: str, kinds: dict[str, str]
) -> Iterator[dict[str, Any]]:
    standing = _standing(held, own)
    for each in decisions:
        about = {"entity_id": each.subject, "subject_kind": kinds[each.subject]}
        before = standing.pop(each.subject, None)
        if each.fields is not None:
            yield about | dict(each.fields)
        else:
            yield from _nothing(held, about, f"{each.reason}: {each.told}", before)
    for subject, before in sorted(standing.items()):
        about = {"entity_id": subject, "subject_kind": kinds[subject]}
        yield from _nothing(held, about, GONE, before)


def _nothing(held: Held, about: dict[str, str], reason: str, before: str | None) -> Iterator[dict[str, Any]]:
    if held.asked.abstain_allowed:
        yield about | {"op": "abstain", "reason": reason}
    elif before is not None:
        yield about | {"op": "retract", "target_opinion_id": before, "reason": reason}


def _standing(held: Held, own: str) -> dict[str, str]:
    """Return subject -> opinion of what this very consensus says now."""
    rows: pa.Table = held.of([own])
    return dict(zip(rows["subject_id"].to_pylist(), rows["opinion_id"].to_pylist(), strict=True))
