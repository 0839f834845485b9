"""Several labels of one entity: one actor's, or those that more than half of the votes are for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.datasets.policies import votes
from lakehouse.datasets.policies.kind import NO_ANSWER, AnswerKind, Decision
from lakehouse.datasets.policies.labels_scores import MEASURES, weigh_labels
from lakehouse.datasets.policies.newest import NEWEST, SAID, unsettled
from lakehouse.datasets.policies.settings import Label
from loaders.format.fields import Field

EACH_LABEL = "select subject_id, unnest(labels) as said, votes from heard"


def decide(row: Mapping[str, Any], settings: Label) -> Decision:
    """Return the labels of one entity, sorted; none of them is an answer too."""
    if settings.policy in NEWEST:
        return unsettled(row, settings) or Decision(answer=sorted(set(row["labels"])))
    few = votes.below_quorum(row, settings)
    if few is not None:
        return few
    total, carried = int(row["num_votes"]), []
    for label, count in sorted(votes.tally_of(row).items()):
        is_in = votes.is_yes(count, total, settings)
        if is_in is None:
            return Decision(reason="tie", detail=f"{count} of {total} votes are for {label!r}, exactly half")
        if is_in:
            carried.append(label)
    return Decision(answer=carried)


def samples(members: pa.Table, classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `label_vector`, uint8 (num classes,): 1 where a label is among the answer's; the classes in their order."""
    numbers = {label: number for number, label in enumerate(classes)}
    vectors = np.zeros((members.num_rows, len(classes)), np.uint8)
    for place, text in enumerate(members["answer_json"].to_pylist()):
        vectors[place, [numbers[label] for label in json.loads(text)]] = 1
    doc = f"1 for each of the {len(classes)} classes that applies, else 0."
    kind = pa.list_(pa.uint8())
    yield Field("label_vector", kind, shape=(len(classes),), doc=doc, classes=tuple(classes)), pa.array(
        list(vectors), kind
    )


def read(labels: Sequence[str], probs: Mapping[str, float] | None) -> dict[str, object]:
    """Return labels and probabilities of one opinion."""
    return {"labels": list(labels), "probs": probs}


def refuse(settings: Label) -> str | None:
    """Votes have a meaning where they are counted."""
    return votes.refuse(settings)


def because(settings: Label, question: str) -> str:
    """Return why a member has its labels."""
    counted = f", quorum {settings.quorum}" if settings.policy == "majority" else ""
    return f"{settings.policy} labels of `{question}`{counted}"


LABELS = AnswerKind(
    value_kind="labels",
    policies=("majority", *NEWEST),
    version=1,
    hears=("event_time", "labels", "votes"),
    tally=votes.votes_sql("labels", said=EACH_LABEL, labelled=True),
    decide=decide,
    because=because,
    reasons=(NO_ANSWER,),
    refuse=refuse,
    classes=SAID,
    has_cell=True,
    samples=samples,
    sample_names=("label_vector",),
    read_probs=read,
    weigh=weigh_labels,
    measures=MEASURES,
)
