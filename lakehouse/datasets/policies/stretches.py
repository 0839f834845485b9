"""Spans of texts and intervals of recordings: whose answer holds, as stretches with a start and an end."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lakehouse.datasets.policies.columns import labels_of, names_of, npy_field, one_each
from lakehouse.datasets.policies.kind import AnswerKind, Decision, because_of
from lakehouse.datasets.policies.newest import NEWEST, SAID, newest_sql, unsettled
from lakehouse.datasets.policies.settings import Label
from lakehouse.datasets.policies.stretch_scores import MEASURES, weigh_stretches
from loaders.format.fields import Field

ENDS = {"span": ("char_start", "char_end"), "interval": ("t_start", "t_end")}
DOCS = {
    "span": "First character of each span and the one behind its last: code points of the text, from 0.",
    "interval": "Start and end of each interval, s.",
}
DTYPES = {"span": "int64", "interval": "float64"}


def decide(row: Mapping[str, Any], settings: Label, *, one: str) -> Decision:
    """Return the stretches of one entity, or why they are no answer.

    Args:
        row: Of the tally.
        settings: The recipe's.
        one: `span` or `interval`.
    """
    nobodys = unsettled(row, settings)
    if nobodys is not None:
        return nobodys
    found = []
    for place, region in enumerate(row["regions"], start=1):
        each = stretch_of(region, one)
        if each["start"] is None or each["end"] is None or each["end"] < each["start"]:
            detail = f"region {place} ({region['kind']}) has no start before its end"
            return Decision(reason=f"not_{one}s", detail=detail)
        if region["label"] is None:
            return Decision(reason=f"no_{one}_label", detail=f"region {place} has no label")
        found.append(each)
    return Decision(answer=found)


def stretch_of(region: Mapping[str, Any], one: str) -> dict[str, Any]:
    """Return label, start, end, and channel and score where they are stated."""
    start, end = ENDS[one]
    more = {name: region[name] for name in ("channel", "score") if region[name] is not None}
    return {"label": region["label"], "start": region[start], "end": region[end], **more}


def read(regions: Sequence[Mapping[str, Any]], *, one: str) -> list[dict[str, Any]]:
    """Return the stretches of one opinion."""
    return [stretch_of(region, one) for region in regions]


def samples(members: pa.Table, classes: Sequence[str], *, one: str) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `spans` int64 (n, 2) or `intervals` float64 (n, 2), `<one>_labels` int64 (n,), and what is stated."""
    answers: list[list[dict[str, Any]]] = [json.loads(text) for text in members["answer_json"].to_pylist()]
    field = Field(
        f"{one}s", pa.binary(), codec="npy", shape=(None, 2), dtype=DTYPES[one],
        doc=f"{DOCS[one]} None: nothing is there.", objects=f"{one}s",
    )  # fmt: skip
    yield npy_field(
        field, answers, lambda answer: np.array([(each["start"], each["end"]) for each in answer]).reshape(-1, 2)
    )
    yield labels_of(one, answers, classes, objects=field.objects)
    if any("channel" in each for answer in answers for each in answer):
        kind = pa.list_(pa.int64())
        doc = f"Channel of each {one}, from 0; -1: not stated."
        channels = [[each.get("channel", -1) for each in answer] for answer in answers]
        yield Field(f"{one}_channels", kind, shape=(None,), doc=doc, objects=field.objects), pa.array(channels, kind)
    yield from one_each(one, answers, objects=field.objects)


def _kind(one: str, value_kind: str) -> AnswerKind:
    return AnswerKind(
        value_kind=value_kind,
        task=f"{one}s",
        shapes=(one,),
        policies=NEWEST,
        version=1,
        hears=("event_time", "labels", "regions"),
        tally=newest_sql("regions", labelled=True),
        decide=functools.partial(decide, one=one),
        because=because_of(f"{one}s"),
        classes=SAID,
        has_cell=True,
        samples=functools.partial(samples, one=one),
        sample_names=names_of(one, f"{one}s", f"{one}_channels"),
        read=functools.partial(read, one=one),
        weigh=weigh_stretches,
        measures=MEASURES,
    )


SPANS = _kind("span", "spans")
INTERVALS = _kind("interval", "regions")
