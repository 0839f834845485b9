"""What a named actor says holds whatever the others say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lakehouse.consensus.decision import Decision
from schemas.opinions import VALUE_COLUMNS


def overridden(decisions: Iterable[Decision], said: pa.Table, experts: Sequence[str]) -> Iterator[Decision]:
    """Yield the decisions with what experts say in place of what others do, and what experts alone speak about.

    Args:
        decisions: One for each subject.
        said: Asserted answers of the experts.
        experts: The first one's answer before the next one's; of several of one expert the last by slot.
    """
    best = _best(said, experts)
    for each in decisions:
        row = best.pop(each.subject, None)
        yield each if row is None else _decision(row, each.answers)
    for _, row in sorted(best.items()):
        yield _decision(row, 0.0)


def _best(said: pa.Table, experts: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    rank = {actor: place for place, actor in enumerate(experts)}
    found: dict[str, Mapping[str, Any]] = {}
    for row in said.to_pylist():
        held = found.get(row["subject_id"])
        if held is None or rank[row["actor_id"]] <= rank[held["actor_id"]]:
            found[row["subject_id"]] = row
    return found


def _decision(row: Mapping[str, Any], answers: float) -> Decision:
    kind = row["value_kind"]
    value: Any = row[VALUE_COLUMNS[kind] or "label"]
    if kind in ("regions", "spans"):
        value = [_stated(each) for each in value]
    elif kind == "bool":
        value = value == 1
    fields: dict[str, Any] = {kind: value, "confidence": 1.0, "ext": {"expert": row["actor_id"]}}
    if kind == "label":
        fields["probs"] = {value: 1.0}
    return Decision(row["subject_id"], fields, "", answers)


def _stated(region: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in region.items() if value is not None}
    if "points" in found:
        found["points"] = [{axis: n for axis, n in point.items() if n is not None} for point in found["points"]]
    if "attrs" in found:
        found["attrs"] = dict(found["attrs"])
    return found
