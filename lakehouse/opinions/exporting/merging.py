"""Answers with the labels that stand for theirs: what was merged away is in no list of classes any more."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from lakehouse.lake import Lake
from lakehouse.opinions.formats.writer import Said
from lakehouse.opinions.reading.answer import Answer, Region, Value
from lakehouse.query import fetch
from lakehouse.views.ontology import merged_labels_sql

Merges = Mapping[tuple[str, int, str], str]
"""(Question, its version, label) -> the label that stands for it."""


def merges_of(lake: Lake, known_at: datetime | None) -> dict[tuple[str, int, str], str]:
    """Return every label that another one stands for, as we knew it at `known_at`; None: now."""
    text = merged_labels_sql(known_at=known_at is not None)
    rows = fetch(lake, text, params={} if known_at is None else {"known_at": known_at})
    return {(row["question_id"], int(row["question_version"]), row["label_id"]): row["stands_for"] for row in rows}


def merged(answer: Answer, merges: Merges) -> tuple[Answer, str]:
    """Return an answer with the labels that stand for its own, and the first label that was replaced ("" of none).

    A multi-label answer has a label once, a ranking at its first place; probabilities of what became one add up.
    """
    if not merges:
        return answer, ""
    replaced = ""

    def named(label: str) -> str:
        nonlocal replaced
        found = merges.get((answer.question_id, answer.question_version, label), label)
        replaced = replaced or (label if found != label else "")
        return found

    value: Value = answer.value
    if answer.value_kind == "label" and isinstance(value, str):
        value = named(value)
    elif answer.value_kind in ("labels", "ranking") and isinstance(value, tuple):
        names = dict.fromkeys(named(str(each)) for each in value)
        value = tuple(sorted(names) if answer.value_kind == "labels" else names)
    elif answer.value_kind in ("regions", "spans") and isinstance(value, tuple):
        found = []
        for each in value:
            if not isinstance(each, Region):
                continue
            stands = each if each.label is None else dataclasses.replace(each, label=named(each.label))
            several = (each.attrs or {}).get("labels")
            if several is not None:
                # Several labels of one region, as Label Studio has them.
                stands = dataclasses.replace(stands, attrs={**(each.attrs or {}), "labels": _listed(several, named)})
            found.append(stands)
        value = tuple(found)
    probs = answer.probs
    if probs is not None:
        sums: dict[str, float] = {}
        for label, share in probs.items():
            sums[named(label)] = sums.get(named(label), 0.0) + share
        probs = sums
    return (dataclasses.replace(answer, value=value, probs=probs), replaced) if replaced else (answer, "")


class Standing:
    """Answers with the labels that stand for theirs, without those left out; may be gone through as often as they."""

    def __init__(self, said: Iterable[Said], merges: Merges, left_out: Callable[[Said], bool]) -> None:
        self._said, self._merges, self._left_out = said, merges, left_out

    def __iter__(self) -> Iterator[Said]:
        for each in self._said:
            found = Said(merged(each.answer, self._merges)[0], each.subject)
            if not self._left_out(found):
                yield found


def _listed(text: str, named: Callable[[str], str]) -> str:
    found = json.loads(text)
    if not isinstance(found, list):
        return text
    return json.dumps(list(dict.fromkeys(named(str(each)) for each in found)), ensure_ascii=False)
