"""Agreement about answers that are one value each: labels, yes or no, numbers, sets of labels, texts, orders."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lakehouse.agreement.actors import facts_of
from lakehouse.agreement.measures.alpha import alpha
from lakehouse.agreement.measures.doubtful import far_from_votes
from lakehouse.agreement.measures.kappa import fleiss
from lakehouse.agreement.measures.pairs import pairs
from lakehouse.agreement.report import ActorFacts, Agreement
from lakehouse.agreement.shown import MOST_PAIRED, MOST_SHOWN
from lakehouse.consensus.methods.votes import Floats, Votes, votes_from
from lakehouse.consensus.reading import Asked
from lakehouse.errors import ConfigError

Row = Mapping[str, Any]


def value_of(row: Row) -> str:
    """Return what an answer says, as one text: equal for equal answers."""
    kind = row["value_kind"]
    if kind == "label":
        return str(row["label"])
    if kind == "bool":
        return "true" if row["number"] == 1 else "false"
    if kind == "number":
        return repr(float(row["number"]))
    if kind == "labels":
        return " + ".join(sorted(row["labels"])) or "(none)"
    return " > ".join(row["ranking"]) if kind == "ranking" else str(row["text"])


def values_of(votes: Votes, level: str, question: str) -> tuple[Votes, Floats]:
    """Return votes with their labels in the order of the level, and the labels as numbers.

    Raises:
        ConfigError: If a level of numbers is asked for labels that are none.
    """
    if level in ("nominal", "ordinal"):
        return votes, np.arange(len(votes.labels), dtype=np.float64)
    try:
        numbers = np.array([float(label) for label in votes.labels])
    except ValueError as error:
        raise ConfigError(
            f"question {question}: level {level} needs numbers, and {error}; try --level ordinal"
        ) from error
    order = np.argsort(numbers, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    moved = Votes(
        votes.items, votes.actors, [votes.labels[n] for n in order.tolist()], votes.item, votes.actor,
        place[votes.label], votes.weight,
    )  # fmt: skip
    return moved, np.asarray(numbers[order], np.float64)


def labelled_agreement(
    asked: Asked, rows: Sequence[Row], kinds: Mapping[str, str], *, level: str, truth: Mapping[str, str] | None,
    reference: str, abstained: Sequence[Row] = (), window_days: int = 30,
) -> Agreement:  # fmt: skip
    """Return the agreement about answers of one value each.

    Args:
        asked: The question.
        rows: Asserted answers; columns of `lakehouse.consensus.reading`, with `ext` and `event_time`.
        kinds: Actor -> kind.
        level: nominal, ordinal, interval or ratio.
        truth: Subject -> value that actors are compared with; None: the majority of all other votes.
        reference: What to call it.
        abstained: Abstentions.
        window_days: Days of one window of drift.

    Raises:
        ConfigError: If the level does not fit the labels.
    """
    said = [value_of(row) for row in rows]
    is_number = asked.answer_kind == "number"
    order = [repr(n) for n in sorted({float(each) for each in said})] if is_number else asked.labels
    votes = votes_from(
        [row["subject_id"] for row in rows], [row["actor_id"] for row in rows], said, [row["votes"] for row in rows],
        order=order,
    )  # fmt: skip
    leveled, values = values_of(votes, level, asked.question_id)
    tally_IK = votes.tally_IK
    several = tally_IK.sum(axis=1) > 1
    kappa, why = fleiss(tally_IK)
    doubts = far_from_votes(votes) if asked.answer_kind in ("label", "bool") else []
    per_actor: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for item, actor, label in zip(votes.item.tolist(), votes.actor.tolist(), votes.label.tolist(), strict=True):
        per_actor[votes.actors[actor]][item].append(label)
    one_each = {
        name: {item: labels[0] for item, labels in said_of.items()}
        for name, said_of in per_actor.items()
        if all(len(labels) == 1 for labels in said_of.values())
    }
    paired = sorted(sorted(one_each, key=lambda name: (-len(one_each[name]), name))[:MOST_PAIRED])
    notes = []
    if len(one_each) < len(per_actor):
        pooled = sorted(per_actor.keys() - one_each.keys())
        notes.append(f"{len(pooled)} actors, such as {pooled[0]}, gave several answers to a subject: in no pair")
    if len(one_each) > MOST_PAIRED:
        notes.append(f"pairs are of the {MOST_PAIRED} actors with most answers, of {len(one_each)}")
    return Agreement(
        question=asked.question_id,
        level=level,
        reference=reference,
        subjects=len(votes.items),
        answers=int(votes.weight.sum()),
        unanimous=float(((tally_IK[several] > 0).sum(axis=1) == 1).mean()) if several.any() else None,
        alpha=alpha(leveled.item, leveled.label, leveled.weight, values, level=level),
        fleiss=kappa,
        fleiss_reason=why,
        labels={votes.labels[k]: int(n) for k, n in enumerate(tally_IK.sum(axis=0).tolist())}
        if len(votes.labels) <= MOST_SHOWN else {},
        pairs=pairs(one_each, paired, len(votes.labels)),
        actors=_actors(rows, abstained, votes, kinds, truth, window_days, numbers=is_number),
        doubts=doubts[:MOST_SHOWN],
        doubts_left_out=dict(Counter(each.rule for each in doubts[MOST_SHOWN:])),
        notes=notes,
    )  # fmt: skip


def _actors(
    rows: Sequence[Row], abstained: Sequence[Row], votes: Votes, kinds: Mapping[str, str],
    truth: Mapping[str, str] | None, window_days: int, *, numbers: bool,
) -> list[ActorFacts]:  # fmt: skip
    item_of = {name: place for place, name in enumerate(votes.items)}
    label_of = {name: place for place, name in enumerate(votes.labels)}
    tally_IK = votes.tally_IK
    own: dict[tuple[str, str], Floats] = {}
    for row in rows:
        key = (str(row["actor_id"]), str(row["subject_id"]))
        own.setdefault(key, np.zeros(len(votes.labels)))[label_of[value_of(row)]] += row["votes"]

    def right(row: Row) -> list[str]:
        """What it is compared with: more than one where the others are tied."""
        if truth is not None:
            found = truth.get(row["subject_id"])
            return [] if found is None else [found]
        others = tally_IK[item_of[row["subject_id"]]] - own[row["actor_id"], row["subject_id"]]
        top = others.max(initial=0.0)
        return [votes.labels[k] for k in np.flatnonzero(others == top).tolist()] if top > 0 else []

    def score(row: Row) -> float | None:
        best = right(row)
        return None if numbers or not best else (1 / len(best) if value_of(row) in best else 0.0)

    def unanimous(row: Row) -> bool | None:
        said = tally_IK[item_of[row["subject_id"]]]
        return None if said.sum() < 2 else bool(said[label_of[value_of(row)]] == said.sum())

    def confused(row: Row) -> tuple[str, str] | None:
        best = right(row)
        return None if numbers or len(best) != 1 else (best[0], value_of(row))

    of: dict[str, list[Row]] = defaultdict(list)
    for row in (*rows, *abstained):
        of[row["actor_id"]].append(row)
    return [
        facts_of(name, kinds[name], of[name], score=score, unanimous=unanimous, confused=confused,
                 window_days=window_days)
        for name in sorted(of)
    ]  # fmt: skip
