"""What holds of one question, now or at a time: the answers that a consensus or an agreement is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch, query
from lakehouse.tables.read import digest_at, pin_heads
from lakehouse.views.ontology import merged_labels_sql
from lakehouse.views.opinions import current_opinions_sql
from schemas.tables import ACTORS, OPINIONS

HELD = """
select o.opinion_id, o.actor_id, a.kind as actor_kind, o.subject_id, o.subject_kind, o.question_version, o.slot, o.op,
    o.value_kind, coalesce(m.stands_for, o.label) as label, o.votes, o.confidence{wide}
from current o join silver.actors a on a.actor_id = o.actor_id
left join merged m
    on m.question_id = o.question_id and m.question_version = o.question_version and m.label_id = o.label
where o.question_id = $question
"""

WIDE = ", o.labels, o.number, o.text, o.ranking, o.regions, o.frame_w, o.frame_h"
TOLD = ", o.ext, o.event_time"

IN_ORDER = "select * from held order by subject_id, actor_id, slot, opinion_id"

ASKED = """
select version, answer_kind, label_set_id, measurement, abstain_allowed, constraints_json
from silver.questions where question_id = $question order by version desc limit 1
"""

LABELS = """
select label_id from (
    select label_id, ordinal, row_number() over (partition by label_id order by version desc) as age
    from silver.label_sets where label_set_id = $label_set
) versions where age = 1 order by ordinal, label_id
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, its newest version.

    Attributes:
        question_id: Its id.
        version: Its version.
        answer_kind: value_kind of its answers.
        measurement: nominal, ordinal, interval or ratio.
        abstain_allowed: Whether an actor may decline.
        labels: Its labels by ordinal; the order in which ties are broken.
        constraints: What it says of its answers besides, as names and sigmas of keypoints.
    """

    question_id: str
    version: int
    answer_kind: str
    measurement: str
    abstain_allowed: bool
    labels: tuple[str, ...]
    constraints: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Times:
    """As we knew it at `known_at`, as had been said by `valid_at`; None: now, and all."""

    known_at: datetime | None = None
    valid_at: datetime | None = None

    def __post_init__(self) -> None:
        for name, time in self.stated().items():
            if time.tzinfo is None:
                raise ConfigError(f"{name} = {time} names no time zone")

    def stated(self) -> dict[str, datetime]:
        """What is stated, by name."""
        found = {"known_at": self.known_at, "valid_at": self.valid_at}
        return {name: time for name, time in found.items() if time is not None}


@dataclass(frozen=True, slots=True)
class Held:
    """Answers that hold, in the order of subject, actor and slot, and what they were read from.

    Attributes:
        asked: The question.
        rows: Columns of `HELD`; abstentions are rows of op `abstain`.
        kinds: Actor -> kind.
        table: Version and digest of silver.opinions.
    """

    asked: Asked
    rows: pa.Table
    kinds: Mapping[str, str]
    table: Mapping[str, str]

    def of(self, actors: Sequence[str] | set[str], *, op: str = "assert") -> pa.Table:
        """Return the rows of some actors."""
        import pyarrow.compute as pc

        wanted = pc.is_in(self.rows["actor_id"], value_set=pa.array(sorted(actors), pa.string()))
        return self.rows.filter(pc.and_(wanted, pc.equal(self.rows["op"], op)))


def asked_of(lake: Lake, question: str) -> Asked:
    """Return what is known of a question.

    Raises:
        ConfigError: If the lake has no such question.
    """
    found = fetch(lake, ASKED, params={"question": question})
    if not found:
        known = sorted({r["question_id"] for r in fetch(lake, "select distinct question_id from silver.questions")})
        raise ConfigError(f"this lake has no question `{question}`{nearest(question, known)}")
    row: dict[str, Any] = found[0]
    named = [] if row["label_set_id"] is None else fetch(lake, LABELS, params={"label_set": row["label_set_id"]})
    return Asked(
        question, int(row["version"]), row["answer_kind"], row["measurement"], bool(row["abstain_allowed"]),
        tuple(each["label_id"] for each in named), json.loads(row["constraints_json"] or "{}"),
    )  # fmt: skip


def held_of(lake: Lake, question: str, times: Times, *, told: bool = False) -> Held:
    """Return what holds of a question, with merged labels as the one that stands for them.

    Args:
        lake: The lake.
        question: The question.
        times: Now, or when.
        told: Whether `ext` and `event_time` are read as well.

    Raises:
        ConfigError: If the lake has no such question, or nobody's answer to it holds then.
    """
    asked = asked_of(lake, question)
    pins = pin_heads(lake, [OPINIONS.name, ACTORS.name])
    stated: dict[str, object] = dict(times.stated())
    known = {name: time for name, time in stated.items() if name == "known_at"}
    text = current_opinions_sql(known_at=times.known_at is not None, valid_at=times.valid_at is not None)
    about = {
        "current": query(lake, text, params=stated, pins=pins),
        "merged": query(lake, merged_labels_sql(known_at=bool(known)), params=known),
    }
    # Regions and maps are wide: who asks for one label each does not read them.
    wide = ("" if asked.answer_kind == "label" else WIDE) + (TOLD if told else "")
    held = query(lake, HELD.format(wide=wide), inputs=about, params={"question": question}, pins=pins)
    rows = lake.engine.arrow(query(lake, IN_ORDER, inputs={"held": lake.engine.stage(held)}))
    if not rows.num_rows:
        raise ConfigError(f"question {question}: no answer holds{' then' if stated else ''}; import some first")
    pairs = rows.select(["actor_id", "actor_kind"]).group_by(["actor_id", "actor_kind"]).aggregate([])
    kinds = dict(zip(pairs["actor_id"].to_pylist(), pairs["actor_kind"].to_pylist(), strict=True))
    version = pins[OPINIONS.name]
    return Held(asked, rows, kinds, {"opinions": f"{version}", "digest": str(digest_at(lake, OPINIONS, version))})


def ids_sha256(rows: pa.Table) -> str:
    """Return the SHA-256 of the ids of opinions, in order: equal for equal sets."""
    return hashlib.sha256("\n".join(sorted(rows["opinion_id"].to_pylist())).encode()).hexdigest()
