"""The whole story of one thing: where it came from, what was said of it, what is believed of it and since when.

Its opinions are read once; what each policy believed at each moment is asked over these few rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse.labels.believed import labels
from lakehouse.labels.policies import registered
from lakehouse.labels.policy import Policy
from lakehouse.labels.presets import BUILT_IN
from lakehouse.lake import Lake
from lakehouse.query import fetch, query
from lakehouse.showing import Shown, show

Row = dict[str, Any]

SAID = """
select o.* from silver.opinions o where o.subject_id = $thing
    or o.target_opinion_id in (select t.opinion_id from silver.opinions t where t.subject_id = $thing)
"""

BATCHES = """
select batch_id, source, format, uri, options_json from silver.batches
where batch_id in (select batch_id from silver.opinions where subject_id = $thing)
"""

PUBLISHED = """
select d.name, m.* from gold.materialisations m join gold.datasets d on d.dataset_id = m.dataset_id
where m.dataset_id in (select dataset_id from member_entities where entity_id = $thing)
"""

CHANGES = "select distinct ingest_time from silver.label_sets where version > 1 order by ingest_time"

MOMENTS = 200
"""Moments at which policies are asked, at most: of a longer story the last ones."""


@dataclass(frozen=True, slots=True)
class Belief:
    """What one policy believed about one question from a moment on.

    Attributes:
        question: The question.
        policy: Name of the policy.
        policy_id: Its id.
        since: When we came to believe it.
        answer: The row of `lakehouse.labels.believed.labels`; its `problem` says why there is no answer. None: the
            policy heard nobody any more.
    """

    question: str
    policy: str
    policy_id: str
    since: datetime
    answer: Row | None


@dataclass(frozen=True, slots=True)
class Story:
    """What is known about one thing.

    Attributes:
        shown: Where it landed, its entity, dimensions, datasets, rejections; see `lakehouse.showing`.
        said: Every opinion about it in the order in which we learned them, with `status`: current, superseded, outdated
            (the actor said something later), retracted, or of a retraction `retracts`; `by`: the opinion that did it;
            `brought`: the import that it came with.
        beliefs: What each policy believed, by question and policy, oldest first: one entry for each change.
        consensus: Opinion of a consensus -> the inputs that its import recorded.
        materialisations: Published folders of datasets that have it.
    """

    shown: Shown
    said: list[Row]
    beliefs: list[Belief]
    consensus: dict[str, object]
    materialisations: list[Row]


def story_of(lake: Lake, wanted: str, *, policies: Sequence[Policy] | None = None) -> Story:
    """Return the story of a thing.

    Args:
        lake: The lake.
        wanted: As `lakehouse.showing.show`: an entity id or how it begins, a path or name of a landed file.
        policies: Whose beliefs are told; None takes `majority` and the registered ones.

    Raises:
        ConfigError: If there is no such thing, or there are several.
    """
    shown = show(lake, wanted)
    about: Mapping[str, object] = {"thing": shown.id}
    rows = lake.engine.stage(query(lake, SAID, params=about))
    said = fetch(lake, "select * from rows order by ingest_seq, opinion_id", inputs={"rows": rows})
    current = {row["opinion_id"] for row in shown.opinions if row["is_current"]}
    batches = {row["batch_id"]: row for row in fetch(lake, BATCHES, params=about)}
    if policies is None:
        # Of one name the last one holds.
        policies = [BUILT_IN["majority"], *{each.policy.name: each.policy for each in registered(lake)}.values()]
    told = _told(said, current, batches)
    consensus = {
        row["opinion_id"]: row["brought"].get("inputs") for row in told if row["actor_id"].startswith("consensus:")
    }
    return Story(
        shown=shown,
        said=told,
        beliefs=[
            belief for question in sorted({row["question_id"] for row in said}) for policy in policies
            for belief in _beliefs(lake, question, policy, said, rows)
        ],
        consensus=consensus,
        materialisations=fetch(lake, PUBLISHED, params=about),
    )  # fmt: skip


def _told(said: Sequence[Row], current: set[str], batches: Mapping[str, Row]) -> list[Row]:
    undone = {row["target_opinion_id"] for row in said if "taken_back" in dict(row["ext"] or ())}
    counted = [row for row in said if row["opinion_id"] not in undone]
    replaced = {target: row["opinion_id"] for row in counted for target in row["supersedes"] or ()}
    retracted = {row["target_opinion_id"]: row["opinion_id"] for row in said if row["op"] == "retract"}
    found = []
    for row in said:
        name, by = row["opinion_id"], None
        if row["op"] == "retract":
            status, by = "retracts", row["target_opinion_id"]
        elif name in retracted:
            status, by = "retracted", retracted[name]
        elif name in replaced:
            status, by = "superseded", replaced[name]
        else:
            status = "current" if name in current else "outdated"
        found.append({**row, "status": status, "by": by, "brought": _brought(batches.get(row["batch_id"]))})
    return found


def _brought(batch: Row | None) -> Row:
    if batch is None:
        return {}
    found = {name: batch[name] for name in ("source", "format", "uri")}
    inputs = json.loads(batch["options_json"] or "{}").get("inputs")
    return found | ({"inputs": inputs} if inputs else {})


def _beliefs(lake: Lake, question: str, policy: Policy, said: Sequence[Row], rows: Any) -> list[Belief]:
    moments = {row["ingest_time"] for row in said if row["question_id"] == question}
    merges = {row["ingest_time"] for row in fetch(lake, CHANGES)}
    first = min(moments)
    found: list[Belief] = []
    for moment in sorted(moments | {each for each in merges if each > first})[-MOMENTS:]:
        inputs = {"silver.opinions": rows}
        told = lake.engine.arrow(labels(lake, question, policy, known_at=moment, inputs=inputs)).to_pylist()
        answer = told[0] if told else None
        if (found and _same(found[-1].answer, answer)) or (not found and answer is None):
            continue
        found.append(Belief(question, policy.name, policy.policy_id, moment, answer))
    return found


def _same(one: Row | None, other: Row | None) -> bool:
    if one is None or other is None:
        return one is other
    # Who says it and how many may change; what is believed does not.
    names = ("label", "labels", "number", "text", "ranking", "regions", "problem")
    return all(one[name] == other[name] for name in names)
