"""Samples that are windows: from the entities of each series to its windows, and why others are in none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from lakehouse.datasets.policies.each_window import label_of_window
from lakehouse.datasets.recipes.sections.samples import Samples
from lakehouse.datasets.sampling.rows import SAMPLES
from lakehouse.datasets.sampling.windows import Row, windows_of
from lakehouse.derived.identity import WINDOW, derived_id
from schemas.canonical import text_json

SERIES = """
select e.group_keys[$series] as series, array_agg(struct_pack(
    entity_id := c.entity_id, fields_json := c.fields_json, label := c.label, reason := c.reason,
    size_bytes := c.size_bytes, place := {place}
)) as entities
from considered c join {entities} e on e.entity_id = c.entity_id group by e.group_keys[$series]
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def windows_in(
    batches: Iterator[pa.RecordBatch], *, samples: Samples, own: str, unsettled: Collection[str], asks: bool
) -> Iterator[pa.RecordBatch]:
    """Yield rows of `SAMPLES` for rows of `SERIES`.

    Args:
        batches: Of `SERIES`.
        samples: The recipe's.
        own: Column of the selection that orders a series; "": `place` does.
        unsettled: Reasons for which an entity has no label, but may stand in a window.
        asks: Whether there are labels.
    """
    for batch in batches:
        rows = [row for series in batch.to_pylist() for row in _of_series(series, samples, own, unsettled, asks)]
        yield pa.RecordBatch.from_pylist(rows, schema=SAMPLES)


def _of_series(
    series: Mapping[str, Any], samples: Samples, own: str, unsettled: Collection[str], asks: bool
) -> Iterator[dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    ordered: list[Row] = []
    for entity in series["entities"]:
        thing, out = entity["entity_id"], entity["reason"] not in (None, *unsettled)
        place = _number(json.loads(entity["fields_json"] or "{}").get(own) if own else entity["place"])
        known[thing] = entity
        if series["series"] is None:
            yield _left(entity, "no_series", f"it has no group key `{samples.series}`")
        elif place is None:
            yield _left(entity, "no_place_in_series", f"its `{samples.order}` is NULL")
        else:
            ordered.append(Row(thing, place, is_out=out))
            if out:
                yield _left(entity, entity["reason"], None)
    found = windows_of(ordered, samples)
    for ids in found.whole:
        yield _window(ids, [known[each] for each in ids], samples, asks)
    for ids in found.rest:
        detail = f"{len(ids)} of {samples.length} entities before its run ends"
        yield _made(ids, known) | {"problem": "incomplete_window", "problem_detail": detail}
    for thing in found.between:
        yield _left(known[thing], "between_windows", f"windows of {samples.length} by {samples.step} pass over it")


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (aware - _EPOCH).total_seconds()
    return None if value is None else float(value)


def _left(entity: Mapping[str, Any], problem: str | None, detail: str | None) -> dict[str, Any]:
    thing = entity["entity_id"]
    return {"entity_id": thing, "source_id": thing, "fields_json": entity["fields_json"],
            "size_bytes": entity["size_bytes"], "problem": problem, "problem_detail": detail}  # fmt: skip


def _made(ids: Sequence[str], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    fields = [json.loads(known[each]["fields_json"] or "{}") for each in ids]
    return {
        "entity_id": derived_id(ids, WINDOW, {}),
        "source_id": ids[0],
        "parent_ids": list(ids),
        "operation": WINDOW,
        "parameters_json": "{}",
        "size_bytes": sum(known[each]["size_bytes"] for each in ids),
        "fields_json": text_json(fields) if any(fields) else None,
    }


def _window(ids: Sequence[str], entities: Sequence[Mapping[str, Any]], samples: Samples, asks: bool) -> dict[str, Any]:
    made = _made(ids, {entity["entity_id"]: entity for entity in entities})
    if not asks:
        return made
    labels = [entity["label"] if entity["reason"] is None else None for entity in entities]
    decided = label_of_window(samples.window_label, labels, [entity["reason"] for entity in entities])
    if decided.reason:
        return made | {"problem": decided.reason, "problem_detail": decided.detail}
    votes = Counter(each for each in labels if each is not None)
    if isinstance(decided.answer, list):
        return made | {"answer_json": text_json(decided.answer), "all_votes": len(labels)}
    return made | {
        "label": decided.answer, "cell": decided.answer, "all_votes": votes.total(),
        "label_votes": sorted(votes.items()), "label_share": votes[str(decided.answer)] / votes.total(),
    }  # fmt: skip
