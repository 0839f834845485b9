"""Texts that somebody wrote about an entity, a transcript or a caption: whose holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.datasets.policies.kind import AnswerKind, Decision, because_of
from lakehouse.datasets.policies.newest import NEWEST, newest_sql, unsettled
from lakehouse.datasets.policies.settings import Label
from lakehouse.datasets.policies.text_scores import MEASURES, weigh_texts
from loaders.format.fields import Field


def decide(row: Mapping[str, Any], settings: Label) -> Decision:
    """Return the text of one entity."""
    return unsettled(row, settings) or Decision(answer=row["text"])


def samples(members: pa.Table, _classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `text`; `answer_text` where the members are texts themselves, whose content is `text`."""
    values = [str(json.loads(text)) for text in members["answer_json"].to_pylist()]
    are_texts = pc.any(pc.starts_with(members["media_type"], "text/")).as_py()
    name = "answer_text" if are_texts else "text"
    yield Field(name, pa.string(), doc="Text by the recipe's policy."), pa.array(values, pa.string())


TEXT = AnswerKind(
    value_kind="text",
    policies=NEWEST,
    version=1,
    hears=("event_time", "text"),
    tally=newest_sql("text"),
    decide=decide,
    because=because_of("text"),
    samples=samples,
    sample_names=("text", "answer_text"),
    weigh=weigh_texts,
    measures=MEASURES,
)
