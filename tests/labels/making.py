"""Opinions for tests of policies: people, an expert, a pool, models; edits, retractions, late ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from lakehouse.labels.believed import labels
from lakehouse.labels.policy import Policy
from lakehouse.lake import Lake
from lakehouse.opinions.step import record_opinions
from tests.making import Clock, add_entities, entity_id

JAN, FEB, MAR, APR, MAY = (datetime(2025, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4, 5))

Row = Mapping[str, object]


def say(lake: Lake, actor: str, answers: Mapping[str, str], *, at: datetime | None = None, **more: object) -> None:
    """Record labels, name of the thing -> label, of one actor to the question `animal`."""
    rows = [{"entity_id": entity_id(name), "label": label, **more} for name, label in answers.items()]
    record_opinions(lake, rows, source=actor, question="animal", actor=actor, said_at=at)


def tell_a_history(lake: Lake, clock: Clock) -> None:
    """People, pool and models speak from January to May: a double ingest, an edit, a late arrival, a retraction."""
    add_entities(lake, ["w", "x", "y", "z"])
    clock.now = JAN
    say(lake, "human:ann", {"x": "cat", "y": "cat", "z": "dog"}, at=JAN)
    say(lake, "human:bo", {"x": "cat", "y": "dog"}, at=JAN)
    say(lake, "model:cnn@1", {"x": "dog", "y": "dog", "z": "cat", "w": "cat"}, confidence=0.75)
    clock.now = FEB
    say(lake, "human:ann", {"x": "cat", "y": "cat", "z": "dog"}, at=JAN)  # double ingest
    say(lake, "human:bo", {"x": "lynx"}, at=FEB)  # an edit
    say(lake, "human:expert", {"y": "lynx"}, at=FEB)
    for label, votes in {"cat": 47, "dog": 3}.items():
        say(lake, "pool:crowd", {"w": label}, at=FEB, votes=votes, slot=label)
    clock.now = MAR
    say(lake, "human:cy", {"x": "cat"}, at=datetime(2025, 1, 15, tzinfo=UTC))  # a late arrival
    say(lake, "model:cnn@2", {"w": "dog", "z": "cat"}, confidence=0.99)
    clock.now = APR
    target = opinion_of(lake, "human:ann", "z")
    record_opinions(lake, [{"entity_id": entity_id("z"), "op": "retract", "target_opinion_id": target}],
                    source="ann", question="animal", actor="human:ann", said_at=APR)  # fmt: skip
    clock.now = MAY


def opinion_of(lake: Lake, actor: str, name: str) -> str:
    """Return the id of the current answer of an actor about a thing."""
    from lakehouse.query import fetch

    text = "select opinion_id from current_opinions where actor_id = $actor and subject_id = $subject"
    return str(fetch(lake, text, params={"actor": actor, "subject": entity_id(name)})[0]["opinion_id"])


def believed(
    lake: Lake, policy: str | Policy, *, names: Sequence[str] = ("w", "x", "y", "z"), **times: datetime
) -> dict[str, str]:
    """Return name -> label, or why there is none."""
    found = {row["subject_id"]: row for row in rows_of(lake, policy, **times)}
    return {
        name: str(row["label"] or row["problem"]) for name in names if (row := found.get(entity_id(name))) is not None
    }  # fmt: skip


def rows_of(
    lake: Lake, policy: str | Policy, *, question: str = "animal", **times: datetime
) -> list[dict[str, object]]:
    """Return what a policy believes, by subject."""
    rows: list[dict[str, object]] = lake.engine.arrow(labels(lake, question, policy, **times)).to_pylist()
    return sorted(rows, key=lambda row: str(row["subject_id"]))
